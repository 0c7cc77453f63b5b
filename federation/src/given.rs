//! An event that comes with a request: read by the rules of its room's version, of the room and with the id that the path
//! names, and proved.

use lyceum_events::{Event, Received, Verified};
use lyceum_peers::{Peers, Unverified};
use lyceum_web::ApiError;
use ruma::{EventId, RoomId, UserId, events::TimelineEventType, room_version_rules::RoomVersionRules};
use serde_json::value::RawValue;
use std::{fmt::Display, sync::Arc};

/// Reads and proves an event. This server's own signature is not asked for: it signs what it takes up itself.
pub(crate) async fn proved(
    peers: &Peers,
    rules: Arc<RoomVersionRules>,
    raw: &RawValue,
    (room, id): (&RoomId, &EventId),
) -> Result<Event, ApiError> {
    let received = Received::parse(raw.get(), &rules)?.yet_to_be_signed_by(peers.server());
    if received.event().room() != room || received.event().id() != id {
        return Err(invalid("The path names another room or another event than the body"));
    }
    let verified = peers.verify_events(vec![Unverified { event: received, rules }]).await?.pop();
    match verified {
        Some(Ok(Verified::Whole(event))) => Ok(event),
        Some(Ok(Verified::Redacted(_))) => Err(invalid("The event does not have the content it was hashed with")),
        Some(Err(error)) => Err(invalid(error)),
        None => Err(ApiError::internal(&"an event came back from no check of signatures")),
    }
}

/// Whom an event is of, and whom it is about: those whose roles are asked for before it is judged.
pub(crate) fn people_of(event: &Event) -> Vec<&UserId> {
    let about = event.state_key().filter(|_| *event.kind() == TimelineEventType::RoomMember);
    let about = about.and_then(|user| <&UserId>::try_from(user).ok());
    std::iter::once(event.sender()).chain(about).collect()
}

/// Spec: "servers SHOULD return `M_INVALID_PARAM` if" such an event does not hold.
fn invalid(why: impl Display) -> ApiError {
    ApiError::invalid_param(why.to_string())
}
