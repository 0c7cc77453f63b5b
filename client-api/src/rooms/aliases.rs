//! Room aliases.

use axum::extract::State;
use lyceum_push::Services;
use lyceum_rooms::{RoomError, Rooms};
use lyceum_web::{Answer, ApiError, Authed, Public, Ruma};
use ruma::api::client::{
    alias::{create_alias, delete_alias, get_alias},
    room::aliases,
};

use super::join::find_alias;
use crate::{appservice::check_alias, remote::Remote};

/// `PUT /_matrix/client/v3/directory/room/{roomAlias}`.
pub(crate) async fn create_alias(
    State(rooms): State<Rooms>,
    State(services): State<Services>,
    Authed { session, body }: Authed<create_alias::v3::Request>,
) -> Answer<create_alias::v3::Response> {
    check_alias(&services, &session, &body.room_alias)?;
    rooms.make_alias(&session.user_id, &body.room_alias, &body.room_id).await.map_err(|error| match error {
        // Spec: "409 … A room alias with that name already exists."
        RoomError::RoomInUse(why) => ApiError::unknown(why).with_status(http::StatusCode::CONFLICT),
        other => other.into(),
    })?;
    Ok(Ruma(create_alias::v3::Response::new()))
}

/// `GET /_matrix/client/v3/directory/room/{roomAlias}`.
pub(crate) async fn get_alias(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(services): State<Services>,
    Public { body }: Public<get_alias::v3::Request>,
) -> Answer<get_alias::v3::Response> {
    let (room, servers) = find_alias(&rooms, &remote, &services, &body.room_alias).await?;
    Ok(Ruma(get_alias::v3::Response::new(room, servers)))
}

/// `DELETE /_matrix/client/v3/directory/room/{roomAlias}`.
pub(crate) async fn delete_alias(
    State(rooms): State<Rooms>,
    State(services): State<Services>,
    Authed { session, body }: Authed<delete_alias::v3::Request>,
) -> Answer<delete_alias::v3::Response> {
    check_alias(&services, &session, &body.room_alias)?;
    rooms.remove_alias(&session.user_id, &body.room_alias, session.admin).await?;
    Ok(Ruma(delete_alias::v3::Response::new()))
}

/// `GET /_matrix/client/v3/rooms/{roomId}/aliases`.
pub(crate) async fn aliases(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<aliases::v3::Request>,
) -> Answer<aliases::v3::Response> {
    rooms.look_into_now(&session.user_id, &body.room_id).await?;
    Ok(Ruma(aliases::v3::Response::new(rooms.aliases_of(&body.room_id).await?)))
}
