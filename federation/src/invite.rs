//! Invites of other servers' people to this server's
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room)).

use axum::extract::State;
use lyceum_events::{Event, Received};
use lyceum_peers::{Peers, Unverified};
use lyceum_rooms::invitee_of;
use lyceum_web::{ApiError, FromServerRaw, RawJson, body};
use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, ServerName, canonical_json::CanonicalJsonValue,
    events::TimelineEventType, room_version_rules::RoomVersionRules,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

use crate::{api::Api, given::proved, pdus::Body};

/// State events that come with an invite and are looked at.
const TOLD_MAX: usize = 100;

#[derive(Deserialize)]
struct Given {
    room_version: Option<RoomVersionId>,
    event: Option<Box<RawValue>>,
    #[serde(default)]
    invite_room_state: Vec<Box<RawValue>>,
}

/// `PUT /_matrix/federation/v2/invite/{roomId}/{eventId}`.
pub(crate) async fn create_invite(
    State(api): State<Api>,
    request: FromServerRaw<(OwnedRoomId, OwnedEventId)>,
) -> Result<RawJson, ApiError> {
    let ((room, id), mut given) = (request.path, body::json::<Given>(&request.body)?);
    given.invite_room_state.truncate(TOLD_MAX);
    // Spec: 400, `M_MISSING_PARAM`.
    let (Some(version), Some(pdu)) = (given.room_version, given.event) else {
        return Err(ApiError::missing_param("`room_version` and `event` are required"));
    };
    let rules = rules_of(&version)?;
    check_told(&api.peers, &rules, &room, &given.invite_room_state).await?;
    let told = given.invite_room_state.iter().map(|one| one.get().to_owned()).collect();
    let invite = Invite { version, pdu, told };
    let signed = invite.take(&api, &request.origin, (&room, &id)).await?;
    Ok(Body::new().event("event", &signed).finish())
}

/// `PUT /_matrix/federation/v1/invite/{roomId}/{eventId}`, for rooms of the first two versions.
pub(crate) async fn create_invite_v1(
    State(api): State<Api>,
    request: FromServerRaw<(OwnedRoomId, OwnedEventId)>,
) -> Result<RawJson, ApiError> {
    let ((room, id), pdu) = (request.path, body::json::<Box<RawValue>>(&request.body)?);
    let version = RoomVersionId::V1;
    let received = Received::parse(pdu.get(), &*rules_of(&version)?)?;
    let told = received.unsigned().and_then(|unsigned| unsigned.get("invite_room_state"));
    let told = told.and_then(CanonicalJsonValue::as_array).into_iter().flatten().take(TOLD_MAX);
    let told = told.filter_map(|one| serde_json::to_string(one).ok()).collect();
    let invite = Invite { version, pdu, told };
    let signed = invite.take(&api, &request.origin, (&room, &id)).await?;
    Ok(Body::new().event("event", &signed).finish_in_pair())
}

fn rules_of(version: &RoomVersionId) -> Result<Arc<RoomVersionRules>, ApiError> {
    let rules =
        lyceum_events::rules_of(version).ok_or_else(|| ApiError::incompatible_room_version(version.as_str()))?;
    Ok(Arc::new(rules))
}

struct Invite {
    version: RoomVersionId,
    pdu: Box<RawValue>,
    told: Vec<String>,
}

impl Invite {
    async fn take(
        self,
        Api { rooms, peers, partners, accounts, services, .. }: &Api,
        origin: &ServerName,
        (room, id): (&RoomId, &EventId),
    ) -> Result<Event, ApiError> {
        let event = proved(peers, rules_of(&self.version)?, &self.pdu, (room, id)).await?;
        partners.meet(&[event.sender()]).await;
        // Only for what is an invite: bridges make accounts for those whom they know.
        let invitee = invitee_of(&event);
        services.make_known(accounts, invitee.as_deref().as_slice()).await?;
        Ok(rooms.take_invite(origin, &self.version, event, self.told).await?)
    }
}

/// Since version 12 a room's id is made from its first event, so what is told of the room can be proved to be of it; other
/// versions prove nothing, and are told whatever they are told. Servers that strip all but the first event are tolerated.
async fn check_told(
    peers: &Peers,
    rules: &Arc<RoomVersionRules>,
    room: &RoomId,
    told: &[Box<RawValue>],
) -> Result<(), ApiError> {
    if rules.event_format.require_room_create_room_id {
        return Ok(());
    }
    let whole: Vec<_> = told.iter().filter_map(|one| Received::parse(one.get(), rules).ok()).collect();
    if !whole.iter().any(|one| *one.event().kind() == TimelineEventType::RoomCreate) {
        return Err(ApiError::invalid_param("`invite_room_state` does not hold the room's create event"));
    }
    if whole.iter().any(|one| one.event().room() != room) {
        return Err(ApiError::invalid_param("`invite_room_state` holds an event of another room"));
    }
    let unverified = whole.into_iter().map(|event| Unverified { event, rules: rules.clone() }).collect();
    for verified in peers.verify_events(unverified).await? {
        verified.map_err(|error| ApiError::invalid_param(format!("`invite_room_state`: {error}")))?;
    }
    Ok(())
}
