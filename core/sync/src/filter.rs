//! Filters, made ready for matching: wildcards compiled once a request, sets for senders.

use lyceum_events::Event;
use lyceum_rooms::Relation;
use ruma::api::client::filter::{Filter, FilterDefinition, RoomEventFilter, UrlFilter};
use serde::Deserialize;
use std::collections::HashSet;
use wildmatch::WildMatch;

/// Which events of a kind (timeline, state, ephemeral, presence…) a client wants.
#[derive(Debug, Default)]
pub struct EventFilter {
    types: Option<Vec<WildMatch>>,
    not_types: Vec<WildMatch>,
    senders: Option<HashSet<String>>,
    not_senders: HashSet<String>,
    contains_url: Option<bool>,
    relations: RelationFilter,
}

/// Which events by how they relate to others (MSC3874), which ruma's filters don't know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RelationFilter {
    #[serde(alias = "org.matrix.msc3874.rel_types")]
    rel_types: Option<HashSet<String>>,
    #[serde(default, alias = "org.matrix.msc3874.not_rel_types")]
    not_rel_types: HashSet<String>,
}

impl RelationFilter {
    fn fits(&self, event: &Event) -> bool {
        if self.is_open() {
            return true;
        }
        match Relation::of(event) {
            Some(relation) => {
                !self.not_rel_types.contains(&relation.rel_type)
                    && self.rel_types.as_ref().is_none_or(|types| types.contains(&relation.rel_type))
            }
            None => self.rel_types.is_none(),
        }
    }

    fn is_open(&self) -> bool {
        self.rel_types.is_none() && self.not_rel_types.is_empty()
    }
}

/// What a client wants of a sync.
#[derive(Debug, Clone, Default)]
pub struct SyncFilter {
    /// All that ruma knows of it.
    pub(crate) definition: FilterDefinition,
    /// Which events of timelines by their relations.
    pub(crate) timeline: RelationFilter,
}

impl From<FilterDefinition> for SyncFilter {
    fn from(definition: FilterDefinition) -> Self {
        Self { definition, timeline: RelationFilter::default() }
    }
}

impl SyncFilter {
    /// A filter as a client wrote it.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Room {
            timeline: RelationFilter,
        }
        #[derive(Deserialize)]
        struct Whole {
            #[serde(default)]
            room: Room,
        }
        let Whole { room } = serde_json::from_str(json)?;
        Ok(Self { definition: serde_json::from_str(json)?, timeline: room.timeline })
    }
}

/// A filter of a room's events as a client wrote it.
pub fn read_room_filter(json: &str) -> Result<(RoomEventFilter, EventFilter), serde_json::Error> {
    let filter: RoomEventFilter = serde_json::from_str(json)?;
    let wanted = EventFilter::from(&filter).related(serde_json::from_str(json)?);
    Ok((filter, wanted))
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The event type.
    pub kind: &'a str,
    /// Who sent it; none for what has no sender, such as account data.
    pub sender: Option<&'a str>,
}

fn patterns(types: &[String]) -> Vec<WildMatch> {
    types.iter().map(|pattern| WildMatch::new(pattern)).collect()
}

fn texts<T: ToString>(ids: &[T]) -> HashSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl From<&RoomEventFilter> for EventFilter {
    fn from(filter: &RoomEventFilter) -> Self {
        Self {
            types: filter.types.as_deref().map(patterns),
            not_types: patterns(&filter.not_types),
            senders: filter.senders.as_deref().map(texts),
            not_senders: texts(&filter.not_senders),
            contains_url: filter.url_filter.as_ref().map(|wanted| matches!(wanted, UrlFilter::EventsWithUrl)),
            relations: RelationFilter::default(),
        }
    }
}

impl From<&Filter> for EventFilter {
    fn from(filter: &Filter) -> Self {
        Self {
            types: filter.types.as_deref().map(patterns),
            not_types: patterns(&filter.not_types),
            senders: filter.senders.as_deref().map(texts),
            not_senders: texts(&filter.not_senders),
            contains_url: None,
            relations: RelationFilter::default(),
        }
    }
}

impl EventFilter {
    /// The same for events that relate to others so.
    pub(crate) fn related(self, relations: RelationFilter) -> Self {
        Self { relations, ..self }
    }

    /// Whether an event of a room is wanted.
    pub fn wants(&self, event: &Event) -> bool {
        #[derive(Deserialize)]
        struct WithUrl {
            url: Option<serde::de::IgnoredAny>,
        }
        if self.is_open() {
            return true;
        }
        let kind = event.kind().to_string();
        let facts = Facts { kind: &kind, sender: Some(event.sender().as_str()) };
        self.matches(facts, || event.content_as::<WithUrl>().is_some_and(|content| content.url.is_some()))
            && self.relations.fits(event)
    }

    /// Whether an event is wanted, `has_url` telling (only if the filter asks) whether its content has a `url`.
    pub fn matches(&self, facts: Facts<'_>, has_url: impl FnOnce() -> bool) -> bool {
        let wanted = |sender: &str| {
            !self.not_senders.contains(sender) && self.senders.as_ref().is_none_or(|senders| senders.contains(sender))
        };
        !self.not_types.iter().any(|pattern| pattern.matches(facts.kind))
            && self.types.as_ref().is_none_or(|types| types.iter().any(|pattern| pattern.matches(facts.kind)))
            && facts.sender.is_none_or(wanted)
            && self.contains_url.is_none_or(|asked| has_url() == asked)
    }

    /// Whether events of a type pass, from somebody at least.
    pub fn lets_kind_through(&self, kind: &str) -> bool {
        !self.not_types.iter().any(|pattern| pattern.matches(kind))
            && self.types.as_ref().is_none_or(|types| types.iter().any(|pattern| pattern.matches(kind)))
    }

    /// Whether every event passes, so that nothing needs to be looked at.
    pub fn is_open(&self) -> bool {
        self.types.is_none()
            && self.not_types.is_empty()
            && self.senders.is_none()
            && self.not_senders.is_empty()
            && self.contains_url.is_none()
            && self.relations.is_open()
    }

    /// Whether no event can pass: an empty list of wanted types or senders.
    pub fn is_closed(&self) -> bool {
        self.types.as_ref().is_some_and(Vec::is_empty) || self.senders.as_ref().is_some_and(HashSet::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filter(value: serde_json::Value) -> EventFilter {
        let parsed: RoomEventFilter = serde_json::from_value(value).unwrap();
        (&parsed).into()
    }

    fn passes(filter: &EventFilter, kind: &str, sender: &str) -> bool {
        filter.matches(Facts { kind, sender: Some(sender) }, || false)
    }

    #[test]
    fn types_match_with_wildcards_and_exclusion_wins() {
        let filter = filter(json!({ "types": ["m.room.*"], "not_types": ["m.room.member"] }));
        assert!(passes(&filter, "m.room.name", "@a:x"));
        assert!(!passes(&filter, "m.room.member", "@a:x"));
        assert!(!passes(&filter, "m.reaction", "@a:x"));
    }

    #[test]
    fn senders_and_urls_narrow() {
        let filter = filter(json!({ "senders": ["@a:x"], "contains_url": true }));
        assert!(!passes(&filter, "m.room.message", "@a:x"), "it has no url");
        assert!(filter.matches(Facts { kind: "m.room.message", sender: Some("@a:x") }, || true));
        assert!(!filter.matches(Facts { kind: "m.room.message", sender: Some("@b:x") }, || true));
    }

    #[test]
    fn an_empty_list_lets_nothing_through() {
        assert!(filter(json!({ "types": [] })).is_closed());
        assert!(filter(json!({})).is_open());
    }
}
