//! Giving out ids before there is content.

use lyceum_storage::Batch;
use ruma::UserId;
use std::time::Duration;

use crate::{
    Media, MediaError,
    tables::{AWAITED, ContentRow, MEDIA, MediaRow},
};

/// An id that waits for its content.
#[derive(Debug, Clone)]
pub struct Reserved {
    /// The id.
    pub id: String,
    /// Until when it waits.
    pub until_ms: u64,
}

impl Media {
    /// Gives out an id, and forgets those of this person that waited in vain.
    pub async fn reserve(&self, owner: &UserId) -> Result<Reserved, MediaError> {
        let config = &self.0.config;
        let (server, now_ms) = (self.0.server.as_str(), self.now_ms());
        let waiting = self.0.store.scan(&AWAITED, AWAITED.prefix((owner.as_str(),))).await?;
        let mut batch = Batch::new();
        let (mut unused, mut first_ms) = (0, u64::MAX);
        for ((_, id), until_ms) in waiting {
            if until_ms <= now_ms {
                batch.delete(&AWAITED, (owner.as_str(), &id)).delete(&MEDIA, (server, &id));
            } else {
                unused += 1;
                first_ms = first_ms.min(until_ms);
            }
        }
        if unused >= config.unused_ids_max {
            return Err(MediaError::TooManyUnused(unused, Duration::from_millis(first_ms.saturating_sub(now_ms))));
        }
        let reserved =
            Reserved { id: self.new_id(), until_ms: now_ms.saturating_add(config.unused_id_secs.saturating_mul(1000)) };
        let content = ContentRow::Awaited { until_ms: reserved.until_ms };
        let row = MediaRow { owner: Some(owner.to_string()), created_ms: now_ms, content };
        batch.put(&MEDIA, (server, &reserved.id), &row).put(
            &AWAITED,
            (owner.as_str(), &reserved.id),
            &reserved.until_ms,
        );
        self.0.store.commit(batch).await?;
        Ok(reserved)
    }
}
