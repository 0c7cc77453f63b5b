//! What administrators read in rooms they are not in. Each look is noted in the audit chain before it happens.

use axum::extract::State;
use lyceum_accounts::Privacy;
use lyceum_events::Clock;
use lyceum_institution::Institution;
use lyceum_rooms::{Direction, Rooms};
use lyceum_web::{Answer, ApiError, AuthedRaw, RawJson, Ruma, Session};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId, UInt,
    api::client::{context::get_context, message::get_message_events},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::audit;
use crate::{
    answers::Raw,
    remote::Remote,
    rooms::messages::{self, Page, Reading},
};

/// Who reads: an administrator, whose look at this room is noted.
async fn reader(institution: &Institution, session: &Session, room: &RoomId) -> Result<(), ApiError> {
    session.check_admin()?;
    audit(institution, session, "room.read", room.as_str()).await
}

/// `GET /_synapse/admin/v1/rooms/{roomId}/messages`
pub(crate) async fn messages(
    State(institution): State<Institution>,
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(clock): State<Arc<dyn Clock>>,
    AuthedRaw { session, path: (room,), query, .. }: AuthedRaw<(OwnedRoomId,), Page>,
) -> Answer<get_message_events::v3::Response> {
    reader(&institution, &session, &room).await?;
    let visibility = rooms.oversight(&session.user_id, &room).await?;
    let reading = Reading { rooms: &rooms, clock: &*clock, session: &session };
    reading.page(&remote, &visibility, &Privacy::default(), query).await.map(Ruma)
}

/// `GET /_synapse/admin/v1/rooms/{roomId}/context/{eventId}`
pub(crate) async fn context(
    State(institution): State<Institution>,
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    AuthedRaw { session, path: (room, event), query, .. }: AuthedRaw<(OwnedRoomId, OwnedEventId), messages::Around>,
) -> Answer<get_context::v3::Response> {
    reader(&institution, &session, &room).await?;
    let visibility = rooms.oversight(&session.user_id, &room).await?;
    let (asked, filter) = messages::read_filter(query.filter.as_deref())?;
    let wanted = |known: &lyceum_rooms::Known| messages::is_wanted(&filter, &Privacy::default(), known);
    let around = rooms.around_seen(&visibility, &event, query.limit(), wanted).await?;
    let reading = Reading { rooms: &rooms, clock: &*clock, session: &session };
    reading.around(&visibility, around, &asked).await.map(Ruma)
}

/// `GET /_synapse/admin/v1/fetch_event/{eventId}`: the event as servers send it to each other.
pub(crate) async fn event(
    State(institution): State<Institution>,
    State(rooms): State<Rooms>,
    request: AuthedRaw<(OwnedEventId,)>,
) -> Raw {
    request.session.check_admin()?;
    let known = rooms.known(&request.path.0).await?.ok_or_else(|| ApiError::not_found("There is no such event"))?;
    reader(&institution, &request.session, known.event().room()).await?;
    let mut event: Value = serde_json::from_str(known.event().json())?;
    // Since version 3 it does not stand in the event.
    event["event_id"] = known.id().as_str().into();
    RawJson::of(&json!({ "event": event }))
}

#[derive(Deserialize)]
pub(crate) struct Moment {
    ts: UInt,
    dir: Option<ruma::api::Direction>,
}

/// `GET /_synapse/admin/v1/rooms/{roomId}/timestamp_to_event`
pub(crate) async fn event_by_time(
    State(institution): State<Institution>,
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    AuthedRaw { session, path: (room,), query, .. }: AuthedRaw<(OwnedRoomId,), Moment>,
) -> Raw {
    reader(&institution, &session, &room).await?;
    let visibility = rooms.oversight(&session.user_id, &room).await?;
    let direction = query.dir.map_or(Direction::Forward, messages::direction);
    let known = remote.event_by_time(&visibility, MilliSecondsSinceUnixEpoch(query.ts), direction).await?;
    RawJson::of(&json!({ "event_id": known.id(), "origin_server_ts": known.event().ts() }))
}
