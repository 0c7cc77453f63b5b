//! Coming into rooms of this server and out of them: templates, and the events that other servers make of them
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#joining-rooms)).

use axum::extract::State;
use lyceum_events::Event;
use lyceum_peers::{Partners, Peers};
use lyceum_rooms::{JoinedState, Membership, Rooms, Template};
use lyceum_web::{ApiError, FromServer, FromServerRaw, RawJson};
use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, ServerName, UserId,
    api::federation::membership::{
        create_join_event, create_knock_event, create_leave_event, prepare_join_event, prepare_knock_event,
        prepare_leave_event,
    },
};
use serde_json::{json, value::RawValue};

use crate::{
    given::{people_of, proved},
    pdus::{Body, events},
};

/// `GET …/make_join/{roomId}/{userId}`.
pub(crate) async fn prepare_join_event(
    State(rooms): State<Rooms>,
    State(partners): State<Partners>,
    FromServer { origin, body }: FromServer<prepare_join_event::v1::Request>,
) -> Result<RawJson, ApiError> {
    partners.meet(&[&body.user_id]).await;
    lend(&rooms, &origin, Membership::Join, (&body.room_id, &body.user_id), &body.ver).await
}

/// `GET …/make_knock/{roomId}/{userId}`.
pub(crate) async fn prepare_knock_event(
    State(rooms): State<Rooms>,
    State(partners): State<Partners>,
    FromServer { origin, body }: FromServer<prepare_knock_event::v1::Request>,
) -> Result<RawJson, ApiError> {
    partners.meet(&[&body.user_id]).await;
    lend(&rooms, &origin, Membership::Knock, (&body.room_id, &body.user_id), &body.ver).await
}

/// `GET …/make_leave/{roomId}/{userId}`.
pub(crate) async fn prepare_leave_event(
    State(rooms): State<Rooms>,
    FromServer { origin, body }: FromServer<prepare_leave_event::v1::Request>,
) -> Result<RawJson, ApiError> {
    lend(&rooms, &origin, Membership::Leave, (&body.room_id, &body.user_id), &[]).await
}

async fn lend(
    rooms: &Rooms,
    origin: &ServerName,
    membership: Membership,
    (room, user): (&RoomId, &UserId),
    versions: &[RoomVersionId],
) -> Result<RawJson, ApiError> {
    if user.server_name() != origin {
        return Err(ApiError::forbidden("Templates are for your own people only"));
    }
    let Template { version, event } = rooms.lend_template(room, user, membership, versions).await?;
    RawJson::of(&json!({ "room_version": version, "event": event }))
}

/// The event of a request, proved.
async fn given(
    (rooms, peers, partners): (&Rooms, &Peers, &Partners),
    (room, id): (&RoomId, &EventId),
    pdu: &RawValue,
) -> Result<Event, ApiError> {
    let rules = rooms.snapshot(room).await?.shared_rules();
    let event = proved(peers, rules, pdu, (room, id)).await?;
    partners.meet(&people_of(&event)).await;
    Ok(event)
}

/// `PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}`.
pub(crate) async fn create_join_event(
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    State(partners): State<Partners>,
    FromServer { origin, body }: FromServer<create_join_event::v2::Request>,
) -> Result<RawJson, ApiError> {
    let event = given((&rooms, &peers, &partners), (&body.room_id, &body.event_id), &body.pdu).await?;
    let told = rooms.take_up_join(&origin, event, body.omit_members).await?;
    let mut answer = joined(&told);
    if let Some(event) = &told.event {
        answer = answer.event("event", event);
    }
    if told.members_omitted {
        answer = answer.field("members_omitted", &true)?.field("servers_in_room", &told.servers)?;
    }
    Ok(answer.finish())
}

/// `PUT /_matrix/federation/v1/send_join/{roomId}/{eventId}`, which very old servers use.
pub(crate) async fn create_join_event_v1(
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    State(partners): State<Partners>,
    request: FromServerRaw<(OwnedRoomId, OwnedEventId)>,
) -> Result<RawJson, ApiError> {
    let ((room, id), pdu) = (request.path, lyceum_web::body::json::<Box<RawValue>>(&request.body)?);
    let event = given((&rooms, &peers, &partners), (&room, &id), &pdu).await?;
    Ok(joined(&rooms.take_up_join(&request.origin, event, false).await?).finish_in_pair())
}

fn joined(told: &JoinedState) -> Body {
    Body::new().events("state", events(&told.state)).events("auth_chain", events(&told.auth_chain))
}

/// `PUT /_matrix/federation/v2/send_leave/{roomId}/{eventId}`.
pub(crate) async fn create_leave_event(
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    State(partners): State<Partners>,
    FromServer { origin, body }: FromServer<create_leave_event::v2::Request>,
) -> Result<RawJson, ApiError> {
    let event = given((&rooms, &peers, &partners), (&body.room_id, &body.event_id), &body.pdu).await?;
    rooms.take_up_leave(&origin, &event).await?;
    Ok(Body::new().finish())
}

/// `PUT /_matrix/federation/v1/send_leave/{roomId}/{eventId}`, which very old servers use.
pub(crate) async fn create_leave_event_v1(
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    State(partners): State<Partners>,
    request: FromServerRaw<(OwnedRoomId, OwnedEventId)>,
) -> Result<RawJson, ApiError> {
    let ((room, id), pdu) = (request.path, lyceum_web::body::json::<Box<RawValue>>(&request.body)?);
    let event = given((&rooms, &peers, &partners), (&room, &id), &pdu).await?;
    rooms.take_up_leave(&request.origin, &event).await?;
    Ok(Body::new().finish_in_pair())
}

/// `PUT /_matrix/federation/v1/send_knock/{roomId}/{eventId}`.
pub(crate) async fn create_knock_event(
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    State(partners): State<Partners>,
    FromServer { origin, body }: FromServer<create_knock_event::v1::Request>,
) -> Result<RawJson, ApiError> {
    let event = given((&rooms, &peers, &partners), (&body.room_id, &body.event_id), &body.pdu).await?;
    let state = rooms.take_up_knock(&origin, &event).await?;
    Ok(Body::new().field("knock_room_state", &state)?.finish())
}
