//! The fully-read marker of a room: account data with an endpoint of its own.

use lyceum_storage::Batch;
use ruma::{EventId, RoomId, UserId};

use crate::{Accounts, error::Result};

/// The type it is kept under.
const FULLY_READ: &str = "m.fully_read";

impl Accounts {
    /// Sets a person's fully-read marker. That the event is one of the room's is the caller's to check.
    pub async fn set_fully_read(&self, user: &UserId, room: &RoomId, event: &EventId) -> Result<()> {
        let content = serde_json::json!({ "event_id": event }).to_string();
        let _guard = self.lock(user.as_str()).await;
        if self.account_data(user, Some(room), FULLY_READ).await?.as_deref() == Some(&*content) {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.add_account_data(&mut batch, user, Some(room), FULLY_READ, Some(content)).await?;
        self.store().commit(batch).await?;
        Ok(())
    }
}
