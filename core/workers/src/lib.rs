//! What needs several lower crates: followers that keep rosters and rooms in step and make cases of reports, the support desk,
//! notices of the server to its people, and what administrators have done in the background.

pub mod campus;
pub mod deletions;
pub mod moderation;
pub mod notices;
pub mod past_purges;
pub mod redactions;
pub mod support;

mod stream;
mod tables;
