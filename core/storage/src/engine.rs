//! What an engine has to do: ordered bytes, applied in groups, durable when it says so.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::ops::Bound;
use tokio::sync::Notify;

use crate::{CommitError, Position, StorageError, batch::Batch};

/// One write of a batch.
#[derive(Debug, Clone)]
pub enum Op {
    /// Sets a row.
    Put(Vec<u8>, Bytes),
    /// Sets a row where there certainly is none yet.
    Add(Vec<u8>, Bytes),
    /// Removes a row.
    Delete(Vec<u8>),
}

impl Op {
    /// The key that is written.
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Self::Put(key, _) | Self::Add(key, _) | Self::Delete(key) => key,
        }
    }
}

/// A bounded page of keys.
#[derive(Debug, Clone)]
pub struct RawRange {
    /// Where the page begins.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
    /// From the end to the start.
    pub reversed: bool,
    /// At most this many rows.
    pub limit: usize,
}

/// Ordered bytes that survive. Engines are driven by the committer; nobody else calls `apply`.
#[async_trait::async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Reads many rows at once.
    async fn get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// Reads one bounded page.
    async fn scan(&self, range: RawRange) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError>;

    /// Commits a group of batches in order, each whole or (when its expectations do not hold) not at all, giving each
    /// accepted one its positions, the first of them after every position given before. Groups count in the order of the
    /// calls. Durable when it resolves, and not seen by `get` and `scan` before it is durable. An error of the whole call
    /// means that nothing more can be trusted to be written.
    fn apply(&self, group: Vec<Batch>) -> BoxFuture<'_, Result<Vec<Applied>, StorageError>>;

    /// How many groups may be on their way at once.
    fn groups_in_flight(&self) -> usize {
        1
    }

    /// The last position given so far.
    async fn last_position(&self) -> Result<Position, StorageError>;

    /// Told when another process may have committed. `None` for an engine that one process has to itself.
    fn others(&self) -> Option<&Notify> {
        None
    }

    /// Everything as it is now, whatever is committed while it is read.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError>;

    /// Writes rows as they are, without positions or checks: for restoring into an empty store that nobody uses yet.
    /// Durable when it resolves.
    async fn load(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<(), StorageError>;

    /// Resolves when the engine has failed, whether or not a group is on its way: nothing more can be trusted to be written.
    async fn failed(&self) -> StorageError {
        std::future::pending().await
    }

    /// Lets go of files and connections. Everything after it is refused.
    async fn close(&self) {}
}

/// All rows at one moment.
#[async_trait::async_trait]
pub trait Snapshot: Send {
    /// The next rows in the order of their keys. None at the end.
    async fn next(&mut self) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError>;
}

/// Rows of a snapshot read at once.
pub(crate) const SNAPSHOT_ROWS: usize = 500;

/// What became of one batch of a group: its first position and what it still carries for after the commit.
pub type Applied = (Result<Position, CommitError>, Batch);
