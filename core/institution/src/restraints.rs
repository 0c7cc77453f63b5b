//! What is taken from people for a while: exams, blocks.

use serde::{Deserialize, Serialize};

/// An exam that a unit sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exam {
    /// When it begins.
    pub from_ms: u64,
    /// When it ends, that moment excluded.
    pub until_ms: u64,
}

impl Exam {
    /// Whether it is going on.
    pub fn counts(&self, now_ms: u64) -> bool {
        (self.from_ms..self.until_ms).contains(&now_ms)
    }
}

/// A person's right to say something, taken away, or given back only post by post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Until when; until somebody gives it back, if not said.
    pub until_ms: Option<u64>,
}

impl Block {
    /// Whether it holds at a moment.
    pub fn counts(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

/// How a person is blocked somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Not only in the room that was asked about.
    pub everywhere: bool,
    /// Until when.
    pub until_ms: Option<u64>,
}
