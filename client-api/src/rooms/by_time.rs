//! `/timestamp_to_event`: jumping to a date.

use axum::extract::State;
use lyceum_rooms::Rooms;
use lyceum_web::{Answer, Authed, Ruma};
use ruma::api::client::room::get_event_by_timestamp;

use super::messages::direction;
use crate::remote::Remote;

/// `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event`.
pub(crate) async fn get_event_by_timestamp(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    Authed { session, body }: Authed<get_event_by_timestamp::v1::Request>,
) -> Answer<get_event_by_timestamp::v1::Response> {
    let visibility = rooms.look_into(&session.user_id, &body.room_id).await?;
    let known = remote.event_by_time(&visibility, body.ts, direction(body.dir)).await?;
    Ok(Ruma(get_event_by_timestamp::v1::Response::new(known.id().clone(), known.event().ts())))
}
