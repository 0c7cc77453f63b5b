//! Removing what waited in vain and what is too old.

use lyceum_storage::{Batch, CommitError};

use crate::{
    Media, MediaError,
    tables::{AWAITED, MEDIA, PREVIEWS},
};

/// Rows looked at at once.
const PAGE: usize = 500;
/// A day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Media {
    /// Removes ids whose content never came, previews whose time is over, and what was fetched from other servers long ago.
    pub async fn sweep(&self) -> Result<(), MediaError> {
        self.sweep_awaited().await?;
        self.sweep_previews().await?;
        let kept_ms = self.0.config.remote_kept_days.saturating_mul(DAY_MS);
        self.remove_fetched(self.now_ms().saturating_sub(kept_ms)).await.map(drop)
    }

    async fn sweep_awaited(&self) -> Result<(), MediaError> {
        let mut after: Option<(String, String)> = None;
        loop {
            let scan = match &after {
                Some((owner, id)) => AWAITED.all().after(&AWAITED, (owner.as_str(), id.as_str())),
                None => AWAITED.all(),
            };
            let rows = self.0.store.scan(&AWAITED, scan.limit(PAGE)).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.clone());
            for ((owner, id), _) in rows.iter().filter(|(_, until_ms)| *until_ms <= self.now_ms()) {
                let before = self.row(&self.0.server, id).await?;
                let mut batch = Batch::new();
                batch
                    .expect(&MEDIA, (self.0.server.as_str(), id.as_str()), before.as_ref())
                    .delete(&MEDIA, (self.0.server.as_str(), id.as_str()))
                    .delete(&AWAITED, (owner.as_str(), id.as_str()));
                match self.0.store.commit(batch).await {
                    // Its content came just now.
                    Ok(_) | Err(CommitError::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    async fn sweep_previews(&self) -> Result<(), MediaError> {
        let mut after: Option<String> = None;
        loop {
            let scan = match &after {
                Some(after) => PREVIEWS.all().after(&PREVIEWS, after.as_str()),
                None => PREVIEWS.all(),
            };
            let rows = self.0.store.scan(&PREVIEWS, scan.limit(PAGE)).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.clone());
            let mut batch = Batch::new();
            for (url, _) in rows.iter().filter(|(_, row)| row.until_ms <= self.now_ms()) {
                batch.delete(&PREVIEWS, url.as_str());
            }
            if !batch.is_empty() {
                self.0.store.commit(batch).await?;
            }
        }
    }
}
