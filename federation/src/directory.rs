//! The rooms that this server publishes, and its spaces, for other servers' people
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#published-room-directory)).

use axum::extract::State;
use lyceum_rooms::{Asker, DirectoryPage, DirectoryQuery, Rooms, SpacePart, SpaceRoom};
use lyceum_web::{ApiError, FromServer, RawJson};
use ruma::{
    UInt,
    api::federation::{
        directory::{get_public_rooms, get_public_rooms_filtered},
        space::get_hierarchy,
    },
    directory::{Filter, RoomNetwork},
};
use serde_json::{Value, json};

/// `GET …/publicRooms`.
pub(crate) async fn get_public_rooms(
    State(rooms): State<Rooms>,
    FromServer { body, .. }: FromServer<get_public_rooms::v1::Request>,
) -> Result<RawJson, ApiError> {
    let page = look_through(&rooms, &Filter::new(), &body.room_network, (body.since, body.limit)).await?;
    RawJson::of(&page.listing())
}

/// `POST …/publicRooms`.
pub(crate) async fn get_public_rooms_filtered(
    State(rooms): State<Rooms>,
    FromServer { body, .. }: FromServer<get_public_rooms_filtered::v1::Request>,
) -> Result<RawJson, ApiError> {
    let page = look_through(&rooms, &body.filter, &body.room_network, (body.since, body.limit)).await?;
    RawJson::of(&page.listing())
}

async fn look_through(
    rooms: &Rooms,
    filter: &Filter,
    network: &RoomNetwork,
    (since, limit): (Option<String>, Option<UInt>),
) -> Result<DirectoryPage, ApiError> {
    if matches!(network, RoomNetwork::ThirdParty(_)) {
        return Ok(DirectoryPage::empty());
    }
    // Spec: "Defaults to 0 (no limit)."
    let limit = limit.filter(|limit| *limit > UInt::MIN);
    Ok(rooms.directory(Asker::Anybody, &DirectoryQuery::of(filter, since.as_deref(), limit)?).await?)
}

/// `GET …/hierarchy/{roomId}`.
pub(crate) async fn get_hierarchy(
    State(rooms): State<Rooms>,
    FromServer { origin, body }: FromServer<get_hierarchy::v1::Request>,
) -> Result<RawJson, ApiError> {
    let SpacePart { room, children, inaccessible } =
        rooms.space_for_server(&origin, &body.room_id, body.suggested_only).await?;
    let children = children.into_iter().map(told).collect::<Result<Vec<_>, _>>()?;
    RawJson::of(&json!({ "room": told(room)?, "children": children, "inaccessible_children": inaccessible }))
}

fn told(room: SpaceRoom) -> Result<Value, ApiError> {
    let json = |error: serde_json::Error| ApiError::internal(&error);
    let mut told = serde_json::to_value(room.summary).map_err(json)?;
    told["children_state"] = serde_json::to_value(room.children).map_err(json)?;
    Ok(told)
}
