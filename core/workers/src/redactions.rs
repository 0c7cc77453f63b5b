//! Redacting what somebody said, in the background: asked for by administrators, gone on with after a restart, and told of
//! until it is done.

use lyceum_rooms::{Direction, Known, RoomError, Rooms, Sender};
use lyceum_storage::{Batch, CommitError, StorageError, Store, Subject};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId, events::TimelineEventType};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

use crate::tables::REDACTIONS;

/// What is touched when there is something to do.
const SUBJECT: &str = "redactions";
/// Jobs that are remembered: with more, the oldest that are done are forgotten.
const JOBS_MAX: usize = 1_000;
/// Events read at once.
const PAGE: usize = 200;
/// Events of one room that could not be redacted and are told of.
const FAILED_MAX: usize = 1_000;

/// What is to be redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose events.
    pub user: OwnedUserId,
    /// In which rooms; in all of theirs if none is named.
    pub rooms: Vec<OwnedRoomId>,
    /// Why.
    pub reason: Option<String>,
    /// Of each room so many of their events, newest first.
    pub limit: u64,
    /// Who wants it.
    pub by: OwnedUserId,
    /// Whether to redact in that one's name alone, and not first in the name of who said it.
    pub by_hand: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Being done, or waiting for its turn.
    Active,
    /// Done, apart from what failed.
    Complete,
    /// Given up.
    Failed,
}

/// A job as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobRow {
    user: String,
    rooms: Vec<String>,
    reason: Option<String>,
    limit: u64,
    by: String,
    by_hand: bool,
    state: State,
    failed: BTreeMap<String, String>,
}

/// What is told of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// How far it is.
    pub state: State,
    /// Events that could not be redacted, and why.
    pub failed: BTreeMap<String, String>,
}

/// Why a job was not taken or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum RedactionError {
    /// Too many wait for their turn.
    #[error("{JOBS_MAX} redactions are waiting; try again later")]
    Busy,
    /// A room could not be read.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

type Result<T, E = RedactionError> = std::result::Result<T, E>;

/// Redacts what people said. Cheap to clone.
#[derive(Clone)]
pub struct Redactions {
    store: Store,
    rooms: Rooms,
}

impl Redactions {
    /// Redactions in these rooms, remembered in this store.
    pub fn new(store: &Store, rooms: &Rooms) -> Self {
        Self { store: store.clone(), rooms: rooms.clone() }
    }

    /// Takes a job on. Answers its id.
    pub async fn begin(&self, wanted: Wanted) -> Result<u64> {
        let mut batch = Batch::new();
        let known = self.store.scan(&REDACTIONS, REDACTIONS.all().limit(JOBS_MAX)).await?;
        if known.len() >= JOBS_MAX {
            let done = known.iter().find(|(_, job)| job.state != State::Active);
            let (oldest, _) = done.ok_or(RedactionError::Busy)?;
            batch.delete(&REDACTIONS, *oldest);
        }
        let job = JobRow {
            user: wanted.user.into(),
            rooms: wanted.rooms.into_iter().map(Into::into).collect(),
            reason: wanted.reason,
            limit: wanted.limit,
            by: wanted.by.into(),
            by_hand: wanted.by_hand,
            state: State::Active,
            failed: BTreeMap::new(),
        };
        batch.touch(Subject::other(SUBJECT));
        batch.at_position(move |position, writes| writes.put(&REDACTIONS, position.0, &job));
        Ok(self.store.commit(batch).await?.0)
    }

    /// How far a job is.
    pub async fn progress(&self, id: u64) -> Result<Option<Progress>> {
        let job = self.store.get(&REDACTIONS, id).await?;
        Ok(job.map(|JobRow { state, failed, .. }| Progress { state, failed }))
    }

    /// Does what there is to do, one job after another, until the process ends. What was begun before it ended last time is
    /// begun again: what is redacted already stays so.
    pub async fn run(self) {
        loop {
            let watch = self.store.watch(&[Subject::other(SUBJECT)]);
            if let Err(error) = self.do_all().await {
                tracing::warn!(%error, "redactions could not be gone on with; they are when there are new ones");
            }
            watch.changed().await;
        }
    }

    async fn do_all(&self) -> Result<()> {
        let jobs = self.store.scan(&REDACTIONS, REDACTIONS.all().limit(JOBS_MAX)).await?;
        for (id, mut job) in jobs.into_iter().filter(|(_, job)| job.state == State::Active) {
            job.state = match self.redact_all(&mut job).await {
                Ok(()) => State::Complete,
                Err(error) => {
                    tracing::warn!(%error, id, "a redaction of somebody's events was given up");
                    State::Failed
                }
            };
            let mut batch = Batch::new();
            batch.put(&REDACTIONS, id, &job);
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    async fn redact_all(&self, job: &mut JobRow) -> Result<()> {
        let Ok(user) = UserId::parse(&job.user) else { return Ok(()) };
        let named: Vec<_> = job.rooms.iter().filter_map(|room| RoomId::parse(room).ok()).collect();
        let rooms = match named.is_empty() {
            false => named,
            true => self.rooms.memberships(&user).await?.keys().cloned().collect(),
        };
        for room in rooms {
            for event in self.said_in(&user, &room, job.limit).await? {
                if let Some(why) = self.redact(job, &user, &room, &event).await?
                    && job.failed.len() < FAILED_MAX
                {
                    job.failed.insert(event.to_string(), why);
                }
            }
        }
        Ok(())
    }

    /// What somebody said in a room and is there to be read, newest first, among the last `limit` events of theirs.
    async fn said_in(&self, user: &UserId, room: &RoomId, limit: u64) -> Result<Vec<OwnedEventId>> {
        let (mut said, mut seen) = (Vec::new(), 0);
        let mut next = match self.rooms.now(room).await {
            Ok((_, last)) => Some(last),
            Err(RoomError::UnknownRoom(_)) => None,
            Err(error) => return Err(error.into()),
        };
        while let Some(from) = next {
            let page = self.rooms.page(room, Direction::Backward, from, None, PAGE).await?;
            next = page.next;
            for known in page.events.iter().filter(|known| known.event().sender() == user) {
                if seen == limit {
                    return Ok(said);
                }
                seen += 1;
                said.extend(is_said(known).then(|| known.id().clone()));
            }
        }
        Ok(said)
    }

    /// Redacts one event, in the name of who said it or of who wants it gone. Answers why not, if nobody may.
    async fn redact(&self, job: &JobRow, user: &UserId, room: &RoomId, event: &EventId) -> Result<Option<String>> {
        let themselves = Some(user).filter(|user| self.rooms.is_local(user) && !job.by_hand);
        let by = UserId::parse(&job.by).ok();
        let mut why = "nobody may redact it".to_owned();
        for redactor in themselves.into_iter().chain(by.as_deref()) {
            match self.rooms.redact(Sender::of(redactor), room, event, job.reason.as_deref()).await {
                Ok(_) => return Ok(None),
                Err(error @ (RoomError::Storage(_) | RoomError::Commit(_))) => return Err(error.into()),
                Err(error) => why = error.to_string(),
            }
        }
        Ok(Some(why))
    }
}

/// Whether an event says something that is there to be taken back: no state, no redaction, not redacted yet.
fn is_said(known: &Arc<Known>) -> bool {
    let event = known.event();
    event.state_key().is_none() && *event.kind() != TimelineEventType::RoomRedaction && known.redacted_by().is_none()
}
