//! Why an act in a room did not happen, in the room graph's own words.

use lyceum_storage::{CommitError, StorageError};
use ruma::{OwnedEventId, OwnedRoomId};

/// What the room graph answers when it cannot do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RoomError {
    /// This server knows no such room.
    #[error("there is no room {0} here")]
    UnknownRoom(OwnedRoomId),
    /// There is no such event, or the asker may not see it: the two are not told apart.
    #[error("there is no event {0} that you may see")]
    UnknownEvent(OwnedEventId),
    /// There is no such state, alias, receipt or other thing.
    #[error("{0}")]
    NotFound(&'static str),
    /// The room's rules (authorization, membership, visibility) do not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// A campus rule refused.
    #[error("{reason} (rule: {rule})")]
    Refused {
        /// The rule that refused.
        rule: String,
        /// What the person is told.
        reason: String,
    },
    /// A moderator has to let it go first.
    #[error("this waits for a moderator (rule: {0})")]
    Held(String),
    /// The room's policy server does not recommend it.
    #[error(transparent)]
    NotRecommended(crate::NotRecommended),
    /// What was asked for is not well-formed.
    #[error("{0}")]
    Bad(String),
    /// A field holds a value that it may not hold.
    #[error("{0}")]
    InvalidParam(String),
    /// The event would be larger than an event may be.
    #[error("the event is larger than {0} bytes")]
    TooLarge(usize),
    /// A room version that this server cannot create.
    #[error("room version {0} is not supported")]
    UnsupportedVersion(String),
    /// The asking server does not know the room's version.
    #[error("the room has version {0}, which was not offered")]
    IncompatibleVersion(String),
    /// The state a new room was asked to have contradicts itself.
    #[error("the room cannot begin like that: {0}")]
    InvalidRoomState(String),
    /// The alias belongs to another room already, or may not be taken.
    #[error("{0}")]
    RoomInUse(String),
    /// An alias in the content does not point at this room.
    #[error("{0}")]
    BadAlias(String),
    /// The same reaction by the same person is there already.
    #[error("the same annotation was sent before")]
    DuplicateAnnotation,
    /// The event that is said to be why a thread is followed is not in it.
    #[error("the event is not in that thread")]
    NotInThread,
    /// The person stopped following the thread after the event that is said to be why they follow it.
    #[error("you stopped following this thread since")]
    UnsubscribedSince,
    /// The person does not want to be asked in by this one.
    #[error("that person takes no invites from you")]
    InviteBlocked,
    /// Only a room that was left can be forgotten.
    #[error("leave the room first")]
    StillIn,
    /// A restricted room that this server cannot let anybody into by itself.
    #[error("another server of the room has to let you in")]
    UnableToAuthorizeJoin,
    /// The room's rules allow it only on a condition this user does not meet.
    #[error("{0}")]
    UnableToGrantJoin(String),
    /// Part of the room's state is still to come.
    #[error("the state of this room is still coming in, try again")]
    InPart,
    /// A named limit was reached.
    #[error("{0}")]
    Limit(String),
    /// Other writers were quicker every time.
    #[error("the room is too busy, try again")]
    Busy,
    /// The store refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store took no more batches.
    #[error(transparent)]
    Commit(CommitError),
    /// A stored event is not what it has to be: the store is damaged.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl From<CommitError> for RoomError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => Self::Busy,
            CommitError::Storage(error) => Self::Storage(error),
            closed @ CommitError::Closed => Self::Commit(closed),
        }
    }
}

impl RoomError {
    /// A refusal by the room's rules.
    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        Self::Forbidden(why.into())
    }
}

/// What the room graph answers.
pub type Result<T, E = RoomError> = std::result::Result<T, E>;
