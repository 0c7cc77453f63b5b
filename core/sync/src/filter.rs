//! Filters, made ready for matching: wildcards compiled once a request, sets for senders.

use ruma::api::client::filter::{Filter, RoomEventFilter, UrlFilter};
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
        }
    }
}

impl EventFilter {
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
