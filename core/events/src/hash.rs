//! Hashes of events: the content hash inside, the reference hash that is the id, and the text that signatures cover.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId, OwnedRoomId,
    canonical_json::RedactingSerializer,
    room_version_rules::{EventIdFormatVersion, RoomVersionRules},
};
use sha2::{Digest, Sha256};

use crate::EventError;

/// What of an event its signatures and its reference hash cover: all that redaction leaves, but for the signatures.
/// <https://spec.matrix.org/v1.19/server-server-api/#signing-events>
pub(crate) fn signed_text(object: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<String, EventError> {
    RedactingSerializer::new()
        .rules(&rules.redaction)
        .custom_redacted_root_fields(&["signatures", "unsigned"])
        .serialize(object)
        .map_err(EventError::malformed)
}

/// The content hash, as it stands in `hashes.sha256`.
/// <https://spec.matrix.org/v1.19/server-server-api/#calculating-the-content-hash-for-an-event>
pub fn content_hash(object: &CanonicalJsonObject) -> Result<String, EventError> {
    let text = RedactingSerializer::new()
        .custom_redacted_root_fields(&["hashes", "signatures", "unsigned"])
        .serialize(object)
        .map_err(EventError::malformed)?;
    Ok(sha256(&text))
}

/// Whether an event has the content that its content hash was made of. Padded base64 is tolerated.
pub(crate) fn hash_matches(object: &CanonicalJsonObject) -> Result<bool, EventError> {
    let Some(CanonicalJsonValue::Object(hashes)) = object.get("hashes") else { return Ok(false) };
    let Some(CanonicalJsonValue::String(claimed)) = hashes.get("sha256") else { return Ok(false) };
    Ok(claimed.trim_end_matches('=') == content_hash(object)?)
}

/// The reference hash as the first two versions carry it in `prev_events` and `auth_events`.
pub fn reference_hash(object: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<String, EventError> {
    Ok(sha256(&signed_text(object, rules)?))
}

pub(crate) fn sha256(text: &str) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

/// The id of an event: a field of the first two versions, the reference hash since.
pub fn event_id(object: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<OwnedEventId, EventError> {
    if rules.event_id_format == EventIdFormatVersion::V1 {
        return match object.get("event_id") {
            Some(CanonicalJsonValue::String(id)) => id.as_str().try_into().map_err(EventError::malformed),
            _ => Err(EventError::malformed("no event_id")),
        };
    }
    id_of_text(&signed_text(object, rules)?, rules)
}

/// The id that is the hash of the signed text.
pub(crate) fn id_of_text(text: &str, rules: &RoomVersionRules) -> Result<OwnedEventId, EventError> {
    let hash = Sha256::digest(text.as_bytes());
    let encoded = match rules.event_id_format {
        EventIdFormatVersion::V2 => STANDARD_NO_PAD.encode(hash),
        _ => URL_SAFE_NO_PAD.encode(hash),
    };
    format!("${encoded}").try_into().map_err(EventError::malformed)
}

/// Since version 12 a room's id is that of its first event with another sigil.
pub fn room_id_of_create(event_id: &EventId) -> Result<OwnedRoomId, EventError> {
    format!("!{}", &event_id.as_str()[1..]).try_into().map_err(EventError::malformed)
}
