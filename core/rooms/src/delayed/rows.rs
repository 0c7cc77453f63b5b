//! The rows of delayed events, and how they change: always from what was read, or not at all.

use lyceum_storage::{Batch, CommitError, Subject};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use super::{Delayed, DelayedEnd, DelayedOutcome};
use crate::{
    Result, RoomError, Rooms,
    groups::parse_event_id,
    room::TransactionKey,
    tables::{DELAYED, DELAYED_DUE, DELAYED_OWNERS},
    write::WRITE_TRIES,
};

/// How a commit says that something is due at another time.
pub(super) const DELAYED_SUBJECT: &str = "delayed";
/// Rows of one person that are read: more than there can be.
const ROWS_MAX: usize = 10_000;

/// A delayed event as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredDelayed {
    pub(crate) room_id: String,
    pub(crate) kind: String,
    pub(crate) state_key: Option<String>,
    pub(crate) content: String,
    pub(crate) delay_ms: u64,
    pub(crate) running_since_ms: u64,
    /// The time it shall bear, if its sender may say so.
    pub(crate) ts: Option<u64>,
    /// What makes a repeated request recognisable.
    pub(crate) transaction: Option<TransactionKey>,
    /// The position at which it was asked for.
    pub(crate) scheduled_at: u64,
    pub(crate) end: Option<StoredEnd>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredEnd {
    pub(crate) at_ms: u64,
    pub(crate) was_asked_for: bool,
    pub(crate) outcome: StoredOutcome,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoredOutcome {
    Sent(String),
    Cancelled,
    Refused(String),
}

impl StoredDelayed {
    pub(super) fn due_ms(&self) -> u64 {
        self.running_since_ms.saturating_add(self.delay_ms)
    }

    pub(super) fn room(&self) -> Result<OwnedRoomId> {
        OwnedRoomId::try_from(self.room_id.as_str())
            .map_err(|error| RoomError::Damaged(format!("a delayed event: {error}")))
    }

    pub(super) fn ended(self, at_ms: u64, outcome: DelayedOutcome, was_asked_for: bool) -> Self {
        let outcome = match outcome {
            DelayedOutcome::Sent(id) => StoredOutcome::Sent(id.to_string()),
            DelayedOutcome::Cancelled => StoredOutcome::Cancelled,
            DelayedOutcome::Refused(why) => StoredOutcome::Refused(why),
        };
        Self { end: Some(StoredEnd { at_ms, was_asked_for, outcome }), ..self }
    }

    /// The event as its owner is shown it.
    pub(super) fn shown(&self, id: String) -> Result<Delayed> {
        let end = match &self.end {
            None => None,
            Some(StoredEnd { at_ms, was_asked_for, outcome }) => {
                let outcome = match outcome {
                    StoredOutcome::Sent(id) => DelayedOutcome::Sent(parse_event_id(id.clone())?),
                    StoredOutcome::Cancelled => DelayedOutcome::Cancelled,
                    StoredOutcome::Refused(why) => DelayedOutcome::Refused(why.clone()),
                };
                Some(DelayedEnd { at_ms: *at_ms, outcome, was_asked_for: *was_asked_for })
            }
        };
        Ok(Delayed {
            id,
            room: self.room()?,
            kind: self.kind.clone(),
            state_key: self.state_key.clone(),
            content: self.content.clone(),
            delay_ms: self.delay_ms,
            running_since_ms: self.running_since_ms,
            end,
        })
    }
}

impl Rooms {
    /// A person's rows.
    pub(super) async fn delayed_rows(&self, user: &UserId) -> Result<Vec<(String, StoredDelayed)>> {
        let rows = self.store().scan(&DELAYED, DELAYED.prefix((user.as_str(),)).limit(ROWS_MAX)).await?;
        Ok(rows.into_iter().map(|((_, id), row)| (id, row)).collect())
    }

    /// One that still waits, and whose it is.
    pub(super) async fn waiting(&self, id: &str) -> Result<(OwnedUserId, StoredDelayed)> {
        let unknown = RoomError::NotFound("there is no such delayed event");
        let owner = self.store().get(&DELAYED_OWNERS, id).await?.ok_or_else(|| unknown.clone())?;
        let owner =
            UserId::parse(owner).map_err(|error| RoomError::Damaged(format!("a delayed event's owner: {error}")))?;
        let row = self.store().get(&DELAYED, (owner.as_str(), id)).await?.filter(|row| row.end.is_none());
        let row = row.ok_or_else(|| unknown.clone())?;
        if self.is_overruled(&owner, &row).await? { Err(unknown) } else { Ok((owner, row)) }
    }

    /// Adds a new row to a batch.
    pub(super) fn add_delayed(&self, batch: &mut Batch, user: &UserId, id: &str, mut row: StoredDelayed) {
        batch.expect(&DELAYED_OWNERS, id, None).put(&DELAYED_OWNERS, id, &user.to_string());
        batch.put(&DELAYED_DUE, (row.due_ms(), id), &());
        batch.touch(Subject::other(DELAYED_SUBJECT));
        let (user, id) = (user.to_string(), id.to_owned());
        batch.at_position(move |position, writes| {
            row.scheduled_at = position.0;
            writes.put(&DELAYED, (user.as_str(), id.as_str()), &row);
        });
    }

    /// Adds to a batch that a row becomes another, if it still is what it was.
    pub(super) fn replace_delayed(
        &self,
        batch: &mut Batch,
        (user, id): (&UserId, &str),
        before: &StoredDelayed,
        after: &StoredDelayed,
    ) {
        batch.expect(&DELAYED, (user.as_str(), id), Some(before)).put(&DELAYED, (user.as_str(), id), after);
        batch.delete(&DELAYED_DUE, (before.due_ms(), id));
        if after.end.is_none() {
            batch.put(&DELAYED_DUE, (after.due_ms(), id), &()).touch(Subject::other(DELAYED_SUBJECT));
        }
    }

    pub(super) fn remove_delayed(&self, batch: &mut Batch, user: &UserId, id: &str) {
        batch.delete(&DELAYED, (user.as_str(), id)).delete(&DELAYED_OWNERS, id);
    }

    /// Changes one that waits.
    pub(super) async fn change_delayed(
        &self,
        id: &str,
        change: impl Fn(StoredDelayed, u64) -> StoredDelayed,
    ) -> Result<()> {
        for _ in 0..WRITE_TRIES {
            let (user, before) = self.waiting(id).await?;
            let mut batch = Batch::new();
            self.replace_delayed(&mut batch, (&user, id), &before, &change(before.clone(), self.now_ms()));
            match self.store().commit(batch).await {
                Err(CommitError::Conflict(_)) => {}
                done => return done.map(drop).map_err(Into::into),
            }
        }
        Err(RoomError::Busy)
    }
}
