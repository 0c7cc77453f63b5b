//! What the store does for itself now and then: keeping the log of commits short.

use crate::{CommitError, store::WeakStore};

/// Runs until the store is closed.
pub(crate) async fn run(store: WeakStore) {
    loop {
        store.shared.upkeep.notified().await;
        let Some(store) = store.upgrade().filter(|store| !store.has_ended()) else { return };
        match store.prune_log().await {
            Ok(()) => {}
            Err(CommitError::Closed) => return,
            Err(error) => tracing::warn!(%error, "the log of commits could not be pruned"),
        }
    }
}
