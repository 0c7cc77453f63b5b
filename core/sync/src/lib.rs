//! What a client sees: sync over the stream.
//!
//! The handle is [`Sync`]. It only reads: what it keeps in memory ([`activity`], `wakes`, `lazy`) can be lost at any time
//! and costs a client no more than a fuller answer.

pub mod activity;
mod error;
pub mod filter;
mod joined;
mod lazy;
mod own;
mod request;
pub mod response;
pub mod sliding;
mod standing;
mod sync;
mod timeline;
mod token;
mod v2;
mod wakes;

pub use error::{Result, SyncError};
pub use request::{StateForm, SyncRequest, TIMEOUT_MAX};
pub use sync::{Sync, SyncParts};
pub use token::{NotAToken, SyncToken};
