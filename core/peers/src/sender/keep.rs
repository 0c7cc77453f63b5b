//! Keeping the sender's place in the stream, with a note of everything not delivered up to there.

use lyceum_storage::{Batch, CommitError, StorageError};
use ruma::OwnedServerName;
use std::sync::{Arc, atomic::Ordering};

use super::{Destination, Sender, destination::Behind, outbox};
use crate::tables::BEHIND;

/// Notes read at once at the start.
const PAGE_ROWS: usize = 10_000;

impl Sender {
    /// Moves the durable place to where the queues have been filled, and brings the notes of what is undelivered in step:
    /// one batch, so that nothing before the place is ever without its note.
    pub(super) async fn keep(&self) -> Result<(), CommitError> {
        let follower = self.inner.follower.lock().await;
        if !self.inner.is_changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // The place first: what is put into the queues after this is not before it.
        let through = self.routed();
        let mut batch = Batch::new();
        follower.advance(&mut batch, through);
        let destinations: Vec<_> = self.inner.destinations.lock().values().cloned().collect();
        let changed = destinations.into_iter().filter_map(|destination| note(&mut batch, destination));
        let changed: Vec<(Arc<Destination>, Behind)> = changed.collect();
        if let Err(error) = self.inner.store.commit(batch).await {
            self.changed();
            follower.reload().await?;
            return Err(error);
        }
        for (destination, noted) in changed {
            destination.state.lock().noted = noted;
        }
        Ok(())
    }

    /// Takes up the notes of the last run, and what is in outboxes.
    pub(super) async fn recall(&self) -> Result<(), StorageError> {
        let store = &self.inner.store;
        let mut next = BEHIND.all().limit(PAGE_ROWS);
        loop {
            let rows = store.scan(&BEHIND, next).await?;
            let Some(((server, about), _)) = rows.last() else { break };
            next = BEHIND.all().after(&BEHIND, (server.as_str(), about.as_str())).limit(PAGE_ROWS);
            for ((server, about), from) in rows {
                let Ok(server) = OwnedServerName::try_from(server) else { continue };
                let destination = self.destination(&server);
                let mut state = destination.state.lock();
                let about: Arc<str> = about.into();
                state.is_behind = true;
                state.behind.insert(about.clone(), from);
                state.noted.insert(about, from);
            }
        }
        for server in outbox::servers(store).await? {
            self.destination(&server).state.lock().has_outbox = true;
        }
        let destinations: Vec<_> = self.inner.destinations.lock().values().cloned().collect();
        for destination in destinations.into_iter().filter(|one| self.inner.peers.allows(&one.server)) {
            self.work_soon(&destination);
        }
        Ok(())
    }
}

/// Writes the notes of one destination that changed; nothing when none did.
fn note(batch: &mut Batch, destination: Arc<Destination>) -> Option<(Arc<Destination>, Behind)> {
    let (undelivered, noted) = {
        let state = destination.state.lock();
        (state.undelivered(), state.noted.clone())
    };
    let server = destination.server.as_str();
    for (about, from) in undelivered.iter().filter(|(about, from)| noted.get(*about) != Some(from)) {
        batch.put(&BEHIND, (server, about), from);
    }
    for about in noted.keys().filter(|about| !undelivered.contains_key(*about)) {
        batch.delete(&BEHIND, (server, about));
    }
    (undelivered != noted).then_some((destination, undelivered))
}
