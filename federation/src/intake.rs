//! What other servers send of their own accord: transactions, taken in once each. Rooms are worked on side by side; what one
//! server sends of one room is taken in the order it was sent.
//!
//! * `flights`: how many transactions of one server are worked on at once.
//! * `limits`: how much one event may make this server ask for.
//! * `room`: the events of one room.
//! * `outside`: those of rooms that nobody here is in.
//! * `filling`: what an event builds on and is not here.
//! * `fetch`: asking for it, and proving it.
//! * `waiting`: what could not be had then, tried again.
//! * `completing`: the rest of the state of rooms joined with part of it.
//! * `trouble`: whose fault it is when something is not taken in.

mod completing;
mod fetch;
mod filling;
mod flights;
mod limits;
mod outside;
mod room;
mod trouble;
mod turns;
mod waiting;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use lyceum_accounts::Accounts;
use lyceum_peers::{Partners, Peers};
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, RawJson};
use quick_cache::sync::Cache;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Mutex;

use crate::edu::Hearing;
use flights::Flights;
use turns::Turns;
use waiting::WaitingRooms;

pub(crate) use trouble::Trouble;

/// Answers to transactions that are remembered: a sender repeats only its last one, until it has the answer.
const ANSWERS_MAX: usize = 4_096;
/// Rooms of one transaction that are worked on at once.
const ROOMS_AT_ONCE: usize = 8;

/// A transaction as it comes.
#[derive(Debug, Deserialize)]
pub(crate) struct Transaction {
    /// Who sent it; old servers leave it out.
    pub(crate) origin: Option<OwnedServerName>,
    #[serde(default)]
    pub(crate) pdus: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(crate) edus: Vec<Box<RawValue>>,
}

/// What became of the events of a transaction: nothing to say, or what was wrong.
type Outcomes = BTreeMap<OwnedEventId, Option<String>>;

/// An answer that was made, or none yet; held by the work that makes it.
type Answer = Arc<Mutex<Option<Bytes>>>;

/// Takes in what other servers send. Cheap to clone.
#[derive(Clone)]
pub struct Intake(Arc<Shared>);

struct Shared {
    rooms: Rooms,
    accounts: Accounts,
    peers: Peers,
    partners: Partners,
    answers: Cache<(OwnedServerName, String), Answer>,
    turns: Turns,
    flights: Flights,
    waiting: WaitingRooms,
}

/// When a server that sends too much at once may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Intake {
    /// The intake for these rooms and people.
    pub fn new(rooms: &Rooms, accounts: &Accounts, peers: &Peers, partners: &Partners) -> Self {
        Self(Arc::new(Shared {
            rooms: rooms.clone(),
            accounts: accounts.clone(),
            peers: peers.clone(),
            partners: partners.clone(),
            answers: Cache::new(ANSWERS_MAX),
            turns: Turns::default(),
            flights: Flights::default(),
            waiting: WaitingRooms::default(),
        }))
    }

    /// Takes a transaction in, once; the same again is given the same answer, and waits for it while it is being made.
    pub(crate) async fn take(
        &self,
        origin: OwnedServerName,
        id: String,
        transaction: Transaction,
    ) -> Result<Bytes, ApiError> {
        let mut made = self.answer(&origin, id).lock_owned().await;
        if let Some(made) = &*made {
            return Ok(made.clone());
        }
        let flight = self.0.flights.begin(&origin).ok_or_else(|| ApiError::limit_exceeded(RETRY_AFTER))?;
        let intake = self.clone();
        // A sender that hangs up does not undo what was begun: the work goes on and keeps its answer for when it asks again.
        let work = tokio::spawn(async move {
            let _flight = flight;
            let answer = intake.work(&origin, transaction).await?;
            *made = Some(answer.clone());
            Ok(answer)
        });
        work.await.map_err(|error| ApiError::internal(&error))?
    }

    fn answer(&self, origin: &OwnedServerName, id: String) -> Answer {
        let make = || Ok::<_, std::convert::Infallible>(Answer::default());
        match self.0.answers.get_or_insert_with(&(origin.clone(), id), make) {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    async fn work(&self, origin: &OwnedServerName, transaction: Transaction) -> Result<Bytes, ApiError> {
        let by_room = by_room(transaction.pdus).into_iter();
        let rooms = by_room.map(|(room, pdus)| async move { self.room(origin, &room, pdus).await });
        let outcomes: Vec<Outcomes> =
            stream::iter(rooms.collect::<Vec<_>>()).buffer_unordered(ROOMS_AT_ONCE).try_collect().await?;
        // What they speak of may be among the events.
        let Shared { rooms, accounts, peers, .. } = &*self.0;
        let hearing = Hearing { rooms, accounts, peers, origin };
        for unit in transaction.edus {
            hearing.hear(&unit).await?;
        }
        let said = |why: Option<String>| why.map_or_else(|| json!({}), |why| json!({ "error": why }));
        let pdus: BTreeMap<_, _> = outcomes.into_iter().flatten().map(|(id, why)| (id, said(why))).collect();
        Ok(RawJson::of(&json!({ "pdus": pdus }))?.0)
    }
}

/// Events by their rooms, in the order they came. What names no room is no event of a room somebody is in already.
fn by_room(pdus: Vec<Box<RawValue>>) -> BTreeMap<OwnedRoomId, Vec<Box<RawValue>>> {
    #[derive(Deserialize)]
    struct Named {
        room_id: OwnedRoomId,
    }
    let mut rooms = BTreeMap::<_, Vec<_>>::new();
    for pdu in pdus {
        match serde_json::from_str::<Named>(pdu.get()) {
            Ok(Named { room_id }) => rooms.entry(room_id).or_default().push(pdu),
            Err(_) => limits::count("of no room"),
        }
    }
    rooms
}
