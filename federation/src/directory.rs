//! The rooms that this server publishes, and its spaces, for other servers' people
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#published-room-directory)).

use axum::extract::State;
use lyceum_rooms::{Asker, DirectoryPage, DirectoryQuery, Rooms, SpacePart, SpaceRoom};
use lyceum_web::{ApiError, FromServer, FromServerRaw, RawJson};
use ruma::{
    UInt,
    api::federation::{directory::get_public_rooms_filtered, space::get_hierarchy},
    directory::{Filter, RoomNetwork},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is looked for, as it stands in a query string.
#[derive(Deserialize)]
pub(crate) struct Listing {
    limit: Option<UInt>,
    since: Option<String>,
    #[serde(default)]
    include_all_networks: bool,
    third_party_instance_id: Option<String>,
}

impl Listing {
    /// Spec: a single network "can only be used if `include_all_networks` is false".
    fn network(self) -> RoomNetwork {
        match self.third_party_instance_id {
            _ if self.include_all_networks => RoomNetwork::All,
            Some(network) => RoomNetwork::ThirdParty(network),
            None => RoomNetwork::Matrix,
        }
    }
}

/// `GET …/publicRooms`.
pub(crate) async fn get_public_rooms(
    State(rooms): State<Rooms>,
    FromServerRaw { query, .. }: FromServerRaw<(), Listing>,
) -> Result<RawJson, ApiError> {
    let place = (query.since.clone(), query.limit);
    RawJson::of(&look_through(&rooms, &Filter::new(), &query.network(), place).await?.listing())
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
    // Spec: "Defaults to 0 (no limit)."
    let limit = limit.filter(|limit| *limit > UInt::MIN);
    Ok(rooms.directory(Asker::Anybody, network, &DirectoryQuery::of(filter, since.as_deref(), limit)?).await?)
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
