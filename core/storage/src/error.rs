//! What can go wrong between the store and its callers.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A read failed, or the store was found damaged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The engine could not read or write.
    #[error("the store could not be read or written: {0}")]
    Engine(Arc<str>),
    /// A stored key or value does not have the form its table says.
    #[error("table {table} holds a row that cannot be read: {detail}")]
    Corrupt {
        /// The table's name.
        table: &'static str,
        /// What did not fit.
        detail: Arc<str>,
    },
}

impl StorageError {
    /// An engine failure, described by what the engine said.
    pub fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine(error.to_string().into())
    }
}

/// Why a batch was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// A row was not as the batch expected it: somebody else wrote first. Read again and decide again.
    #[error("another writer changed what this batch relied on (table {0})")]
    Conflict(&'static str),
    /// The engine failed. The store takes no further batches.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store is closed, after a failure or at shutdown.
    #[error("the store is closed")]
    Closed,
}

/// Why a store was not opened, in words for the person who started the server.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the store in {} is in use{}: the server is running", dir.display(), in_process(*process))]
    Locked {
        /// Where the store is.
        dir: PathBuf,
        /// The process that has it, if it said so.
        process: Option<u32>,
    },
    /// Something else stands where the directory should be.
    #[error("{} is not a directory, so the store cannot be in it", .0.display())]
    NotADirectory(PathBuf),
    /// The rows were written by a newer (or impossible) version of the server.
    #[error(
        "the store has schema version {found}, and this version of the server knows up to {known}: \
         run a newer server, or restore a backup made before the upgrade"
    )]
    Schema {
        /// What the store says.
        found: u32,
        /// What this program can read.
        known: u32,
    },
    /// A restore did not come to its end.
    #[error("a restore into this store was interrupted: remove it and restore the backup again")]
    HalfRestored,
    /// The configuration does not say what the engine needs.
    #[error("[storage] {0}")]
    Config(Arc<str>),
    /// The engine could not open it.
    #[error("the store at {place} could not be opened: {detail}")]
    Engine {
        /// Where.
        place: Arc<str>,
        /// What the engine said.
        detail: Arc<str>,
    },
    /// It could be opened but not read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A migration could not be committed.
    #[error("the store could not be brought up to date: {0}")]
    Migration(#[from] CommitError),
}

impl OpenError {
    pub(crate) fn engine(place: &Path, error: &dyn std::fmt::Display) -> Self {
        Self::Engine { place: place.display().to_string().into(), detail: error.to_string().into() }
    }
}

fn in_process(process: Option<u32>) -> String {
    process.map(|id| format!(" by process {id}")).unwrap_or_default()
}
