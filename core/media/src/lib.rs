//! Files: upload, download, thumbnails, what is kept of other servers' media, previews of links.
//!
//! This crate owns the rows that say which media there are (`tables.rs`) and the files they are kept in (`files.rs`), named
//! by the SHA-256 of what is in them, so that the same bytes are kept once. Fetching another server's media is composed at
//! the doors: they hand over what arrives, this crate keeps it.
//!
//! Invariants:
//! * a row with content is committed after its file is durable, so what was acknowledged can be served;
//! * a file is never changed once it has its name;
//! * no image is decoded on an async thread, nor before its dimensions were found small enough.

mod care;
mod config;
mod content;
mod disposition;
mod error;
mod files;
mod media;
mod picture;
mod preview;
mod remote;
mod reserve;
mod sweep;
mod tables;
mod thumbnail;
mod upload;

pub use care::{Kept, Uploads};
pub use config::MediaConfig;
pub use content::{Content, Piece};
pub use error::MediaError;
pub use media::{Media, MediaParts};
pub use preview::PreviewConfig;
pub use remote::Fetching;
pub use reserve::Reserved;
pub use thumbnail::{Method, Picture, Wanted};
pub use upload::Described;
