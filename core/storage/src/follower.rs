//! Followers: work that must see every commit, at least once and in order, over restarts and on any node.
//!
//! A follower's place is a row. What it does for a page of commits and its new place are one batch, so its effects on the
//! store happen exactly once; effects outside (a push, an e-mail) may happen again after a crash.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast::error::RecvError;

use crate::{Batch, CommitPage, Position, StorageError, Store, Table, Tail};

/// Where each follower stands.
pub(crate) const FOLLOWERS: Table<String, Place> = Table::new(
    "_followers",
    "Written with the effects of each page a follower has worked through, read when it starts and when the log is \
     pruned. One row per follower.",
);

/// Groups of commits a follower is given at once.
const PAGE_GROUPS: usize = 64;

/// The pause after a first failure, and the longest one.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A follower's place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Everything up to here has been worked through.
    pub(crate) cursor: Position,
}

/// A reader of the stream with a durable place in it.
pub struct Follower {
    store: Store,
    name: String,
    tail: Tail,
    place: Arc<Mutex<Known>>,
}

/// What is known of the place.
#[derive(Clone, Copy)]
struct Known {
    /// As the row says.
    stored: Option<Place>,
    /// Up to here there is nothing to do, though that has not been written.
    seen: Position,
}

impl Follower {
    /// The follower of this name, where it left off. A new one begins at the oldest commit that the log still has.
    pub async fn new(store: &Store, name: &str) -> Result<Self, StorageError> {
        // Subscribed before the log is read, so that nothing falls between the two.
        let tail = store.tail();
        let follower = Self {
            store: store.clone(),
            name: name.to_owned(),
            tail,
            place: Arc::new(Mutex::new(Known { stored: None, seen: Position(0) })),
        };
        follower.reload().await?;
        Ok(follower)
    }

    /// Everything up to here has been worked through.
    pub fn cursor(&self) -> Position {
        self.place.lock().seen
    }

    /// Waits until there is something after the cursor, and tells it. Until the cursor is moved the answer is the same.
    pub async fn next(&mut self) -> Result<CommitPage, StorageError> {
        loop {
            let page = self.store.commits_since(self.cursor(), PAGE_GROUPS).await?;
            if !page.commits.is_empty() || page.missed {
                return Ok(page);
            }
            self.place.lock().seen = page.through;
            let store = self.store.clone();
            tokio::select! {
                () = self.wait(page.through) => {}
                () = store.ended() => return Err(StorageError::engine("the store is closed")),
            }
        }
    }

    /// Waits for a commit after `after` that touched something.
    async fn wait(&mut self, after: Position) {
        loop {
            match self.tail.recv().await {
                Ok(commit) if commit.last <= after || commit.subjects.is_empty() => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                // Never while this follower holds the store.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Makes moving the cursor to `through` part of `batch`. Conflicts when another node runs the same follower.
    pub fn advance(&self, batch: &mut Batch, through: Position) {
        let stored = self.place.lock().stored;
        let moved = Place { cursor: through };
        batch.expect(&FOLLOWERS, &self.name, stored.as_ref()).put(&FOLLOWERS, &self.name, &moved);
        let place = self.place.clone();
        batch.after_commit(move |_| *place.lock() = Known { stored: Some(moved), seen: through });
    }

    /// Takes the place from the store again, after another node has moved it.
    pub async fn reload(&self) -> Result<(), StorageError> {
        let stored = self.store.get(&FOLLOWERS, &self.name).await?;
        let seen = stored.map_or(Position(0), |place| place.cursor);
        *self.place.lock() = Known { stored, seen };
        Ok(())
    }

    /// Works through the stream until the store is closed: `work` is given each page and answers with the batch of its
    /// effects, which is committed with the cursor. When it fails it is given the page again, after a growing pause.
    pub async fn run<E: std::fmt::Display>(mut self, mut work: impl AsyncFnMut(&CommitPage) -> Result<Batch, E>) {
        let mut pause = BACKOFF_FIRST;
        loop {
            match self.step(&mut work).await {
                Ok(()) => pause = BACKOFF_FIRST,
                Err(Step::Closed) => return,
                Err(Step::Failed(why)) => {
                    tracing::warn!(follower = self.name, %why, ?pause, "will try again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    async fn step<E: std::fmt::Display>(
        &mut self,
        work: &mut impl AsyncFnMut(&CommitPage) -> Result<Batch, E>,
    ) -> Result<(), Step> {
        let page = match self.next().await {
            Err(_) if self.store.has_ended() => return Err(Step::Closed),
            page => page.map_err(Step::failed)?,
        };
        let mut batch = work(&page).await.map_err(Step::failed)?;
        self.advance(&mut batch, page.through);
        match self.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(_) if self.store.has_ended() => Err(Step::Closed),
            Err(error) => {
                self.reload().await.map_err(Step::failed)?;
                Err(Step::failed(error))
            }
        }
    }
}

enum Step {
    Closed,
    Failed(String),
}

impl Step {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}
