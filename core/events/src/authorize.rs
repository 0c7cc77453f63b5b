//! Whether a room's rules permit an event: the specification's checks, by ruma, over facts that were loaded before.

pub(crate) mod message;
pub(crate) mod owned;

use ruma::{
    EventId, OwnedEventId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::RoomVersionRules,
    state_res::{auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules},
};
use serde_json::value::RawValue;

use crate::{Draft, Event, EventError, canonical::canonical};

/// Why an event is not permitted, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(pub String);

/// The places of the state that permits a draft.
pub fn auth_types(
    draft: &Draft,
    sender: &UserId,
    rules: &RoomVersionRules,
) -> Result<Vec<(StateEventType, String)>, EventError> {
    // Only what a membership event says matters here.
    let content = match draft.kind {
        TimelineEventType::RoomMember => {
            RawValue::from_string(canonical(&draft.content)).map_err(EventError::malformed)?
        }
        _ => RawValue::NULL.to_owned(),
    };
    auth_types_for_event(&draft.kind, sender, draft.state_key.as_deref(), &content, &rules.authorization)
        .map_err(EventError::Malformed)
}

/// The places of the state that permits an event; none for an event whose content makes no sense.
pub fn auth_types_of(event: &Event, rules: &RoomVersionRules) -> Vec<(StateEventType, String)> {
    let content = match event.kind() {
        TimelineEventType::RoomMember => event.content(),
        _ => RawValue::NULL,
    };
    auth_types_for_event(event.kind(), event.sender(), event.state_key(), content, &rules.authorization)
        .unwrap_or_default()
}

/// The first event of a room whose id is made from it (since version 12).
pub fn create_of(room: &RoomId, rules: &RoomVersionRules) -> Option<OwnedEventId> {
    if !rules.authorization.room_create_event_id_as_room_id {
        return None;
    }
    format!("${}", room.strip_sigil()).try_into().ok()
}

/// The checks that need an event's own auth events only (and, since version 12, the room's first event).
pub fn authorize_by_auth_events(
    event: &Event,
    rules: &RoomVersionRules,
    event_by_id: impl Fn(&EventId) -> Option<Event>,
) -> Result<(), Denied> {
    check_state_independent_auth_rules(&rules.authorization, event, event_by_id).map_err(Denied)
}

/// The checks against a state of the room: that of the auth events, that before the event, or the current one.
pub fn authorize_by_state(
    event: &Event,
    rules: &RoomVersionRules,
    state: impl Fn(&StateEventType, &str) -> Option<Event>,
) -> Result<(), Denied> {
    if message::surely_permits(event, rules, &state) {
        return Ok(());
    }
    match owned::owner_of(event.kind(), event.state_key(), rules)? {
        Some(owner) => owned::authorize(event, &owner, rules, &state),
        None => check_state_dependent_auth_rules(&rules.authorization, event, state).map_err(Denied),
    }
}

#[cfg(test)]
mod tests;
