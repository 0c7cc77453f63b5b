//! `m.receipt`: how far people of another server have read, threads included. Each receipt is read by itself, for one that is
//! wrong says nothing of the others.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId, RoomId, events::receipt::ReceiptThread};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::{Hearing, parse};
use crate::intake::Trouble;

/// Receipts of one unit that are taken in.
const RECEIPTS_MAX: usize = 1_000;
/// The longest event id (spec, appendices, "Event IDs").
const EVENT_ID_BYTES_MAX: usize = 255;

/// What is said of each room.
pub(super) type Receipts = BTreeMap<String, Box<RawValue>>;

/// What is said of one room.
#[derive(Deserialize)]
struct OfRoom {
    /// By person. Other kinds of receipts are nobody else's business.
    #[serde(rename = "m.read", default)]
    read: BTreeMap<String, Box<RawValue>>,
}

/// How far one person has read.
#[derive(Deserialize)]
struct Read {
    data: Data,
    /// Taken as they are: to whoever is told of it, an id is a name.
    event_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    ts: Option<MilliSecondsSinceUnixEpoch>,
    /// Some servers write `null` for one of no thread.
    thread_id: Option<ReceiptThread>,
}

impl Hearing<'_> {
    pub(super) async fn receipts(self, said: Result<Receipts, Trouble>) -> Result<(), Trouble> {
        let (mut refused, mut left) = (None, RECEIPTS_MAX);
        for (room, of_room) in said? {
            match self.receipts_of(&room, &of_room, &mut left).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(there) => refused = Some(there),
                Ok(()) => {}
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn receipts_of(&self, room: &str, of_room: &RawValue, left: &mut usize) -> Result<(), Trouble> {
        let room = OwnedRoomId::try_from(room).map_err(|error| Trouble::there(error.to_string()))?;
        let OfRoom { read } = parse(of_room)?;
        self.room(&room).await?;
        let mut refused = None;
        for (user, read) in read {
            *left = left.checked_sub(1).ok_or_else(|| Trouble::there("it holds too many receipts"))?;
            match self.receipt(&room, user, &read).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(there) => refused = Some(there),
                Ok(()) => {}
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn receipt(&self, room: &RoomId, user: String, read: &RawValue) -> Result<(), Trouble> {
        let user = OwnedUserId::try_from(user).map_err(|error| Trouble::there(error.to_string()))?;
        self.check_own(&user)?;
        let Read { data, event_ids } = parse(read)?;
        let Some(event) = event_ids.last() else { return Ok(()) };
        if event.len() > EVENT_ID_BYTES_MAX {
            return Err(Trouble::there("an event id is too long"));
        }
        let thread = data.thread_id.unwrap_or_default();
        self.rooms.read_elsewhere(&user, room, thread, event, data.ts).await?;
        Ok(())
    }
}
