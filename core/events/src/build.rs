//! Building an event: a draft and its place in the graph become hashed, signed JSON.
//!
//! The keys of an event and their order are known, so the text that is hashed, the text that is signed and the text that
//! is stored are written straight from the parts; only the content is a tree.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId,
    canonical_json::redact_content_in_place,
    events::TimelineEventType,
    room_version_rules::{EventIdFormatVersion, EventsReferenceFormatVersion, RoomVersionRules},
};
use std::{borrow::Cow, ops::Range, sync::OnceLock};

use crate::{
    AUTH_EVENTS_MAX, EVENT_BYTES_MAX, Event, EventError, ID_BYTES_MAX, PREV_EVENTS_MAX, ServerKey,
    authorize::owned::{owner_of, state_key_bytes_max},
    canonical::{write_integer, write_object, write_string, write_value},
    check_format, create_of,
    event::Parsed,
    hash::{id_of_text, sha256},
    room_id_of_create,
};

/// What somebody wants to say or set.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The type.
    pub kind: TimelineEventType,
    /// The state key, for state.
    pub state_key: Option<String>,
    /// The content.
    pub content: CanonicalJsonObject,
    /// The event to redact, for a redaction. It is put where the room version wants it.
    pub redacts: Option<OwnedEventId>,
}

impl Draft {
    /// A message.
    pub fn message(kind: impl Into<TimelineEventType>, content: CanonicalJsonObject) -> Self {
        Self { kind: kind.into(), state_key: None, content, redacts: None }
    }

    /// A state event.
    pub fn state(
        kind: impl Into<TimelineEventType>,
        state_key: impl Into<String>,
        content: CanonicalJsonObject,
    ) -> Self {
        Self { kind: kind.into(), state_key: Some(state_key.into()), content, redacts: None }
    }
}

/// Where in a room's graph an event is to stand.
#[derive(Debug, Clone)]
pub struct Placing<'a> {
    /// The room; `None` for the first event of a room whose id is made from it.
    pub room_id: Option<&'a RoomId>,
    /// Who sends it.
    pub sender: &'a UserId,
    /// When.
    pub ts: MilliSecondsSinceUnixEpoch,
    /// The events before it.
    pub prev_events: Vec<OwnedEventId>,
    /// The events that permit it.
    pub auth_events: Vec<OwnedEventId>,
    /// One more than the greatest depth before it.
    pub depth: u64,
    /// What the id is made from in the first two room versions; not used by the others.
    pub local_id: &'a str,
}

/// The unsigned JSON of a draft at its place: what another server's `make_join` template is, too.
pub fn template(draft: Draft, placing: &Placing<'_>, rules: &RoomVersionRules) -> CanonicalJsonObject {
    let Draft { kind, state_key, mut content, redacts } = draft;
    let top_redacts = place_redacts(redacts, &mut content, rules);
    let mut object = CanonicalJsonObject::new();
    let mut set = |name: &str, value: CanonicalJsonValue| drop(object.insert(name.to_owned(), value));
    if let Some(redacts) = top_redacts {
        set("redacts", redacts.to_string().into());
    }
    set("type", kind.to_string().into());
    if let Some(state_key) = state_key {
        set("state_key", state_key.into());
    }
    set("content", CanonicalJsonValue::Object(content));
    if let Some(room_id) = placing.room_id {
        set("room_id", room_id.to_string().into());
    }
    set("sender", placing.sender.to_string().into());
    set("origin_server_ts", CanonicalJsonValue::Integer(placing.ts.get().into()));
    set("prev_events", references(&placing.prev_events, rules));
    set("auth_events", references(&placing.auth_events, rules));
    set("depth", CanonicalJsonValue::Integer(depth_of(placing)));
    object
}

/// Builds, hashes and signs an event.
pub fn build(
    draft: Draft,
    placing: &Placing<'_>,
    rules: &RoomVersionRules,
    key: &ServerKey,
) -> Result<Event, EventError> {
    let Draft { kind, state_key, mut content, redacts } = draft;
    let top_redacts = place_redacts(redacts.clone(), &mut content, rules);
    let parts = Parts {
        kind: kind.to_string(),
        state_key: state_key.as_deref(),
        redacts: top_redacts.as_ref(),
        event_id: match rules.event_id_format {
            EventIdFormatVersion::V1 => Some(format!("${}:{}", placing.local_id, key.server())),
            _ => None,
        },
        prev_events: references_text(&placing.prev_events, rules),
        auth_events: references_text(&placing.auth_events, rules),
        placing,
        rules,
    };
    parts.check()?;
    let content_text = object_text(&content);
    let hash = sha256(&parts.write(Shape::Hashed, &content_text).0);
    let signed_content = redacted_text(&content, &content_text, &parts.kind, rules);
    let (signed, _) = parts.write(Shape::Signed { hash: &hash }, &signed_content);
    let signature = key.sign_text(&signed);
    let (json, content_at) = parts.write(Shape::Whole { hash: &hash, key, signature: &signature }, &content_text);
    if json.len() > EVENT_BYTES_MAX {
        return Err(EventError::TooLarge);
    }
    let event_id = match parts.event_id {
        Some(id) => id.try_into().map_err(EventError::malformed)?,
        None => id_of_text(&signed, rules)?,
    };
    let parsed = Parsed {
        room_id: match placing.room_id {
            Some(room_id) => room_id.to_owned(),
            None => room_id_of_create(&event_id)?,
        },
        carries_room_id: placing.room_id.is_some(),
        sender: placing.sender.to_owned(),
        origin_server_ts: placing.ts,
        redacts: redacts.filter(|_| kind == TimelineEventType::RoomRedaction),
        kind,
        state_key: state_key.map(String::into_boxed_str),
        prev_events: placing.prev_events.clone().into_boxed_slice(),
        auth_events: placing.auth_events.clone().into_boxed_slice(),
        depth: i64::from(depth_of(placing)).unsigned_abs(),
        json: json.into_boxed_str(),
        content_at,
        content: OnceLock::new(),
        says: OnceLock::new(),
        event_id,
    };
    Ok(parsed.into())
}

/// Hashes and signs JSON that has the form of an event, such as a template that another server made.
pub fn sign(mut object: CanonicalJsonObject, rules: &RoomVersionRules, key: &ServerKey) -> Result<Event, EventError> {
    key.sign_event(&mut object, rules)?;
    check_format(&object, rules)?;
    Event::from_object(&object, rules)
}

/// Adds this server's signature to an event that another server made and hashed. Nothing else of it changes: its id is that of
/// what was sent.
pub fn countersign(event: &Event, rules: &RoomVersionRules, key: &ServerKey) -> Result<Event, EventError> {
    let mut object = event.object();
    key.countersign(&mut object, rules)?;
    check_format(&object, rules)?;
    Event::from_object(&object, rules)
}

/// The parts of an event that are no tree.
struct Parts<'a> {
    kind: String,
    state_key: Option<&'a str>,
    redacts: Option<&'a OwnedEventId>,
    event_id: Option<String>,
    prev_events: String,
    auth_events: String,
    placing: &'a Placing<'a>,
    rules: &'a RoomVersionRules,
}

/// Which text of an event is written.
#[derive(Clone, Copy)]
enum Shape<'a> {
    /// What the content hash covers.
    Hashed,
    /// What signatures and the reference hash cover: redacted, with the content hash.
    Signed { hash: &'a str },
    /// All of it.
    Whole { hash: &'a str, key: &'a ServerKey, signature: &'a str },
}

impl Parts<'_> {
    fn check(&self) -> Result<(), EventError> {
        let longest = [&self.kind, self.event_id.as_deref().unwrap_or_default()];
        if longest.iter().any(|text| text.len() > ID_BYTES_MAX) {
            return Err(EventError::Malformed(format!("a type or id is longer than {ID_BYTES_MAX} bytes")));
        }
        if let Some(state_key) = self.state_key {
            let max = state_key_bytes_max(self.rules);
            if state_key.len() > max {
                return Err(EventError::Malformed(format!("the state key is longer than {max} bytes")));
            }
            let owner = owner_of(&self.kind.as_str().into(), self.state_key, self.rules);
            owner.map_err(|denied| EventError::Malformed(denied.0))?;
        }
        if self.placing.prev_events.len() > PREV_EVENTS_MAX || self.placing.auth_events.len() > AUTH_EVENTS_MAX {
            return Err(EventError::malformed("too many events are named before it"));
        }
        let create = self.placing.room_id.and_then(|room| create_of(room, self.rules));
        if create.is_some_and(|create| self.placing.auth_events.contains(&create)) {
            return Err(EventError::malformed("the first event of the room stands among `auth_events`"));
        }
        Ok(())
    }

    /// Writes the canonical JSON; the keys stand in their order. Answers where the content is, too.
    fn write(&self, shape: Shape<'_>, content: &str) -> (String, Range<usize>) {
        let Placing { room_id, sender, ts, .. } = self.placing;
        let mut out = String::with_capacity(content.len() + 1024);
        out.push_str("{\"auth_events\":");
        out.push_str(&self.auth_events);
        out.push_str(",\"content\":");
        let content_at = out.len()..out.len() + content.len();
        out.push_str(content);
        out.push_str(",\"depth\":");
        write_integer(&mut out, depth_of(self.placing).into());
        write_field(&mut out, "event_id", self.event_id.as_deref());
        if let Shape::Signed { hash } | Shape::Whole { hash, .. } = shape {
            out.push_str(",\"hashes\":{\"sha256\":\"");
            out.push_str(hash);
            out.push_str("\"}");
        }
        out.push_str(",\"origin_server_ts\":");
        write_integer(&mut out, ts.get().into());
        out.push_str(",\"prev_events\":");
        out.push_str(&self.prev_events);
        if !matches!(shape, Shape::Signed { .. }) {
            write_field(&mut out, "redacts", self.redacts.map(|id| id.as_str()));
        }
        write_field(&mut out, "room_id", room_id.map(RoomId::as_str));
        write_field(&mut out, "sender", Some(sender.as_str()));
        if let Shape::Whole { key, signature, .. } = shape {
            out.push_str(",\"signatures\":{");
            write_string(&mut out, key.server().as_str());
            out.push_str(":{");
            write_string(&mut out, key.id_str());
            out.push(':');
            write_string(&mut out, signature);
            out.push_str("}}");
        }
        write_field(&mut out, "state_key", self.state_key);
        write_field(&mut out, "type", Some(&self.kind));
        out.push('}');
        (out, content_at)
    }
}

fn write_field(out: &mut String, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    write_string(out, value);
}

fn object_text(object: &CanonicalJsonObject) -> String {
    let mut out = String::with_capacity(256);
    write_object(&mut out, object);
    out
}

/// The content as redaction leaves it.
fn redacted_text<'a>(
    content: &CanonicalJsonObject,
    whole: &'a str,
    kind: &str,
    rules: &RoomVersionRules,
) -> Cow<'a, str> {
    if content.is_empty() {
        return Cow::Borrowed(whole);
    }
    // Of types that no rule knows, nothing stays: the common case needs no copy.
    let known = kind.starts_with("m.room.") && !matches!(kind, "m.room.message" | "m.room.encrypted");
    if !known {
        return Cow::Borrowed("{}");
    }
    let mut left = content.clone();
    redact_content_in_place(&mut left, &rules.redaction, kind);
    Cow::Owned(object_text(&left))
}

/// Puts what a redaction redacts into the content, or answers it where the room version wants it at the top.
fn place_redacts(
    redacts: Option<OwnedEventId>,
    content: &mut CanonicalJsonObject,
    rules: &RoomVersionRules,
) -> Option<OwnedEventId> {
    if !rules.redaction.content_field_redacts {
        return redacts;
    }
    if let Some(redacts) = redacts {
        content.insert("redacts".to_owned(), redacts.to_string().into());
    }
    None
}

fn depth_of(placing: &Placing<'_>) -> js_int::Int {
    js_int::UInt::new_saturating(placing.depth).into()
}

fn references(ids: &[OwnedEventId], rules: &RoomVersionRules) -> CanonicalJsonValue {
    let one = |id: &OwnedEventId| match rules.events_reference_format {
        EventsReferenceFormatVersion::V1 => CanonicalJsonValue::Array(vec![
            id.to_string().into(),
            CanonicalJsonValue::Object(CanonicalJsonObject::new()),
        ]),
        _ => id.to_string().into(),
    };
    CanonicalJsonValue::Array(ids.iter().map(one).collect())
}

fn references_text(ids: &[OwnedEventId], rules: &RoomVersionRules) -> String {
    let mut out = String::with_capacity(64 * ids.len());
    write_value(&mut out, &references(ids, rules));
    out
}

#[cfg(test)]
mod tests;
