//! Followers that need several lower crates: what keeps rosters and rooms in step.

pub mod campus;

mod tables;
