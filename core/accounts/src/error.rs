//! What can go wrong with accounts, in the domain's words. The web's error page gives each its Matrix status and code.

use lyceum_storage::{CommitError, StorageError};
use ruma::api::client::uiaa::UiaaInfo;

/// Why something about an account could not be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountError {
    /// No session has this token. `soft_logout`: the device is still known and may sign in again and keep its keys.
    #[error("the access token is not known or no longer valid")]
    UnknownToken {
        /// Whether the client may keep its local data.
        soft_logout: bool,
    },
    /// The account is locked by an administrator.
    #[error("this account is locked")]
    Locked,
    /// The account is suspended: it may read and leave, nothing else.
    #[error("this account is suspended")]
    Suspended,
    /// Name or password (or token) did not fit. Deliberately says no more.
    #[error("wrong user name or password")]
    WrongCredentials,
    /// The account has been closed.
    #[error("this account has been deactivated")]
    Deactivated,
    /// The name is taken.
    #[error("this user name is taken")]
    UserInUse,
    /// The name cannot be a user name.
    #[error("{0}")]
    InvalidUsername(&'static str),
    /// The name belongs to an application service, or to the institution itself.
    #[error("this user name is reserved")]
    Exclusive,
    /// The password is refused.
    #[error("{0}")]
    WeakPassword(&'static str),
    /// More authentication is needed; the client is told what.
    #[error("more authentication is needed")]
    Interactive(Box<UiaaInfo>),
    /// The act is not allowed.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What was sent is not signed with the shared secret.
    #[error("HMAC incorrect")]
    WrongMac,
    /// There is no such thing.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// A value is wrong.
    #[error("{0}")]
    InvalidParam(String),
    /// Something is wrong that the specification has no word for.
    #[error("{0}")]
    Unknown(String),
    /// A required value is missing.
    #[error("{0} is required")]
    MissingParam(&'static str),
    /// The JSON is not of the form the endpoint takes.
    #[error("{0}")]
    BadJson(String),
    /// A value is larger than allowed.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// A profile field's name is too long.
    #[error("the field's name is too long")]
    KeyTooLarge,
    /// A profile would grow past its limit.
    #[error("the profile would be too large")]
    ProfileTooLarge,
    /// A named limit on how many of something one may have.
    #[error("there are too many {0}")]
    TooMany(&'static str),
    /// The server does not serve this, by configuration.
    #[error("{0}")]
    Unrecognized(&'static str),
    /// The act is not possible on this kind of data through this endpoint.
    #[error("{0}")]
    NotThisWay(&'static str),
    /// A key backup write named another version than the current one.
    #[error("the key backup's current version is {current}")]
    WrongBackupVersion {
        /// The current version.
        current: String,
    },
    /// A signature did not verify.
    #[error("{0}")]
    InvalidSignature(String),
    /// Other writers kept coming first.
    #[error("too many changes at once; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store takes no more writes.
    #[error("the store is closed")]
    Closed,
}

impl From<CommitError> for AccountError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => Self::Busy,
            CommitError::Storage(error) => Self::Storage(error),
            CommitError::Closed => Self::Closed,
        }
    }
}

/// The crate's result.
pub(crate) type Result<T, E = AccountError> = std::result::Result<T, E>;
