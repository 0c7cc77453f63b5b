//! A request, and what was passed on of it.

use serde::{Deserialize, Serialize};

/// What somebody asks the support desk, from their first message until somebody closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Its number.
    pub(crate) number: u64,
    /// The chat in which it is asked.
    pub(crate) room_id: String,
    /// Who asks.
    pub(crate) user_id: String,
    /// When it was opened.
    pub(crate) opened_ms: u64,
    /// The event that begins its thread in the room of those who support; nothing until it is there.
    pub(crate) root: Option<String>,
    /// When it was closed; nothing while it is open.
    pub(crate) closed_ms: Option<u64>,
}

impl Request {
    pub(crate) fn open(number: u64, room: &str, user: &str, opened_ms: u64) -> Self {
        let (room_id, user_id) = (room.to_owned(), user.to_owned());
        Self { number, room_id, user_id, opened_ms, root: None, closed_ms: None }
    }
}

/// The other side of an event: what it was passed on as, or of what it was passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Passed {
    /// The number of the request.
    pub(crate) request: u64,
    /// The event in the other room; nothing for one that begins a thread.
    pub(crate) other: Option<String>,
}
