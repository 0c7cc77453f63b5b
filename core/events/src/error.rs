//! What can be wrong with an event.

/// Why something is not an event, or not one that may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The JSON is not that of an event of the room's version.
    #[error("not an event of this room version: {0}")]
    Malformed(String),
    /// It is not JSON, or not such as canonical JSON can hold.
    #[error(transparent)]
    Json(#[from] crate::JsonError),
    /// More bytes, signed, than an event may have.
    #[error("the event is larger than {} bytes", crate::EVENT_BYTES_MAX)]
    TooLarge,
}

impl EventError {
    pub(crate) fn malformed(why: impl std::fmt::Display) -> Self {
        Self::Malformed(why.to_string())
    }
}
