//! Files: upload, download, thumbnails, what is kept of other servers' media, previews of links.
//!
//! This crate owns the rows that say which media there are (`tables.rs`) and the files they are kept in (`files.rs`), named
//! by the SHA-256 of what is in them, so that the same bytes are kept once, in a directory or in a bucket of an S3 service. Fetching another server's media is composed at
//! the doors: they hand over what arrives, this crate keeps it.
//!
//! Invariants:
//! * a row with content is committed after its file is durable or in the bucket, so what was acknowledged can be served;
//! * a bucket (or a prefix in one) is one server's own: what nothing stands for is removed there;
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
pub use config::{Addressing, MediaConfig, MediaStorage, S3Config};
pub use content::{Content, Piece};
pub use error::MediaError;
pub use media::{Media, MediaParts, check_bucket};
pub use preview::PreviewConfig;
pub use remote::Fetching;
pub use reserve::Reserved;
pub use thumbnail::{Method, Picture, Wanted};
pub use upload::Described;
