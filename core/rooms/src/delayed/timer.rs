//! The timer: sends each delayed event when its time has come, also those whose time came while no server ran.

use lyceum_storage::Subject;
use ruma::UserId;
use std::time::Duration;

use super::{DelayedOutcome, rows::DELAYED_SUBJECT};
use crate::{
    Result, RoomError, Rooms,
    tables::{DELAYED, DELAYED_DUE, DELAYED_OWNERS},
};

/// Events sent before it is looked again what is due.
const DUE_AT_ONCE: usize = 100;
/// The longest wait before the time of day is looked at again: it may have been set.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

impl Rooms {
    /// Sends delayed events when their time comes, for as long as it is run.
    pub async fn keep_delays(&self) {
        let changed = self.store().watch(&[Subject::other(DELAYED_SUBJECT)]);
        loop {
            let wait = match self.send_due().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "delayed events could not be sent, trying again");
                    Some(PAUSE)
                }
            };
            let over = async {
                match wait {
                    Some(wait) => self.0.clock.sleep(wait.min(WAIT_MAX)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => {}
                () = changed.changed() => {}
            }
        }
    }

    /// Sends what is due. Answers how long it is until the next; `None` if nothing waits.
    async fn send_due(&self) -> Result<Option<Duration>> {
        loop {
            let rows = self.store().scan(&DELAYED_DUE, DELAYED_DUE.all().limit(DUE_AT_ONCE)).await?;
            let now = self.now_ms();
            let Some(((first, _), ())) = rows.first() else { return Ok(None) };
            if *first > now {
                return Ok(Some(Duration::from_millis(first - now)));
            }
            for ((due, id), ()) in rows.into_iter().filter(|((due, _), ())| *due <= now) {
                self.send_one(due, &id).await?;
            }
        }
    }

    async fn send_one(&self, due: u64, id: &str) -> Result<()> {
        match self.end_by_sending(id, false).await {
            Ok(_) => Ok(()),
            Err(failed @ (RoomError::Storage(_) | RoomError::Commit(_) | RoomError::Busy)) => Err(failed),
            Err(RoomError::NotFound(_)) => self.pass_over(due, id).await,
            Err(refusal) => {
                tracing::debug!(id, %refusal, "a delayed event was not permitted");
                Ok(())
            }
        }
    }

    /// One that is due and not to be sent: somebody else has set its state, or it ended at this very moment.
    async fn pass_over(&self, due: u64, id: &str) -> Result<()> {
        let owner = self.store().get(&DELAYED_OWNERS, id).await?.unwrap_or_default();
        let row = self.store().get(&DELAYED, (owner.as_str(), id)).await?;
        if let (Some(row), Ok(user)) = (row.filter(|row| row.end.is_none()), <&UserId>::try_from(owner.as_str())) {
            return self.end_delayed((user, id), &row, DelayedOutcome::Cancelled, false).await;
        }
        let mut batch = lyceum_storage::Batch::new();
        batch.delete(&DELAYED_DUE, (due, id));
        self.store().commit(batch).await?;
        Ok(())
    }
}
