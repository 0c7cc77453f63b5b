//! Followers of the stream that need several lower crates.
