//! What needs several lower crates: followers that keep rosters and rooms in step and make cases of reports, and notices of the
//! server to its people.

pub mod campus;
pub mod moderation;
pub mod notices;
pub mod redactions;

mod tables;
