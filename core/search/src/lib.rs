//! Full-text search over messages, names and topics of rooms.
//!
//! The handle is [`Search`]. It owns an index of its own beside the store, in the data directory, and no table: everything
//! in the index can be made again from the rooms. It follows the stream of commits; how far it has come is committed with
//! the index itself, so that after a crash it goes on exactly there.
//!
//! Invariants:
//! * an event is indexed with what it says now: an edit changes the entry of the event it edits, a redaction removes it;
//! * what is found is looked at again before it is shown: the index never decides who may see what;
//! * encrypted rooms are not indexed.

mod config;
mod error;
mod find;
mod follow;
mod index;
mod rebuild;
mod text;
mod write;

pub use config::{SearchConfig, Stemming};
pub use error::SearchError;
pub use find::{Found, Group, Hit, Place, Query, Sorting};
pub use follow::{Search, SearchParts};
pub use text::Key;
