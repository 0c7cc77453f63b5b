//! What can go wrong with another server.

use lyceum_events::EventError;
use lyceum_outbound::OutboundError;
use lyceum_storage::{CommitError, StorageError};
use ruma::OwnedServerName;

/// Why another server gave no (usable) answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// Federation is switched off, or the lists of servers leave this one out.
    #[error("this server does not speak with {0}")]
    NotAllowed(OwnedServerName),
    /// It is this server itself.
    #[error("{0} is this server")]
    Myself(OwnedServerName),
    /// It failed shortly before and is left alone for a while.
    #[error("{0} could not be reached lately and is left alone for now")]
    LeftAlone(OwnedServerName),
    /// There was no answer.
    #[error("{server} could not be reached: {why}")]
    Unreachable {
        /// Who.
        server: OwnedServerName,
        /// What happened.
        why: OutboundError,
    },
    /// It answered with an error.
    #[error("{server} answered {status} {errcode}: {message}")]
    Refused {
        /// Who.
        server: OwnedServerName,
        /// The HTTP status.
        status: u16,
        /// The Matrix error code; `M_UNKNOWN` if there was none.
        errcode: String,
        /// Its words.
        message: String,
        /// The whole JSON object, for errors that carry more.
        body: Box<str>,
    },
    /// It answered with something that is not what the specification says.
    #[error("{server} answered with something unusable: {why}")]
    Nonsense {
        /// Who.
        server: OwnedServerName,
        /// What is wrong.
        why: String,
    },
    /// The request cannot be made: a path or body that cannot be sent.
    #[error("a request that cannot be sent: {0}")]
    Unsendable(String),
    /// The body is nothing that can be signed.
    #[error("a request whose body cannot be signed: {0}")]
    Unsignable(String),
    /// What is to be told could not be read.
    #[error("what is to be told to other servers could not be read: {0}")]
    Source(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store did not take a write.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl PeerError {
    /// Whether the server itself could not be spoken with, so that asking another one makes sense.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::NotAllowed(_) | Self::LeftAlone(_) | Self::Unreachable { .. } | Self::Nonsense { .. })
            || matches!(self, Self::Refused { status, .. } if *status >= 500)
    }

    /// Whether it is for what was sent that it was not taken: the same will never be. Answers that speak of who sends, of
    /// this moment or of something on the way are none of these, nor is one that no server of Matrix has written.
    pub(crate) fn is_for_good(&self) -> bool {
        match self {
            Self::Unsignable(_) | Self::Refused { status: 413, .. } => true,
            Self::Refused { status: 400, errcode, body, .. } => {
                let speaks_of_the_sender = ["M_UNRECOGNIZED", "M_UNAUTHORIZED", "M_FORBIDDEN", "M_LIMIT_EXCEEDED"];
                !speaks_of_the_sender.contains(&errcode.as_str()) && body.starts_with('{')
            }
            _ => false,
        }
    }

    /// Whether the server does not know the endpoint that it was asked at, as very old ones do not know the newer of two.
    pub fn is_unknown_endpoint(&self) -> bool {
        match self {
            Self::Refused { status: 400, errcode, .. } => errcode == "M_UNRECOGNIZED",
            Self::Refused { status: 404 | 405, errcode, .. } => errcode == "M_UNRECOGNIZED" || errcode == "M_UNKNOWN",
            _ => false,
        }
    }
}

/// Why an incoming request is not believed to come from the server it names.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthenticationError {
    /// The header is missing or not of the scheme.
    #[error("the X-Matrix authorization is missing or malformed: {0}")]
    Malformed(&'static str),
    /// It was meant for another server.
    #[error("the request was signed for {0}, not for this server")]
    WrongDestination(String),
    /// The lists of servers leave the sender out.
    #[error("this server does not speak with {0}")]
    NotAllowed(OwnedServerName),
    /// The body is not JSON that can be signed.
    #[error("the body is not canonical JSON: {0}")]
    Body(String),
    /// The key is not known and could not be had, or is no longer valid.
    #[error("the key {key} of {server} could not be had")]
    NoKey {
        /// Whose.
        server: OwnedServerName,
        /// Which.
        key: String,
    },
    /// The signature does not fit.
    #[error("the signature is wrong")]
    Signature,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a signed event or object is not believed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// A key that would be needed could not be had, or was not valid at the time.
    #[error("no valid key of {0} among those that signed")]
    NoKey(OwnedServerName),
    /// The same of an event of these days: its server may be out of reach for the moment only.
    #[error("no valid key of {0} among those that signed could be had yet")]
    NoKeyYet(OwnedServerName),
    /// A signature is missing or wrong.
    #[error("the signatures do not hold: {0}")]
    Signature(String),
    /// It has not the form of an event.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// Why the handle cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signing key has the name of an earlier one.
    #[error(
        "the signing key is named {0} like an earlier key of this server, but it is another key: give it a new name, \
         for other servers remember the old one"
    )]
    KeyNameTaken(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store did not take a write.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The document of this server's keys cannot be signed.
    #[error(transparent)]
    Event(#[from] EventError),
}
