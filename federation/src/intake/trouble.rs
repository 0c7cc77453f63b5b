//! Why something of another server was not taken in: because of them, or because of us.

use lyceum_accounts::AccountError;
use lyceum_peers::PeerError;
use lyceum_rooms::RoomError;
use lyceum_web::ApiError;

/// Why something was not taken in.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// This server failed: the sender is to try again.
    Here(Box<ApiError>),
    /// It is not what it should be, or what it needs could not be had.
    There(String),
    /// It cannot be taken in whatever others answer another time.
    Never(String),
}

impl Trouble {
    pub(crate) fn there(why: impl Into<String>) -> Self {
        Self::There(why.into())
    }
}

impl From<RoomError> for Trouble {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::Storage(_) | RoomError::Commit(_) | RoomError::Busy => Self::Here(Box::new(error.into())),
            // What is wrong with one room here keeps nothing of others back.
            RoomError::Damaged(why) => {
                tracing::error!(why, "a room cannot be read");
                Self::there("this server cannot read the room")
            }
            error => Self::There(error.to_string()),
        }
    }
}

impl From<PeerError> for Trouble {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Storage(_) | PeerError::Commit(_) => Self::Here(Box::new(error.into())),
            error => Self::There(error.to_string()),
        }
    }
}

impl From<AccountError> for Trouble {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Storage(_) | AccountError::Busy | AccountError::Closed => Self::Here(Box::new(error.into())),
            error => Self::There(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::There(error.to_string())
    }
}
