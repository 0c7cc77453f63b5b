//! Keeping the place in the stream, with a note of what gateways have not taken up to there.

use lyceum_storage::Batch;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Notifier, PAGE_ROWS};
use crate::{Pusher, error::Result, tables::UNDELIVERED};

/// How long after a change what waits is noted: what gateways take at once is never written down.
const KEEP_AFTER: Duration = Duration::from_secs(1);

impl Notifier {
    /// Notes what waits, a while after anything changed.
    pub(super) async fn keep_up(&self) {
        loop {
            self.0.has_changed.notified().await;
            self.push().clock().sleep(KEEP_AFTER).await;
            if let Err(error) = self.keep().await {
                tracing::warn!(%error, "what gateways have not taken could not be noted, trying again");
            }
        }
    }

    /// Moves the durable place to where the lines have been filled, and brings the notes in step: one batch.
    pub(super) async fn keep(&self) -> Result<()> {
        let follower = self.0.follower.lock().await;
        if !self.0.is_changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // The place first: what is put into the lines after this is not before it.
        let through = self.routed();
        let mut batch = Batch::new();
        follower.advance(&mut batch, through);
        let lines: Vec<_> = self.0.lines.lock().values().cloned().collect();
        let changed: Vec<_> = lines.into_iter().filter_map(|line| line.to_note().map(|noted| (line, noted))).collect();
        for (line, noted) in &changed {
            match noted.is_empty() {
                true => batch.delete(&UNDELIVERED, line.key.parts()),
                false => batch.put(&UNDELIVERED, line.key.parts(), noted),
            };
        }
        if let Err(error) = self.push().store().commit(batch).await {
            self.changed();
            follower.reload().await?;
            return Err(error.into());
        }
        for (line, noted) in changed {
            line.noted(noted);
        }
        // One that somebody holds is about to be filled.
        self.0.lines.lock().retain(|_, line| Arc::strong_count(line) > 1 || !line.is_idle());
        Ok(())
    }

    /// Takes up the notes of the last run.
    pub(super) async fn recall(&self) -> Result<()> {
        let mut next = UNDELIVERED.all().limit(PAGE_ROWS);
        loop {
            let rows = self.push().store().scan(&UNDELIVERED, next).await?;
            let Some(((user, app_id, pushkey), _)) = rows.last() else { return Ok(()) };
            next = UNDELIVERED.all().after(&UNDELIVERED, (user, app_id, pushkey)).limit(PAGE_ROWS);
            for (names, noted) in rows {
                let Some(key) = Pusher::key_of(names) else { continue };
                let line = self.line(&key);
                line.recall(noted);
                self.work_soon(&line);
            }
        }
    }
}
