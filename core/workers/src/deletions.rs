//! Taking rooms away, in the background: asked for by administrators, gone on with after a restart, and told of until a day
//! after it is done. First everybody of this server leaves, for another room if there is to be one, then what was kept of the
//! room is forgotten.

mod carry_out;

use lyceum_events::Clock;
use lyceum_rooms::{RoomError, Rooms};
use lyceum_storage::{Batch, CommitError, StorageError, Store, Subject};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

use crate::tables::DELETIONS;

/// What is touched when there is something to do, and when something is done.
const SUBJECT: &str = "deletions";
/// Jobs that may wait or be remembered at once.
const JOBS_MAX: usize = 10_000;
/// How long after its end a job is told of.
const REMEMBERED: Duration = Duration::from_hours(24);

/// What is to become of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The room.
    pub room: OwnedRoomId,
    /// Who wants it.
    pub by: OwnedUserId,
    /// Who makes the room its people come into; `None`: they only leave.
    pub new_room_by: Option<OwnedUserId>,
    /// What that is called.
    pub new_room_name: String,
    /// What they are told there.
    pub message: String,
    /// Whether nobody may come back.
    pub block: bool,
    /// What of the room is kept.
    pub purge: Purge,
}

/// How much of a room is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purge {
    /// Nothing.
    Nothing,
    /// Everything, if nobody of this server is left in it.
    WhenEmpty,
    /// Everything in any case.
    Always,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Waiting for its turn.
    Scheduled,
    /// Being done.
    Active,
    /// Done.
    Complete,
    /// Given up.
    Failed,
}

/// A job as stored, and what is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The room.
    pub room_id: String,
    by: String,
    new_room_by: Option<String>,
    new_room_name: String,
    message: String,
    block: bool,
    purge: Purge,
    /// How far it is.
    pub state: State,
    /// Why it was given up.
    pub error: Option<String>,
    /// Who left by this.
    pub left: Vec<String>,
    /// Who could not be made to.
    pub stayed: Vec<String>,
    /// This server's aliases of the room.
    pub aliases: Vec<String>,
    /// Where its people are now.
    pub new_room: Option<String>,
    ended_ms: Option<u64>,
}

/// Why a job was not taken or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DeletionError {
    /// Too many wait for their turn.
    #[error("{JOBS_MAX} rooms are being taken away; try again later")]
    Busy,
    /// The same room is being taken away already.
    #[error("the room is being taken away already")]
    UnderWay,
    /// The new room would be made by somebody who is not of this server.
    #[error("{0} is nobody of this server")]
    NotLocal(OwnedUserId),
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

type Result<T, E = DeletionError> = std::result::Result<T, E>;

/// What deletions are built from.
#[derive(Clone)]
pub struct DeletionsParts {
    /// Where jobs are remembered.
    pub store: Store,
    /// The rooms.
    pub rooms: Rooms,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Takes rooms away. Cheap to clone.
#[derive(Clone)]
pub struct Deletions(Arc<DeletionsParts>);

impl Deletions {
    /// Deletions over these parts.
    pub fn new(parts: DeletionsParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Takes a job on. Answers its id.
    pub async fn begin(&self, wanted: Wanted) -> Result<u64> {
        let DeletionsParts { store, rooms, .. } = &*self.0;
        if let Some(user) = wanted.new_room_by.as_ref().filter(|user| !rooms.is_local(user)) {
            return Err(DeletionError::NotLocal(user.clone()));
        }
        let mut batch = Batch::new();
        let known = store.scan(&DELETIONS, DELETIONS.all().limit(JOBS_MAX)).await?;
        let is_open = |job: &Deletion| matches!(job.state, State::Scheduled | State::Active);
        if known.iter().any(|(_, job)| is_open(job) && job.room_id == wanted.room.as_str()) {
            return Err(DeletionError::UnderWay);
        }
        let forgotten_ms = self.now_ms().saturating_sub(u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX));
        let old = |job: &Deletion| job.ended_ms.is_some_and(|ended| ended <= forgotten_ms);
        for (id, _) in known.iter().filter(|(_, job)| old(job)) {
            batch.delete(&DELETIONS, *id);
        }
        if known.len() >= JOBS_MAX {
            return Err(DeletionError::Busy);
        }
        let job = Deletion::new(wanted);
        batch.touch(subject());
        batch.at_position(move |position, writes| writes.put(&DELETIONS, position.0, &job));
        Ok(store.commit(batch).await?.0)
    }

    /// How far a job is.
    pub async fn progress(&self, id: u64) -> Result<Option<Deletion>> {
        Ok(self.0.store.get(&DELETIONS, id).await?.filter(|job| self.is_remembered(job)))
    }

    /// All jobs about a room.
    pub async fn of_room(&self, room: &RoomId) -> Result<Vec<(u64, Deletion)>> {
        let mut jobs = self.0.store.scan(&DELETIONS, DELETIONS.all().limit(JOBS_MAX)).await?;
        jobs.retain(|(_, job)| job.room_id == room.as_str() && self.is_remembered(job));
        Ok(jobs)
    }

    /// Waits until a job is over.
    pub async fn wait(&self, id: u64) -> Result<Option<Deletion>> {
        loop {
            let watch = self.0.store.watch(&[subject()]);
            match self.progress(id).await? {
                Some(job) if matches!(job.state, State::Scheduled | State::Active) => watch.changed().await,
                job => return Ok(job),
            }
        }
    }

    /// Does what there is to do, one job after another, until the process ends. What was begun before it ended last time is
    /// gone on with.
    pub async fn run(self) {
        loop {
            let watch = self.0.store.watch(&[subject()]);
            match self.do_next().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "rooms could not be taken away; it is tried again with the next one")
                }
            }
            watch.changed().await;
        }
    }

    /// Does one job. Answers whether there was one.
    async fn do_next(&self) -> Result<bool> {
        let jobs = self.0.store.scan(&DELETIONS, DELETIONS.all().limit(JOBS_MAX)).await?;
        let next = jobs.into_iter().find(|(_, job)| matches!(job.state, State::Scheduled | State::Active));
        let Some((id, mut job)) = next else { return Ok(false) };
        job.state = State::Active;
        self.note(id, &job).await?;
        match self.carry_out(id, &mut job).await {
            Ok(()) => job.state = State::Complete,
            Err(DeletionError::Storage(error)) => return Err(error.into()),
            Err(error) => {
                job.state = State::Failed;
                job.error = Some(error.to_string());
            }
        }
        job.ended_ms = Some(self.now_ms());
        self.note(id, &job).await?;
        Ok(true)
    }

    async fn note(&self, id: u64, job: &Deletion) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(&DELETIONS, id, job).touch(subject());
        self.0.store.commit(batch).await?;
        Ok(())
    }

    fn is_remembered(&self, job: &Deletion) -> bool {
        let remembered_ms = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
        job.ended_ms.is_none_or(|ended| ended.saturating_add(remembered_ms) > self.now_ms())
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now().get().into()
    }
}

impl Deletion {
    fn new(wanted: Wanted) -> Self {
        Self {
            room_id: wanted.room.into(),
            by: wanted.by.into(),
            new_room_by: wanted.new_room_by.map(Into::into),
            new_room_name: wanted.new_room_name,
            message: wanted.message,
            block: wanted.block,
            purge: wanted.purge,
            state: State::Scheduled,
            error: None,
            left: Vec::new(),
            stayed: Vec::new(),
            aliases: Vec::new(),
            new_room: None,
            ended_ms: None,
        }
    }

    fn new_room_by(&self) -> Option<&UserId> {
        self.new_room_by.as_deref().and_then(|user| user.try_into().ok())
    }
}

fn subject() -> Subject {
    Subject::other(SUBJECT)
}
