//! Coming into rooms and knocking on them.

use axum::extract::State;
use lyceum_accounts::{Accounts, Session};
use lyceum_push::Services;
use lyceum_rooms::{Joining, Membership, Outcome, Rooms};
use lyceum_web::{Answer, ApiError, Authed, AuthedRaw, Ruma, body};
use ruma::{
    OwnedRoomId, OwnedRoomOrAliasId, OwnedServerName, RoomAliasId, RoomId, UserId,
    api::client::{
        knock::knock_room,
        membership::{join_room_by_id, join_room_by_id_or_alias},
    },
    canonical_json::try_from_json_map,
};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::remote::Remote;

/// The body of a join. What the specification does not name goes into the membership event, which ruma's type would drop.
#[derive(Deserialize)]
struct JoinBody {
    reason: Option<String>,
    #[serde(rename = "third_party_signed")]
    _third_party_signed: Option<Value>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Servers to join by: `via`, or as clients before v1.12 call it, `server_name`.
#[derive(Deserialize)]
pub(crate) struct Via {
    #[serde(default)]
    via: Vec<OwnedServerName>,
    #[serde(default)]
    server_name: Vec<OwnedServerName>,
}

/// `POST /_matrix/client/v3/rooms/{roomId}/join`.
pub(crate) async fn join_room_by_id(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    State(remote): State<Remote>,
    request: AuthedRaw<(OwnedRoomId,)>,
) -> Answer<join_room_by_id::v3::Response> {
    let room = request.path.0;
    join((&rooms, &accounts, &remote), (&request.session, &request.body), &room, &[]).await?;
    Ok(Ruma(join_room_by_id::v3::Response::new(room)))
}

/// `POST /_matrix/client/v3/join/{roomIdOrAlias}`.
pub(crate) async fn join_room_by_id_or_alias(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    State(remote): State<Remote>,
    State(services): State<Services>,
    request: AuthedRaw<(OwnedRoomOrAliasId,), Via>,
) -> Answer<join_room_by_id_or_alias::v3::Response> {
    let Via { via, server_name } = request.query;
    let via = if via.is_empty() { server_name } else { via };
    let (room, via) = find(&rooms, &remote, &services, request.path.0, via).await?;
    join((&rooms, &accounts, &remote), (&request.session, &request.body), &room, &via).await?;
    Ok(Ruma(join_room_by_id_or_alias::v3::Response::new(room)))
}

/// `POST /_matrix/client/v3/knock/{roomIdOrAlias}`.
pub(crate) async fn knock_room(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(services): State<Services>,
    Authed { session, body }: Authed<knock_room::v3::Request>,
) -> Answer<knock_room::v3::Response> {
    let (room, via) = find(&rooms, &remote, &services, body.room_id_or_alias, body.via).await?;
    if rooms.knock(&session.user_id, &room, body.reason.as_deref()).await? == Outcome::ByAnotherServer {
        remote.knock(&session.user_id, &room, body.reason.as_deref(), &via).await?;
    }
    Ok(Ruma(knock_room::v3::Response::new(room)))
}

async fn join(
    (rooms, accounts, remote): (&Rooms, &Accounts, &Remote),
    (session, body): (&Session, &[u8]),
    room: &RoomId,
    via: &[OwnedServerName],
) -> Result<(), ApiError> {
    let JoinBody { reason, more, .. } = body::json(body)?;
    let more = try_from_json_map(more).map_err(|error| ApiError::bad_json(error.to_string()))?;
    let joining = Joining { user: &session.user_id, reason: reason.as_deref(), is_guest: session.is_guest(), more };
    let before = rooms.membership(&session.user_id, room).await?;
    if rooms.join(&joining, room).await? == Outcome::ByAnotherServer {
        remote.join(&joining, room, via).await?;
    }
    if before.is_none_or(|row| row.membership != Membership::Join) {
        carry_over(rooms, accounts, &session.user_id, room).await?;
    }
    Ok(())
}

/// Gives a room that continues another what the person had set for that one: tags, its push rule, the direct chat's mark.
pub(crate) async fn carry_over(
    rooms: &Rooms,
    accounts: &Accounts,
    user: &UserId,
    room: &RoomId,
) -> Result<(), ApiError> {
    let Some(old) = rooms.snapshot(room).await?.facts().predecessor.clone() else { return Ok(()) };
    if rooms.membership(user, &old).await?.is_some() {
        accounts.carry_over_room(user, &old, room).await?;
        accounts.carry_over_push_rule(user, &old, room).await?;
    }
    Ok(())
}

/// The room meant by an id or alias, and servers to ask about it.
pub(crate) async fn find(
    rooms: &Rooms,
    remote: &Remote,
    services: &Services,
    id_or_alias: OwnedRoomOrAliasId,
    mut via: Vec<OwnedServerName>,
) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
    match OwnedRoomId::try_from(id_or_alias) {
        Ok(room) => Ok((room, via)),
        Err(alias) => {
            let (room, servers) = find_alias(rooms, remote, services, &alias).await?;
            via.extend(servers);
            Ok((room, via))
        }
    }
}

/// The room an alias points at, and servers that are in it.
pub(crate) async fn find_alias(
    rooms: &Rooms,
    remote: &Remote,
    services: &Services,
    alias: &RoomAliasId,
) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
    if alias.server_name() != rooms.server() {
        return remote.resolve_alias(alias).await;
    }
    let mut room = rooms.resolve_alias(alias).await?;
    if room.is_none() && services.query_alias(alias).await {
        room = rooms.resolve_alias(alias).await?;
    }
    let room = room.ok_or_else(|| ApiError::not_found("There is no such alias"))?;
    let servers = rooms.servers_in(&room).await?;
    Ok((room, servers))
}
