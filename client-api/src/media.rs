//! Media: uploads, downloads, thumbnails. Another server's are fetched and kept by `fetch.rs`; the headers that every
//! file carries are in `serve.rs`.

pub(crate) mod config;
pub(crate) mod download;
mod fetch;
pub(crate) mod preview;
mod serve;
pub(crate) mod thumbnail;
pub(crate) mod upload;

pub(crate) use fetch::Library;
