//! How an event says that it relates to another (`m.relates_to`).

use lyceum_events::Event;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId};
use serde::Deserialize;

/// A relation of one event to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The event related to.
    pub event_id: OwnedEventId,
    /// How: `m.annotation`, `m.replace`, `m.thread`, `m.reference` or another.
    pub rel_type: String,
    /// The key of an annotation.
    pub key: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(rename = "m.relates_to")]
    relates_to: Option<RelatesTo>,
}

#[derive(Deserialize)]
struct RelatesTo {
    event_id: Option<OwnedEventId>,
    rel_type: Option<String>,
    key: Option<String>,
}

impl Relation {
    /// The relation an event states, if any.
    pub fn of(event: &Event) -> Option<Self> {
        // Looking for the name first spares most events the parsing.
        if !event.content().get().contains("m.relates_to") {
            return None;
        }
        let RelatesTo { event_id, rel_type, key } = event.content_as::<Content>()?.relates_to?;
        Some(Self { event_id: event_id?, rel_type: rel_type?, key })
    }

    /// The relation a draft's content states, if any.
    pub fn of_content(content: &CanonicalJsonObject) -> Option<Self> {
        let CanonicalJsonValue::Object(relates_to) = content.get("m.relates_to")? else { return None };
        let text = |name: &str| relates_to.get(name).and_then(CanonicalJsonValue::as_str);
        Some(Self {
            event_id: EventId::parse(text("event_id")?).ok()?,
            rel_type: text("rel_type")?.to_owned(),
            key: text("key").map(ToOwned::to_owned),
        })
    }

    /// The key, if it is an annotation.
    pub fn annotation_key(&self) -> Option<&str> {
        self.key.as_deref().filter(|_| self.rel_type == "m.annotation")
    }
}
