//! A person of the institution, and an enrolment of theirs.

use serde::{Deserialize, Serialize};

/// What is known of a person beside their account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name of their role.
    pub role: String,
}

/// A person's part in a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The name of the role there.
    pub role: String,
    /// From when; always, if not said.
    pub from_ms: Option<u64>,
    /// Until when, that moment excluded; for good, if not said.
    pub until_ms: Option<u64>,
}

impl Enrolment {
    /// Whether it counts at a moment.
    pub fn counts(&self, now_ms: u64) -> bool {
        self.from_ms.is_none_or(|from| from <= now_ms) && self.until_ms.is_none_or(|until| now_ms < until)
    }
}
