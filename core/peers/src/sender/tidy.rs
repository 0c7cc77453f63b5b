//! Keeping outboxes within bounds: a server that is away for long, or for good, is not kept everything for.

use lyceum_storage::{Batch, CommitError, StorageError};
use ruma::OwnedServerName;
use std::sync::atomic::Ordering;

use super::{Sender, outbox};
use crate::tables::DAYS;

/// Units kept for one server: about as many as are kept for a device here that does not come.
const UNITS_MAX: usize = 50_000;

/// For how many days.
const KEPT_DAYS: u64 = 60;

/// An outbox is measured after so many acts that put something into it.
const MEASURED_EVERY: u32 = 2_000;

const DAY_MS: u64 = 24 * 60 * 60_000;

impl Sender {
    /// Takes out of outboxes what is too old or too much: of all when a day begins, and of those that grew.
    pub(super) async fn tidy_outboxes(&self) -> Result<(), CommitError> {
        let grown = self.grown_outboxes();
        let servers = if self.begin_day().await? { outbox::servers(&self.inner.store).await? } else { grown };
        if servers.is_empty() {
            return Ok(());
        }
        let oldest = self.oldest_kept().await?;
        for server in servers {
            let dropped = outbox::trim(&self.inner.store, &server, oldest, UNITS_MAX).await?;
            if dropped > 0 {
                tracing::warn!(%server, dropped, "a server is away for long: the oldest of what it is to be sent is dropped");
                let dropped = u64::try_from(dropped).unwrap_or(u64::MAX);
                metrics::counter!("lyceum_federation_outbox_dropped_total", "server" => server.to_string())
                    .increment(dropped);
            }
        }
        Ok(())
    }

    fn grown_outboxes(&self) -> Vec<OwnedServerName> {
        let destinations = self.inner.destinations.lock();
        let grown = destinations.values().filter(|one| {
            let mut state = one.state.lock();
            let has_grown = state.put_into_outbox >= MEASURED_EVERY;
            if has_grown {
                state.put_into_outbox = 0;
            }
            has_grown
        });
        grown.map(|one| one.server.clone()).collect()
    }

    /// Notes where a day begins in the stream. Answers whether this run has just come to it.
    async fn begin_day(&self) -> Result<bool, CommitError> {
        let day = self.today();
        if self.inner.day.load(Ordering::Acquire) == day {
            return Ok(false);
        }
        let store = &self.inner.store;
        if store.get(&DAYS, day).await?.is_none() {
            let mut batch = Batch::new();
            batch.put(&DAYS, day, &store.committed().0);
            // The last day that is too old says what else is.
            let old = DAYS.all().through(&DAYS, day.saturating_sub(KEPT_DAYS)).reversed();
            for (day, _) in store.scan(&DAYS, old).await?.into_iter().skip(1) {
                batch.delete(&DAYS, day);
            }
            store.commit(batch).await?;
        }
        self.inner.day.store(day, Ordering::Release);
        Ok(true)
    }

    /// What stands before this position in the stream is too old.
    async fn oldest_kept(&self) -> Result<u64, StorageError> {
        let until = self.today().saturating_sub(KEPT_DAYS);
        let last = self.inner.store.scan(&DAYS, DAYS.all().through(&DAYS, until).reversed().limit(1)).await?;
        Ok(last.first().map_or(0, |(_, position)| position + 1))
    }

    fn today(&self) -> u64 {
        u64::from(self.inner.peers.shared.clock.now().get()) / DAY_MS
    }
}
