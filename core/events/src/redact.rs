//! Redaction: what the room version leaves of an event.

use ruma::{canonical_json, room_version_rules::RoomVersionRules};

use crate::{Event, EventError, canonical::canonical};

/// What redaction leaves of an event. Its id stays the same.
pub fn redacted(event: &Event, rules: &RoomVersionRules) -> Result<Event, EventError> {
    let left = canonical_json::redact(event.object(), &rules.redaction, None).map_err(EventError::malformed)?;
    let left = Event::from_stored(event.id().clone(), canonical(&left).into_boxed_str(), rules)?;
    Ok(if event.is_rejected() { left.into_rejected() } else { left })
}

#[cfg(test)]
mod tests;
