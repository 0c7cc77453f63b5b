//! Rooms joined with part of their state: most of their members come later. Until then people here are in and read and write;
//! what is not known of others is taken from the events that permit what they send, and judged again once it is known
//! ([`crate::completion`]).

use lyceum_events::Event;
use lyceum_storage::Subject;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, RoomId, ServerName, UserId, events::StateEventType};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use crate::{
    Acceptance, Change, Known, Result, RoomError, RoomState, Rooms, Snapshot,
    forks::StateAt,
    groups::parse_event_id,
    snapshot::PartTime,
    tables::{PARTIAL, PARTIAL_ASIDE, StoredPart, WHOLE_SINCE},
    write::{Writing, change_of},
};

/// Touched when a room was joined with part of its state.
pub const PARTIAL_SUBJECT: &str = "partial rooms";

/// Joins with part of the state that one room may have had before the rest came.
const BEGINNINGS_MAX: usize = 10;
/// Servers that are believed to be in a room because another says so.
const SERVERS_MAX: usize = 20_000;
/// Rooms whose rest is looked for at once.
const ROOMS_MAX: usize = 10_000;
/// How long a request waits for the rest of a room's state.
const WHOLE_WAIT: Duration = Duration::from_secs(60);

/// What is still to come of a room's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The joins before which only part of the state is known.
    pub begins: Vec<OwnedEventId>,
    /// The servers in the room, as the one said by which it was joined; that one first.
    pub servers: Vec<OwnedServerName>,
}

/// The same, stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredPartial {
    begins: Vec<String>,
    servers: Vec<String>,
}

impl Partial {
    /// Whether a server is said to be in the room.
    pub fn has_server(&self, server: &ServerName) -> bool {
        self.servers.iter().any(|one| one == server)
    }

    /// Adds one more such join.
    fn with(&self, event: &Event, servers: &[OwnedServerName]) -> Self {
        let mut next = self.clone();
        next.begins.push(event.id().clone());
        let mut seen: HashSet<_> = self.servers.iter().collect();
        let more = servers.iter().filter(|server| seen.insert(*server)).cloned();
        next.servers.extend(more.take(SERVERS_MAX.saturating_sub(self.servers.len())));
        next
    }

    fn stored(&self) -> StoredPartial {
        StoredPartial {
            begins: self.begins.iter().map(ToString::to_string).collect(),
            servers: self.servers.iter().map(ToString::to_string).collect(),
        }
    }

    fn read(stored: StoredPartial) -> Result<Self> {
        let damaged = |error: ruma::IdParseError| RoomError::Damaged(format!("a server of a room in part: {error}"));
        let begins = stored.begins.into_iter().map(parse_event_id).collect::<Result<_, _>>()?;
        let servers = stored.servers.into_iter().map(OwnedServerName::try_from).collect::<Result<_, _>>();
        Ok(Self { begins, servers: servers.map_err(damaged)? })
    }
}

impl Rooms {
    /// The snapshot, with what is known of how much of the room's state is here.
    pub(crate) async fn with_extent(&self, snapshot: Snapshot) -> Result<Snapshot> {
        let room = snapshot.room_id().as_str();
        if let Some(stored) = self.store().get(&PARTIAL, room).await? {
            return Ok(snapshot.in_part(Partial::read(stored)?));
        }
        Ok(match self.store().get(&WHOLE_SINCE, room).await? {
            Some(StoredPart { from, until, missed }) => {
                let missed = missed.into_iter().filter_map(|server| OwnedServerName::try_from(server).ok()).collect();
                snapshot.whole(Arc::new(PartTime { from, until: AtomicU64::new(until), missed }))
            }
            None => snapshot,
        })
    }

    /// The rooms of which part of the state is still to come.
    pub async fn partial_rooms(&self) -> Result<Vec<OwnedRoomId>> {
        let rows = self.store().scan(&PARTIAL, PARTIAL.all().limit(ROOMS_MAX)).await?;
        Ok(rows.into_iter().filter_map(|(room, _)| OwnedRoomId::try_from(room).ok()).collect())
    }

    /// Whether anybody of this server may share a room with a person of another, for all that is known here.
    pub async fn may_share_a_room(&self, user: &UserId) -> Result<bool> {
        if !self.joined_rooms(user).await?.is_empty() {
            return Ok(true);
        }
        for room in self.partial_rooms().await? {
            let snapshot = self.snapshot(&room).await?;
            if snapshot.is_local() && snapshot.may_be_joined(user) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for rooms that are joined with part of their state.
    pub fn watch_partial_rooms(&self) -> lyceum_storage::Watch {
        self.store().watch(&[Subject::other(PARTIAL_SUBJECT)])
    }

    /// Whether a room may be joined with part of its state: where people of this server are in it, or were often enough
    /// without ever getting the rest, everything is asked for at once.
    pub async fn may_join_in_part(&self, room: &RoomId) -> Result<bool> {
        match self.snapshot(room).await {
            Ok(snapshot) => Ok(match snapshot.partial() {
                Some(partial) => partial.begins.len() < BEGINNINGS_MAX,
                None => !snapshot.is_local(),
            }),
            Err(RoomError::UnknownRoom(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// A room once its state is whole.
    pub async fn whole(&self, room: &RoomId) -> Result<Arc<Snapshot>> {
        self.whole_within(room, WHOLE_WAIT).await
    }

    /// A room once its state is whole, if that does not take longer.
    pub async fn whole_within(&self, room: &RoomId, wait: Duration) -> Result<Arc<Snapshot>> {
        let snapshot = self.snapshot(room).await?;
        if snapshot.partial().is_none() {
            return Ok(snapshot);
        }
        let changed = self.store().watch(&[Subject::room(room)]);
        let over = self.0.clock.sleep(wait);
        tokio::pin!(over);
        loop {
            let snapshot = self.snapshot(room).await?;
            if snapshot.partial().is_none() {
                return Ok(snapshot);
            }
            tokio::select! {
                () = changed.changed() => {}
                () = &mut over => return Err(RoomError::InPart),
            }
        }
    }

    /// A room once it is known how a person stands to it.
    pub(crate) async fn settled_for(&self, room: &RoomId, user: &UserId) -> Result<Arc<Snapshot>> {
        let snapshot = self.snapshot(room).await?;
        if snapshot.partial().is_none() || snapshot.member(user).is_some() {
            return Ok(snapshot);
        }
        self.whole(room).await
    }
}

impl Writing {
    /// Notes that part of the state before a join is still to come.
    pub(crate) fn begin_in_part(&mut self, event: &Event, servers: &[OwnedServerName]) {
        let none = Partial { begins: Vec::new(), servers: Vec::new() };
        let partial = self.snapshot().partial().map_or(&none, |partial| &**partial).with(event, servers);
        let room = self.room.id.clone();
        self.batch().put(&PARTIAL, room.as_str(), &partial.stored());
        self.batch().touch(Subject::other(PARTIAL_SUBJECT));
        self.head.snapshot = Arc::new(Snapshot::clone(self.snapshot()).in_part(partial));
    }

    /// Members that the events which permit another one name, where the state does not know these people.
    pub(crate) fn claimed_members(&self, state: &RoomState, auth: &[Arc<Known>]) -> Vec<Change> {
        if self.snapshot().partial().is_none() {
            return Vec::new();
        }
        claims(state, auth.iter().map(|known| known.event()))
    }

    /// The states by which a refused event is judged once more where part of the room's state is wanting: what they say of
    /// people may rest on what will prove to have been refused, such as a kick by somebody who had left. So what the events
    /// that permit this one say of members counts as well, as at any fork. `None` where they say nothing else.
    pub(crate) async fn weighed_with_claims(
        &mut self,
        before: &StateAt,
        auth: &[Arc<Known>],
        judged: &Acceptance,
    ) -> Result<Option<(StateAt, RoomState)>> {
        let is_refused = matches!(judged, Acceptance::Rejected(_) | Acceptance::SoftFailed);
        if !is_refused || self.snapshot().partial().is_none() {
            return Ok(None);
        }
        let then = self.weighed(before, auth).await?;
        let now = self.weighed(&self.current(), auth).await?;
        if then.is_none() && now.is_none() {
            return Ok(None);
        }
        let now = now.map_or_else(|| self.snapshot().state().clone(), |now| now.state);
        Ok(Some((then.unwrap_or_else(|| before.clone()), now)))
    }

    async fn weighed(&mut self, state: &StateAt, auth: &[Arc<Known>]) -> Result<Option<StateAt>> {
        let members = members_among(auth.iter().map(|known| known.event()));
        let others: Vec<_> = members.filter(|change| !holds(&state.state, change)).collect();
        if others.is_empty() {
            return Ok(None);
        }
        let claimed = self.state_after(state, others);
        Ok(Some(self.resolve(vec![state.clone(), claimed]).await?))
    }

    /// Notes that an event is to be judged again when the whole state is here.
    pub(crate) fn judge_again_later(&mut self, event: &Event) {
        let room = self.room.id.clone();
        self.batch().put(&PARTIAL_ASIDE, (room.as_str(), event.id().as_str()), &());
    }
}

/// The memberships among events of people whom a state does not know.
pub(crate) fn claims<'a>(state: &RoomState, events: impl Iterator<Item = &'a Event>) -> Vec<Change> {
    members_among(events).filter(|change| state.get(&change.key.0, &change.key.1).is_none()).collect()
}

fn members_among<'a>(events: impl Iterator<Item = &'a Event>) -> impl Iterator<Item = Change> {
    let changes = events.filter(|event| !event.is_rejected()).filter_map(change_of);
    changes.filter(|change| change.key.0 == StateEventType::RoomMember)
}

fn holds(state: &RoomState, change: &Change) -> bool {
    state.get(&change.key.0, &change.key.1) == change.to.as_ref().map(|(id, _)| &**id)
}
