//! Paths of requests to other servers: fixed parts and encoded ones, and a query. Pure.

use std::fmt::Write;

/// A path with its query, encoded as it will be sent and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// A fixed path, such as `/_matrix/federation/v1/version`.
    pub fn at(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// With one more segment.
    #[must_use]
    pub fn segment(mut self, segment: impl AsRef<str>) -> Self {
        self.0.push('/');
        encode(segment.as_ref(), &mut self.0);
        self
    }

    /// With one more query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        encode(name, &mut self.0);
        self.0.push('=');
        encode(value.as_ref(), &mut self.0);
        self
    }

    /// With one more query parameter if there is a value.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Everything but RFC 3986's unreserved characters is encoded. A dot alone or doubled cannot be told from a step in the
/// path by encoding; [`crate::Peers::request`] refuses such paths.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_queries_are_encoded() {
        let target = Target::at("/x").segment("!a/b:c").query("ver", "1&2").maybe("no", None::<&str>).query("y", "ü");
        assert_eq!(target.as_str(), "/x/%21a%2Fb%3Ac?ver=1%262&y=%C3%BC");
    }
}
