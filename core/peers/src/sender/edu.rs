//! What is told to other servers beside events (EDUs).

use serde_json::{Value, json};

use crate::signing::written;

/// An ephemeral unit: its type and content.
#[derive(Debug, Clone, PartialEq)]
pub struct Edu {
    /// `m.typing`, `m.direct_to_device`, …
    pub kind: String,
    /// As the specification has it for the type.
    pub content: Value,
}

impl Edu {
    /// One of a type with this content.
    pub fn new(kind: &str, content: Value) -> Self {
        Self { kind: kind.to_owned(), content }
    }

    /// As it stands in a transaction, written like what is signed: some servers check the signature over what they read, and
    /// others over the bytes.
    pub(crate) fn to_json(&self) -> String {
        written(&json!({ "edu_type": self.kind, "content": self.content }))
    }

    /// Takes another one into itself where the type allows: presence of several people is one unit.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        if self.kind != "m.presence" || other.kind != self.kind {
            return false;
        }
        let (Some(mine), Some(theirs)) = (self.content["push"].as_array_mut(), other.content["push"].as_array()) else {
            return false;
        };
        mine.extend(theirs.iter().cloned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_gathered_and_nothing_else() {
        let presence = |user: &str| Edu::new("m.presence", json!({ "push": [{ "user_id": user }] }));
        let mut one = presence("@a:x");
        assert!(one.absorb(&presence("@b:x")));
        assert_eq!(one.content["push"].as_array().map(Vec::len), Some(2));
        assert!(!one.absorb(&Edu::new("m.typing", json!({}))));
        assert!(!Edu::new("m.typing", json!({})).absorb(&one));
    }
}
