//! The form an event must have, and the limits the specification sets to it.
//! <https://spec.matrix.org/v1.19/client-server-api/#size-limits> and "Event format" of each room version.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue as Value,
    room_version_rules::{EventsReferenceFormatVersion, RoomVersionRules},
};

use crate::{EventError, authorize::owned::state_key_bytes_max, canonical::canonical};

/// The bytes a signed event may have in canonical form.
pub const EVENT_BYTES_MAX: usize = 65_536;
/// The bytes of a user id, a room id, an event id, a type, a state key.
pub const ID_BYTES_MAX: usize = 255;
/// How many events may stand directly before one.
pub const PREV_EVENTS_MAX: usize = 20;
/// How many events may permit one.
pub const AUTH_EVENTS_MAX: usize = 10;

/// How many events the one that is read may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum References {
    /// As many as an event may name today.
    Limited,
    /// However many it names: rooms have events from before there was a limit. Spec, `GET /backfill`: its response "MUST NOT be
    /// validated on these specific restrictions". What bounds them is the size of an event.
    AsTheyAre,
}

impl References {
    fn at_most(self, limit: usize) -> usize {
        match self {
            Self::Limited => limit,
            Self::AsTheyAre => usize::MAX,
        }
    }
}

/// Checks form and size of signed JSON that this server makes.
pub fn check_format(object: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<(), EventError> {
    if canonical(object).len() > EVENT_BYTES_MAX {
        return Err(EventError::TooLarge);
    }
    text(object, "type", ID_BYTES_MAX)?;
    text(object, "state_key", state_key_bytes_max(rules))?;
    check_fields(object, rules, References::Limited)
}

/// Checks the form of an event's fields.
pub(crate) fn check_fields(
    object: &CanonicalJsonObject,
    rules: &RoomVersionRules,
    named: References,
) -> Result<(), EventError> {
    // Before version 11 servers counted characters here, and rooms have such events.
    let sized = if rules.redaction.content_field_redacts { text } else { text_in_characters };
    let kind = required(sized(object, "type", ID_BYTES_MAX)?, "type")?;
    required(text(object, "sender", ID_BYTES_MAX)?, "sender")?;
    sized(object, "state_key", state_key_bytes_max(rules))?;
    if kind == "m.room.redaction" && !rules.redaction.content_field_redacts {
        text(object, "redacts", ID_BYTES_MAX)?;
    }
    if rules.event_format.require_event_id {
        required(text(object, "event_id", ID_BYTES_MAX)?, "event_id")?;
    }
    let room_id = text(object, "room_id", ID_BYTES_MAX)?;
    if kind != "m.room.create" || rules.event_format.require_room_create_room_id {
        required(room_id, "room_id")?;
    }
    for name in ["content", "hashes", "signatures"] {
        if !matches!(object.get(name), Some(Value::Object(_))) {
            return Err(EventError::Malformed(format!("`{name}` is not an object")));
        }
    }
    count(object, "depth")?;
    count(object, "origin_server_ts")?;
    references(object, "prev_events", named.at_most(PREV_EVENTS_MAX), rules)?;
    let auth = references(object, "auth_events", named.at_most(AUTH_EVENTS_MAX), rules)?;
    if let Some(room_id) = room_id
        && !rules.event_format.allow_room_create_in_auth_events
        && auth.iter().any(|id| id.get(1..) == room_id.get(1..))
    {
        return Err(EventError::malformed("the first event of the room stands among `auth_events`"));
    }
    Ok(())
}

fn text<'a>(object: &'a CanonicalJsonObject, name: &str, max: usize) -> Result<Option<&'a str>, EventError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= max => Ok(Some(text)),
        Some(Value::String(_)) => Err(EventError::Malformed(format!("`{name}` is longer than {max} bytes"))),
        Some(_) => Err(EventError::Malformed(format!("`{name}` is not a string"))),
    }
}

fn text_in_characters<'a>(
    object: &'a CanonicalJsonObject,
    name: &str,
    max: usize,
) -> Result<Option<&'a str>, EventError> {
    match object.get(name) {
        Some(Value::String(text)) if text.chars().count() <= max => Ok(Some(text)),
        _ => text(object, name, max),
    }
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, EventError> {
    value.ok_or_else(|| EventError::Malformed(format!("there is no `{name}`")))
}

fn count(object: &CanonicalJsonObject, name: &str) -> Result<(), EventError> {
    match object.get(name) {
        Some(Value::Integer(number)) if i64::from(*number) >= 0 => Ok(()),
        _ => Err(EventError::Malformed(format!("`{name}` is not an integer that is not negative"))),
    }
}

fn references<'a>(
    object: &'a CanonicalJsonObject,
    name: &str,
    max: usize,
    rules: &RoomVersionRules,
) -> Result<Vec<&'a str>, EventError> {
    let Some(Value::Array(items)) = object.get(name) else {
        return Err(EventError::Malformed(format!("`{name}` is not an array")));
    };
    if items.len() > max {
        return Err(EventError::Malformed(format!("`{name}` has more than {max} entries")));
    }
    let ids = items.iter().map(|item| reference(item, rules).filter(|id| id.len() <= ID_BYTES_MAX));
    ids.collect::<Option<_>>().ok_or_else(|| EventError::Malformed(format!("an entry of `{name}` names no event")))
}

/// The id in a reference: in the first two versions a pair of id and hashes, an id alone since.
fn reference<'a>(item: &'a Value, rules: &RoomVersionRules) -> Option<&'a str> {
    match (item, rules.events_reference_format) {
        (Value::Array(pair), EventsReferenceFormatVersion::V1) => match &pair[..] {
            [Value::String(id), Value::Object(_)] => Some(id),
            _ => None,
        },
        (Value::String(id), EventsReferenceFormatVersion::V2) => Some(id),
        _ => None,
    }
}
