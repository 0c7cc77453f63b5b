//! Working off a line: a task that lives as long as something waits in it.

use std::sync::Arc;

use super::{
    Notifier,
    line::{Line, Next},
};
use crate::{
    Pusher,
    error::Result,
    gateway::{self, Verdict},
    notification,
};

impl Notifier {
    /// Sees to it that a line is worked off.
    pub(super) fn work_soon(&self, line: &Arc<Line>) {
        if *self.0.stopping.borrow() || !line.begin() {
            return;
        }
        let line = line.clone();
        self.spawn(|notifier| async move { notifier.work_off(&line).await });
    }

    async fn work_off(&self, line: &Line) {
        while let Some(next) = line.next() {
            let outcome = match self.tell_next(line, &next).await {
                Ok(outcome) => outcome,
                Err(error) => Outcome::Again(error.to_string()),
            };
            match outcome {
                Outcome::Done(told) => line.done(&next, told),
                Outcome::Gone => line.clear(),
                Outcome::Again(why) => {
                    metrics::counter!("lyceum_push_failed_total").increment(1);
                    let pause = line.failed();
                    tracing::debug!(app = line.key.app_id, why, ?pause, "a push gateway failed, trying again");
                    self.push().clock().sleep(pause).await;
                }
            }
            self.changed();
        }
    }

    async fn tell_next(&self, line: &Line, next: &Next) -> Result<Outcome> {
        let Some(pusher) = self.push().pusher(&line.key).await? else { return Ok(Outcome::Gone) };
        let unread = self.push().badge(&line.key.user).await?;
        let notification = match next {
            Next::Event(notice) => match self.told(&line.key.user, notice).await? {
                Some(told) => notification::of_event(&pusher, &told, &notice.tweaks, unread),
                None => return Ok(Outcome::Done(None)),
            },
            Next::Counts { told } if *told == Some(unread) => return Ok(Outcome::Done(None)),
            Next::Counts { .. } => notification::of_counts(&pusher, unread),
        };
        self.tell(&pusher, &notification, unread).await
    }

    async fn tell(&self, pusher: &Pusher, notification: &serde_json::Value, unread: u64) -> Result<Outcome> {
        let Some(url) = pusher.gateway() else { return Ok(Outcome::Gone) };
        let permit = self.0.permits.acquire().await;
        let verdict = gateway::tell(self.push().outbound(), url, &pusher.key.pushkey, notification).await;
        drop(permit);
        match verdict {
            Verdict::Taken => {
                metrics::counter!("lyceum_push_taken_total").increment(1);
                Ok(Outcome::Done(Some(unread)))
            }
            Verdict::Rejected => {
                tracing::info!(user = %pusher.key.user, app = pusher.key.app_id, "a gateway rejected a pusher: it is removed");
                self.push().forget(&pusher.key).await?;
                Ok(Outcome::Gone)
            }
            Verdict::Failed(why) => Ok(Outcome::Again(why)),
        }
    }
}

/// What became of a try.
enum Outcome {
    /// The gateway has it (and was told this count), or it is of no use any more.
    Done(Option<u64>),
    /// The pusher is no more.
    Gone,
    /// To be tried again; why.
    Again(String),
}
