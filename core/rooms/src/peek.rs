//! Watching one room, also without being in it where anybody may look.

use ruma::{RoomId, UserId};
use std::{sync::Arc, time::Duration};

use crate::{Known, Result, Rooms, Visibility};
use lyceum_storage::Subject;

/// Events that one look brings at most.
const EVENTS_MAX: usize = 100;

impl Rooms {
    /// The events after a place that a person may see, waiting for some if there are none. Also tells the place up to
    /// which was looked.
    pub async fn watch_room(
        &self,
        user: &UserId,
        room: &RoomId,
        from: Option<i64>,
        patience: Duration,
    ) -> Result<(Vec<Arc<Known>>, i64, Visibility)> {
        let watch = self.store().watch(&[Subject::room(room)]);
        let until = tokio::time::Instant::now() + patience;
        loop {
            let visibility = self.look_into(user, room).await?;
            let (_, last) = self.now(room).await?;
            let (events, _) = self.since(room, from.unwrap_or(last), last, EVENTS_MAX).await?;
            let mut seen = Vec::with_capacity(events.len());
            for known in events {
                if visibility.may_see(&known).await? {
                    seen.push(known);
                }
            }
            let waited = seen.is_empty() && tokio::time::timeout_at(until, watch.changed()).await.is_ok();
            if !waited {
                return Ok((seen, last, visibility));
            }
        }
    }
}
