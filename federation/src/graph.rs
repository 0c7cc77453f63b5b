//! Pieces of a room's graph for servers that are in the room: states, auth chains, events and what came before them
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#retrieving-events)).

use axum::extract::State;
use lyceum_events::Clock;
use lyceum_rooms::{Direction, Known, RoomError, RoomState, Rooms};
use lyceum_web::{Answer, ApiError, FromServer, RawJson, Ruma};
use ruma::{
    EventId, OwnedEventId, RoomId, ServerName, api,
    api::federation::{
        authorization::get_event_authorization,
        backfill::get_backfill,
        event::{get_event, get_event_by_timestamp, get_missing_events, get_room_state, get_room_state_ids},
    },
};
use std::sync::Arc;

use crate::pdus::{Body, events};

/// Events from which somebody asks onwards at once; an event has no more before it.
const FROM_MAX: usize = 20;
/// Events that somebody may say to have already.
const HAD_MAX: usize = 1_000;

/// `GET …/state/{roomId}`.
pub(crate) async fn get_room_state(
    State(rooms): State<Rooms>,
    FromServer { origin, body }: FromServer<get_room_state::v1::Request>,
) -> Result<RawJson, ApiError> {
    let (state, chain) = state_at(&rooms, &origin, (&body.room_id, &body.event_id)).await?;
    let ids: Vec<_> = state.event_ids().cloned().collect();
    let state: Vec<_> = rooms.known_many(&ids).await?.into_iter().flatten().collect();
    Ok(Body::new().events("pdus", events(&state)).events("auth_chain", events(&chain)).finish())
}

/// `GET …/state_ids/{roomId}`.
pub(crate) async fn get_room_state_ids(
    State(rooms): State<Rooms>,
    FromServer { origin, body }: FromServer<get_room_state_ids::v1::Request>,
) -> Answer<get_room_state_ids::v1::Response> {
    let (state, chain) = state_at(&rooms, &origin, (&body.room_id, &body.event_id)).await?;
    let chain = chain.iter().map(|known| known.id().clone()).collect();
    Ok(Ruma(get_room_state_ids::v1::Response::new(chain, state.event_ids().cloned().collect())))
}

/// The state before an event, and what permits it.
async fn state_at(
    rooms: &Rooms,
    origin: &ServerName,
    (room, event): (&RoomId, &EventId),
) -> Result<(Arc<RoomState>, Vec<Arc<Known>>), RoomError> {
    rooms.check_server_since(room, origin, event).await?;
    let state = rooms.state_before(room, event).await?;
    let chain = rooms.auth_chain(state.event_ids().cloned()).await?;
    Ok((state, chain))
}

/// `GET …/event/{eventId}`.
pub(crate) async fn get_event(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    FromServer { origin, body }: FromServer<get_event::v1::Request>,
) -> Result<RawJson, ApiError> {
    let event = rooms.event_for_server(&origin, &body.event_id).await?;
    Ok(dated(&rooms, &*clock)?.events("pdus", [&event]).finish())
}

/// An answer that says who gives it, and when.
fn dated(rooms: &Rooms, clock: &dyn Clock) -> Result<Body, ApiError> {
    Body::new().field("origin", &rooms.server())?.field("origin_server_ts", &clock.now())
}

/// `GET …/event_auth/{roomId}/{eventId}`.
pub(crate) async fn get_event_authorization(
    State(rooms): State<Rooms>,
    FromServer { origin, body }: FromServer<get_event_authorization::v1::Request>,
) -> Result<RawJson, ApiError> {
    rooms.check_server_since(&body.room_id, &origin, &body.event_id).await?;
    let known = rooms.known(&body.event_id).await?.filter(|known| known.event().room() == body.room_id);
    let known = known.ok_or(RoomError::UnknownEvent(body.event_id))?;
    let chain = rooms.auth_chain([known.id().clone()]).await?;
    Ok(Body::new().events("auth_chain", events(&chain)).finish())
}

/// `GET …/backfill/{roomId}`.
pub(crate) async fn get_backfill(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    FromServer { origin, body }: FromServer<get_backfill::v1::Request>,
) -> Result<RawJson, ApiError> {
    rooms.check_server(&body.room_id, &origin).await?;
    let from = first(&body.v, FROM_MAX);
    let found = rooms.events_before(&body.room_id, from, body.limit.try_into().unwrap_or(usize::MAX)).await?;
    let shown = rooms.for_server(&origin, &found).await?;
    Ok(dated(&rooms, &*clock)?.events("pdus", &shown).finish())
}

/// `POST …/get_missing_events/{roomId}`.
pub(crate) async fn get_missing_events(
    State(rooms): State<Rooms>,
    FromServer { origin, body }: FromServer<get_missing_events::v1::Request>,
) -> Result<RawJson, ApiError> {
    rooms.check_server(&body.room_id, &origin).await?;
    let between = (first(&body.earliest_events, HAD_MAX), first(&body.latest_events, HAD_MAX));
    let bounds = (body.limit.try_into().unwrap_or(usize::MAX), body.min_depth.into());
    let found = rooms.missing_events(&body.room_id, between, bounds).await?;
    let shown = rooms.for_server(&origin, &found).await?;
    Ok(Body::new().events("events", &shown).finish())
}

fn first(ids: &[OwnedEventId], most: usize) -> &[OwnedEventId] {
    &ids[..ids.len().min(most)]
}

/// `GET …/timestamp_to_event/{roomId}`.
pub(crate) async fn get_event_by_timestamp(
    State(rooms): State<Rooms>,
    FromServer { origin, body }: FromServer<get_event_by_timestamp::v1::Request>,
) -> Answer<get_event_by_timestamp::v1::Response> {
    rooms.check_server(&body.room_id, &origin).await?;
    let direction = match body.dir {
        api::Direction::Forward => Direction::Forward,
        api::Direction::Backward => Direction::Backward,
    };
    let nearest = rooms.event_by_time_for_server(&origin, &body.room_id, body.ts, direction).await?;
    Ok(Ruma(get_event_by_timestamp::v1::Response::new(nearest.id().clone(), nearest.event().ts())))
}
