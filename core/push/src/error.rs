//! Why something about notifications did not happen.

use lyceum_accounts::AccountError;
use lyceum_rooms::{RoomError, UnreadError};
use lyceum_storage::{CommitError, StorageError};

/// What the crate answers when it cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Something that has to be there is not.
    #[error("missing: {0}")]
    Missing(String),
    /// A value that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A named limit was reached.
    #[error("{0}")]
    Limit(String),
    /// Rooms could not be read.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// Accounts could not be read.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<UnreadError> for PushError {
    fn from(error: UnreadError) -> Self {
        match error {
            UnreadError::Rooms(error) => Self::Rooms(error),
            UnreadError::Accounts(error) => Self::Accounts(error),
            UnreadError::Storage(error) => Self::Storage(error),
        }
    }
}

/// Shorthand.
pub(crate) type Result<T, E = PushError> = std::result::Result<T, E>;
