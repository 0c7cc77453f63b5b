//! Forgetting the pasts of rooms, in the background: asked for by administrators, gone on with after a restart, and told of
//! until a day after it is done.

use lyceum_events::Clock;
use lyceum_rooms::{RoomError, Rooms, Whose};
use lyceum_storage::{Batch, CommitError, StorageError, Store, Subject};
use ruma::{OwnedRoomId, RoomId};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

use crate::{deletions::State, tables::PAST_PURGES};

/// What is touched when there is something to do.
const SUBJECT: &str = "past-purges";
/// Jobs that may wait or be remembered at once.
const JOBS_MAX: usize = 10_000;
/// How long after its end a job is told of.
const REMEMBERED: Duration = Duration::from_hours(24);

/// A job as stored, and what is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPurge {
    room_id: String,
    /// Up to this place.
    up_to: i64,
    /// People of this server, too.
    everybodys: bool,
    /// How far it is.
    pub state: State,
    /// Why it was given up.
    pub error: Option<String>,
    ended_ms: Option<u64>,
}

/// Why a job was not taken or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PastPurgeError {
    /// Too many wait for their turn.
    #[error("the pasts of {JOBS_MAX} rooms are being forgotten; try again later")]
    Busy,
    /// That of the same room is being forgotten already.
    #[error("the past of this room is being forgotten already")]
    UnderWay,
    /// A room could not be read or written.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

type Result<T, E = PastPurgeError> = std::result::Result<T, E>;

/// What a purge is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The room.
    pub room: OwnedRoomId,
    /// Up to this place in its timeline.
    pub up_to: i64,
    /// Whose messages.
    pub whose: Whose,
}

/// Forgets pasts. Cheap to clone.
#[derive(Clone)]
pub struct PastPurges {
    store: Store,
    rooms: Rooms,
    clock: Arc<dyn Clock>,
}

impl PastPurges {
    /// Purges of these rooms, remembered in this store.
    pub fn new(store: &Store, rooms: &Rooms, clock: &Arc<dyn Clock>) -> Self {
        Self { store: store.clone(), rooms: rooms.clone(), clock: clock.clone() }
    }

    /// Takes a job on. Answers its id.
    pub async fn begin(&self, past: Past) -> Result<u64> {
        let mut batch = Batch::new();
        let known = self.store.scan(&PAST_PURGES, PAST_PURGES.all().limit(JOBS_MAX)).await?;
        if known.iter().any(|(_, job)| job.is_open() && job.room_id == past.room.as_str()) {
            return Err(PastPurgeError::UnderWay);
        }
        for (id, _) in known.iter().filter(|(_, job)| !self.is_remembered(job)) {
            batch.delete(&PAST_PURGES, *id);
        }
        if known.len() >= JOBS_MAX {
            return Err(PastPurgeError::Busy);
        }
        let job = PastPurge {
            room_id: past.room.into(),
            up_to: past.up_to,
            everybodys: past.whose == Whose::Everybodys,
            state: State::Active,
            error: None,
            ended_ms: None,
        };
        batch.touch(Subject::other(SUBJECT));
        batch.at_position(move |position, writes| writes.put(&PAST_PURGES, position.0, &job));
        Ok(self.store.commit(batch).await?.0)
    }

    /// How far a job is.
    pub async fn progress(&self, id: u64) -> Result<Option<PastPurge>> {
        Ok(self.store.get(&PAST_PURGES, id).await?.filter(|job| self.is_remembered(job)))
    }

    /// Does what there is to do, one job after another, until the process ends. What was begun before it ended last time is
    /// done again from its beginning, where there is nothing left to do.
    pub async fn run(self) {
        loop {
            let watch = self.store.watch(&[Subject::other(SUBJECT)]);
            match self.do_next().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "a room's past could not be forgotten; it is tried again with the next one")
                }
            }
            watch.changed().await;
        }
    }

    /// Does one job. Answers whether there was one.
    async fn do_next(&self) -> Result<bool> {
        let jobs = self.store.scan(&PAST_PURGES, PAST_PURGES.all().limit(JOBS_MAX)).await?;
        let Some((id, mut job)) = jobs.into_iter().find(|(_, job)| job.is_open()) else { return Ok(false) };
        match self.carry_out(&job).await {
            Ok(()) => job.state = State::Complete,
            Err(error @ RoomError::Storage(_)) => return Err(error.into()),
            Err(error) => {
                job.state = State::Failed;
                job.error = Some(error.to_string());
            }
        }
        job.ended_ms = Some(self.now_ms());
        let mut batch = Batch::new();
        batch.put(&PAST_PURGES, id, &job);
        self.store.commit(batch).await?;
        Ok(true)
    }

    async fn carry_out(&self, job: &PastPurge) -> Result<(), RoomError> {
        let room = RoomId::parse(&job.room_id).map_err(|error| RoomError::InvalidParam(error.to_string()))?;
        let whose = if job.everybodys { Whose::Everybodys } else { Whose::Others };
        let mut after = i64::MIN;
        while let Some(last) = self.rooms.forget_past(&room, after, job.up_to, whose).await? {
            after = last;
        }
        Ok(())
    }

    fn is_remembered(&self, job: &PastPurge) -> bool {
        let remembered_ms = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
        job.ended_ms.is_none_or(|ended| ended.saturating_add(remembered_ms) > self.now_ms())
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().get().into()
    }
}

impl PastPurge {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Scheduled | State::Active)
    }
}
