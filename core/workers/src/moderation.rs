//! Cases: what people report, and what moderators make of it. Reports become cases as they come; moderators handle them
//! in the moderation room with any client, or by command; everything they read or do has its row in the audit chain.
//!
//! * `case`: a case, and how it changes; pure.
//! * `desk`: the handle: who may, reading cases, changing them.
//! * `measures`, `restraining`: what is done about what was reported.
//! * `reading`: looking at what was reported, unseen by those in the room.
//! * `waiting`: posts that wait for somebody to look at them.
//! * `notices`: telling people things, once, over restarts.
//! * `commands`, `answers`, `words`: the moderation room.
//! * `follow`: what wakes all of it.

mod answers;
mod case;
mod commands;
mod desk;
mod error;
mod follow;
mod measures;
mod notices;
mod reading;
mod restraining;
mod waiting;
mod words;

pub use case::{Case, Note, Outcome, Reported, Taken};
pub use desk::{Moderation, ModerationParts};
pub use error::ModerationError;
pub(crate) use error::Result;
pub use measures::Measure;
pub(crate) use notices::Notice;
pub use reading::{Context, Finds, Said};
pub use waiting::Waiting;
