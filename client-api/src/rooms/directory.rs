//! The room directory: looking through it, and what it lists.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_rooms::{Asker, DirectoryQuery, Rooms};
use lyceum_web::{Answer, ApiError, Authed, Public, RawJson, Ruma};
use ruma::{
    OwnedServerName,
    api::client::{
        directory::{get_public_rooms, get_public_rooms_filtered, get_room_visibility, set_room_visibility},
        room::Visibility,
    },
};

use crate::{answers::Raw, remote::Remote};

/// `GET /_matrix/client/v3/publicRooms`.
pub(crate) async fn get_public_rooms(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    Public { body }: Public<get_public_rooms::v3::Request>,
) -> Raw {
    let mut all = get_public_rooms_filtered::v3::Request::new();
    (all.limit, all.since, all.server) = (body.limit, body.since, body.server);
    look_through(&rooms, &remote, Asker::Anybody, all).await
}

/// `POST /_matrix/client/v3/publicRooms`.
pub(crate) async fn get_public_rooms_filtered(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    Authed { session, body }: Authed<get_public_rooms_filtered::v3::Request>,
) -> Raw {
    look_through(&rooms, &remote, Asker::Person(&session.user_id), body).await
}

async fn look_through(
    rooms: &Rooms,
    remote: &Remote,
    asker: Asker<'_>,
    asked: get_public_rooms_filtered::v3::Request,
) -> Raw {
    if let Some(server) = elsewhere(asked.server.as_ref(), rooms) {
        return RawJson::of(&remote.directory(&server, &asked).await?);
    }
    let query = DirectoryQuery::of(&asked.filter, asked.since.as_deref(), asked.limit)?;
    RawJson::of(&rooms.directory(asker, &asked.room_network, &query).await?.listing())
}

fn elsewhere(server: Option<&OwnedServerName>, rooms: &Rooms) -> Option<OwnedServerName> {
    server.filter(|server| **server != rooms.server()).cloned()
}

/// `GET /_matrix/client/v3/directory/list/room/{roomId}`.
pub(crate) async fn get_room_visibility(
    State(rooms): State<Rooms>,
    Public { body }: Public<get_room_visibility::v3::Request>,
) -> Answer<get_room_visibility::v3::Response> {
    rooms.snapshot(&body.room_id).await?;
    let listed = rooms.is_listed(&body.room_id).await?;
    let visibility = if listed { Visibility::Public } else { Visibility::Private };
    Ok(Ruma(get_room_visibility::v3::Response::new(visibility)))
}

/// `PUT /_matrix/client/v3/directory/list/room/{roomId}`.
pub(crate) async fn set_room_visibility(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<set_room_visibility::v3::Request>,
) -> Answer<set_room_visibility::v3::Response> {
    let listed = match body.visibility {
        Visibility::Public => true,
        Visibility::Private => false,
        _ => return Err(ApiError::invalid_param("A room is public or private in the directory")),
    };
    match accounts.user(&session.user_id).await?.is_some_and(|account| account.admin) {
        true => rooms.set_listed_by_administrator(&body.room_id, listed).await?,
        false => rooms.set_listed(&session.user_id, &body.room_id, listed).await?,
    }
    Ok(Ruma(set_room_visibility::v3::Response::new()))
}
