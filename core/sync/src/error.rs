//! What can go wrong in an answer.

use lyceum_accounts::AccountError;
use lyceum_rooms::{RoomError, UnreadError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The connection is not, or no longer, known: the client has to begin anew.
    #[error("this connection is not known any more, begin anew")]
    UnknownPos,
    /// Rooms could not be read.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] lyceum_storage::StorageError),
    /// Accounts could not be read.
    #[error(transparent)]
    Accounts(#[from] AccountError),
}

impl From<UnreadError> for SyncError {
    fn from(error: UnreadError) -> Self {
        match error {
            UnreadError::Rooms(error) => Self::Rooms(error),
            UnreadError::Accounts(error) => Self::Accounts(error),
            UnreadError::Storage(error) => Self::Storage(error),
        }
    }
}

/// Shorthand.
pub type Result<T, E = SyncError> = std::result::Result<T, E>;
