//! Events of other servers that could not get their places: what they build on could not be had. They wait, over restarts
//! too, and are tried again.

use lyceum_events::Event;
use lyceum_storage::{Batch, Subject};
use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedServerName, ServerName, UInt};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{
    Result, RoomError, Rooms,
    groups::parse_event_id,
    tables::{WAITING, WAITING_BY},
};

/// Events that wait at most.
const WAITING_MAX: usize = 1_000;
/// Those of them that one server sent.
const WAITING_OF_SERVER_MAX: usize = 100;
/// Touched when an event begins to wait.
const WAITING_SUBJECT: &str = "waiting events";

/// An event that waits, and how it came.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The event, its signatures checked.
    pub event: Event,
    /// Who sent it.
    pub origin: OwnedServerName,
    /// When it came.
    pub since: MilliSecondsSinceUnixEpoch,
    /// How often it was tried in vain since.
    pub tries: u32,
    /// When it is tried again.
    pub due: MilliSecondsSinceUnixEpoch,
}

/// The same, stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredWaiting {
    json: Box<str>,
    origin: String,
    since_ms: u64,
    tries: u32,
    due_ms: u64,
}

impl Waiting {
    /// How long it has waited.
    pub fn age(&self, now: MilliSecondsSinceUnixEpoch) -> Duration {
        between(self.since, now)
    }

    /// How long until it is tried again; nothing if it is time.
    pub fn due_in(&self, now: MilliSecondsSinceUnixEpoch) -> Duration {
        between(now, self.due)
    }

    fn stored(&self) -> StoredWaiting {
        StoredWaiting {
            json: self.event.json().into(),
            origin: self.origin.to_string(),
            since_ms: self.since.get().into(),
            tries: self.tries,
            due_ms: self.due.get().into(),
        }
    }
}

impl Rooms {
    /// Keeps an event that could not get its place until it is tried again. Answers `false` where too many wait already.
    pub async fn let_wait(&self, event: &Event, origin: &ServerName, pause: Duration) -> Result<bool> {
        let key = (event.room().as_str(), event.id().as_str());
        if self.store().get(&WAITING, key).await?.is_some() {
            return Ok(true);
        }
        let by = self.store().scan(&WAITING_BY, WAITING_BY.all().limit(WAITING_MAX)).await?;
        let of_server = by.iter().filter(|((server, _, _), ())| server == origin.as_str()).count();
        if by.len() >= WAITING_MAX || of_server >= WAITING_OF_SERVER_MAX {
            return Ok(false);
        }
        let since = self.0.clock.now();
        let due = after(since, pause);
        let waiting = Waiting { event: event.clone(), origin: origin.to_owned(), since, tries: 0, due };
        let mut batch = Batch::new();
        batch.put(&WAITING, key, &waiting.stored());
        batch.put(&WAITING_BY, (origin.as_str(), key.0, key.1), &());
        batch.touch(Subject::other(WAITING_SUBJECT));
        self.store().commit(batch).await?;
        Ok(true)
    }

    /// All events that wait, those of one room together.
    pub async fn waiting_events(&self) -> Result<Vec<Waiting>> {
        let rows = self.store().scan(&WAITING, WAITING.all().limit(WAITING_MAX)).await?;
        let mut waiting = Vec::with_capacity(rows.len());
        for ((room, id), row) in rows {
            let origin = row.origin.clone();
            match self.read_waiting(&room, id.clone(), row).await {
                Ok(one) => waiting.push(one),
                Err(error @ (RoomError::Storage(_) | RoomError::Commit(_))) => return Err(error),
                // The room was taken away, or cannot be read: nothing of it can get a place.
                Err(error) => {
                    tracing::warn!(room, event = id, %error, "an event waits for a room in vain");
                    self.forget_waiting(&origin, &room, &id).await?;
                }
            }
        }
        Ok(waiting)
    }

    /// Ends an event's wait: it got its place, or will get none.
    pub async fn waits_no_more(&self, waiting: &Waiting) -> Result<()> {
        let Waiting { event, origin, .. } = waiting;
        self.forget_waiting(origin.as_str(), event.room().as_str(), event.id().as_str()).await
    }

    /// Lets an event wait once more, after it was tried in vain.
    pub async fn waits_on(&self, waiting: &Waiting, pause: Duration) -> Result<()> {
        let due = after(self.0.clock.now(), pause);
        let later = Waiting { tries: waiting.tries.saturating_add(1), due, ..waiting.clone() };
        let mut batch = Batch::new();
        batch.put(&WAITING, (later.event.room().as_str(), later.event.id().as_str()), &later.stored());
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Waits for events that begin to wait.
    pub fn watch_waiting(&self) -> lyceum_storage::Watch {
        self.store().watch(&[Subject::other(WAITING_SUBJECT)])
    }

    async fn forget_waiting(&self, origin: &str, room: &str, id: &str) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(&WAITING, (room, id)).delete(&WAITING_BY, (origin, room, id));
        self.store().commit(batch).await?;
        Ok(())
    }

    async fn read_waiting(&self, room: &str, id: String, row: StoredWaiting) -> Result<Waiting> {
        let damaged = |error: &dyn std::fmt::Display| RoomError::Damaged(format!("an event that waits: {error}"));
        let room = OwnedRoomId::try_from(room).map_err(|error| damaged(&error))?;
        let rules = self.snapshot(&room).await?.shared_rules();
        let id: OwnedEventId = parse_event_id(id)?;
        Ok(Waiting {
            event: Event::from_stored(id, row.json, &rules).map_err(|error| damaged(&error))?,
            origin: OwnedServerName::try_from(row.origin).map_err(|error| damaged(&error))?,
            since: at(row.since_ms),
            tries: row.tries,
            due: at(row.due_ms),
        })
    }
}

fn at(ms: u64) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::new_saturating(ms))
}

fn after(moment: MilliSecondsSinceUnixEpoch, pause: Duration) -> MilliSecondsSinceUnixEpoch {
    let pause = UInt::try_from(pause.as_millis()).unwrap_or(UInt::MAX);
    MilliSecondsSinceUnixEpoch(moment.get().saturating_add(pause))
}

/// How long it is from one moment to a later one.
fn between(from: MilliSecondsSinceUnixEpoch, to: MilliSecondsSinceUnixEpoch) -> Duration {
    Duration::from_millis(u64::from(to.get()).saturating_sub(from.get().into()))
}
