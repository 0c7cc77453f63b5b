//! The support desk: people ask its account in a chat, with any client. What they write is passed on into the room of those
//! who support, a thread for each request, and what those answer there is passed back in the desk's name. Where the desk is
//! anonymous nobody in that room is told who asks; whoever oversees may look it up, which the audit chain holds.
//!
//! * `request`: a request, and what was passed on; plain data.
//! * `content`: what of a message is passed on; pure.
//! * `commands`, `words`: what those who support write besides answers, and what they and those who ask are told.
//! * `desk`: the handle; opening and closing requests.
//! * `passing`: passing on what was written, rewritten and taken back.
//! * `follow`: what wakes all of it.

mod commands;
mod content;
mod desk;
mod follow;
mod passing;
mod request;
mod words;

pub use desk::{Support, SupportParts};
pub(crate) use request::{Passed, Request};
