//! Events in answers: they are JSON already, and are put together as text. An answer to a join may hold many thousands.

use bytes::Bytes;
use lyceum_events::Event;
use lyceum_rooms::Known;
use lyceum_web::{ApiError, RawJson};
use serde::Serialize;
use std::sync::Arc;

/// A JSON object in the making.
pub(crate) struct Body(String);

impl Body {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Adds a list of events.
    pub(crate) fn events<'a>(mut self, name: &str, events: impl IntoIterator<Item = &'a Event>) -> Self {
        self.name(name);
        self.0.push('[');
        let mut first = true;
        for event in events {
            if !std::mem::take(&mut first) {
                self.0.push(',');
            }
            self.0.push_str(event.json());
        }
        self.0.push(']');
        self
    }

    /// Adds one event.
    pub(crate) fn event(mut self, name: &str, event: &Event) -> Self {
        self.name(name);
        self.0.push_str(event.json());
        self
    }

    /// Adds anything else.
    pub(crate) fn field(mut self, name: &str, value: &impl Serialize) -> Result<Self, ApiError> {
        let value = serde_json::to_string(value).map_err(|error| ApiError::internal(&error))?;
        self.name(name);
        self.0.push_str(&value);
        Ok(self)
    }

    /// The finished object.
    pub(crate) fn finish(mut self) -> RawJson {
        self.0.push('}');
        RawJson(Bytes::from(self.0))
    }

    /// The finished object as the endpoints of before 2019 send it: after the status, in a list.
    pub(crate) fn finish_in_pair(self) -> RawJson {
        let RawJson(object) = self.finish();
        RawJson(Bytes::from([b"[200,", &object[..], b"]"].concat()))
    }

    /// `name` is one of ours: nothing in it needs to be escaped.
    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}

/// The events themselves.
pub(crate) fn events(known: &[Arc<Known>]) -> impl Iterator<Item = &Event> {
    known.iter().map(|known| known.event())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_json_with_any_number_of_fields() {
        let text = |json: RawJson| String::from_utf8(json.0.to_vec()).unwrap();
        assert_eq!(text(Body::new().finish()), "{}");
        let body = Body::new().events("pdus", []).field("n", &1).unwrap();
        assert_eq!(text(body.finish_in_pair()), r#"[200,{"pdus":[],"n":1}]"#);
    }
}
