//! Why something about the institution did not happen, in its own words.

use lyceum_storage::{CommitError, StorageError};

/// What the institution answers when it cannot do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InstitutionError {
    /// There is no such person, unit, enrolment or row.
    #[error("{0}")]
    NotFound(String),
    /// What was asked for contradicts what is.
    #[error("{0}")]
    Wrong(String),
    /// A campus rule refused.
    #[error("{reason} (rule: {rule})")]
    Refused {
        /// The rule that refused.
        rule: &'static str,
        /// What the person is told.
        reason: String,
    },
    /// A named limit was reached.
    #[error("{0}")]
    Limit(String),
    /// Other writers were quicker every time.
    #[error("too many changes at once, try again")]
    Busy,
    /// The store refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store took no more batches.
    #[error(transparent)]
    Commit(CommitError),
    /// A stored row is not what it has to be.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl From<CommitError> for InstitutionError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => Self::Busy,
            CommitError::Storage(error) => Self::Storage(error),
            closed @ CommitError::Closed => Self::Commit(closed),
        }
    }
}

/// What the institution answers.
pub type Result<T, E = InstitutionError> = std::result::Result<T, E>;
