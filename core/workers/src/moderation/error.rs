//! Why something about a case did not happen.

use lyceum_accounts::AccountError;
use lyceum_institution::InstitutionError;
use lyceum_rooms::RoomError;
use lyceum_storage::{CommitError, StorageError};

use crate::{campus::KeepError, notices::NoticeError};

/// What moderation answers when it cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ModerationError {
    /// There is no such case, or what it is about is gone.
    #[error("{0}")]
    NotFound(String),
    /// What was asked for makes no sense for this case.
    #[error("{0}")]
    Wrong(String),
    /// The institution refused.
    #[error(transparent)]
    Institution(#[from] InstitutionError),
    /// The room refused.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// People could not be read.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The moderation room could not be made.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// Somebody could not be told something.
    #[error(transparent)]
    Notices(#[from] NoticeError),
    /// Other writers were quicker every time.
    #[error("too many changes at once, try again")]
    Busy,
    /// Search failed, or is switched off.
    #[error("{0}")]
    Search(String),
    /// The store refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ModerationError {
    /// Whether it is a matter of deciding again.
    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::Rooms(RoomError::Busy)
                | Self::Institution(InstitutionError::Busy)
                | Self::Accounts(AccountError::Busy)
        )
    }

    /// Whether the store is at fault, so that it may go well another time.
    pub(crate) fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::Storage(_)
                | Self::Keep(_)
                | Self::Rooms(RoomError::Storage(_) | RoomError::Commit(_))
                | Self::Institution(InstitutionError::Storage(_) | InstitutionError::Commit(_))
                | Self::Accounts(AccountError::Storage(_))
                | Self::Notices(
                    NoticeError::Storage(_) | NoticeError::Rooms(RoomError::Storage(_) | RoomError::Commit(_))
                )
        ) || self.is_busy()
    }
}

impl From<CommitError> for ModerationError {
    fn from(error: CommitError) -> Self {
        Self::Rooms(error.into())
    }
}

/// What moderation answers.
pub(crate) type Result<T, E = ModerationError> = std::result::Result<T, E>;
