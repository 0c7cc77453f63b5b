//! That sled has failed: told once, by whoever meets it first, and heard without asking sled or waiting for a lock, because
//! after a failure readers and writers may wait inside sled for ever.

use sled::Db;
use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::watch;

use crate::StorageError;

/// How often it is looked whether sled has given up without telling.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(200);

/// The failure, if there was one. Cheap to clone.
#[derive(Clone)]
pub(super) struct Failure(Arc<watch::Sender<Option<StorageError>>>);

impl Failure {
    pub(super) fn none_yet() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Tells of a failure. The first one counts.
    pub(super) fn tell(&self, error: StorageError) {
        self.0.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert(error);
            first
        });
    }

    pub(super) fn is_told(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Resolves when there is one.
    pub(super) async fn heard(&self) -> StorageError {
        let mut failure = self.0.subscribe();
        match failure.wait_for(Option::is_some).await.map(|told| told.clone()) {
            Ok(Some(error)) => error,
            // The sender lives as long as this handle.
            _ => std::future::pending().await,
        }
    }
}

/// A thread that looks whether sled has given up. sled keeps the error of a write that failed in one of its threads, and
/// does not wake everybody who waits for that write.
pub(super) struct Lookout {
    until: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Lookout {
    pub(super) fn start(db: &Db, failure: Failure) -> io::Result<Self> {
        // Not the tree: the files are closed when the last hold on that is let go.
        let context = db.context.clone();
        let (until, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("store-lookout".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(WATCH_EVERY) {
                if let Err(error) = context.global_error() {
                    return failure.tell(StorageError::engine(error));
                }
            }
        })?;
        Ok(Self { until, thread })
    }

    /// Ends the thread, so that it no longer holds the files.
    pub(super) fn end(self) {
        drop(self.until);
        // One that panicked has said so; there is nothing to add.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_first_failure_is_heard_by_all_before_and_after() {
        let failure = Failure::none_yet();
        assert!(failure.heard().now_or_never().is_none() && !failure.is_told(), "nothing has failed yet");
        let (waiting, other) = (
            tokio::spawn({
                let failure = failure.clone();
                async move { failure.heard().await }
            }),
            failure.clone(),
        );
        other.tell(StorageError::engine("the disk is full"));
        other.tell(StorageError::engine("what followed from it"));
        for heard in [waiting.await.unwrap(), failure.heard().await] {
            assert!(heard.to_string().contains("the disk is full"), "{heard}");
        }
    }
}
