//! What another server's directory says: where its aliases lead, and which public rooms it has.

use lyceum_peers::{PeerError, calls::RoomFilter};
use lyceum_rooms::listing;
use lyceum_web::ApiError;
use ruma::{
    OwnedRoomId, OwnedServerName, RoomAliasId, ServerName, UInt,
    api::client::directory::get_public_rooms_filtered::v3::Request,
    directory::{Filter, PublicRoomsChunk, RoomNetwork},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Remote;

/// Servers in a room that are remembered from one answer.
const SERVERS_TOLD_MAX: usize = 50;
/// Rooms taken from one answer.
const ROOMS_MAX: usize = 1_000;

/// A page of another server's directory.
#[derive(Deserialize)]
struct Page {
    /// Each looked at by itself: one odd room hides no other.
    chunk: Vec<Value>,
    next_batch: Option<String>,
    prev_batch: Option<String>,
    total_room_count_estimate: Option<UInt>,
}

impl Remote {
    /// Asks the server of an alias where it points.
    pub(crate) async fn resolve_alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
        let server = alias.server_name();
        match self.peers.room_alias(server, alias).await {
            Ok(found) => {
                let servers = found.servers.into_iter().filter_map(|server| OwnedServerName::try_from(server).ok());
                Ok((found.room_id, servers.take(SERVERS_TOLD_MAX).collect()))
            }
            Err(PeerError::Refused { status: 404, .. }) => Err(ApiError::not_found("There is no such alias")),
            // Whatever keeps that server silent, the alias leads nowhere now.
            Err(error) => Err(ApiError::not_found(error.to_string())),
        }
    }

    /// Asks another server for its directory.
    pub(crate) async fn directory(&self, server: &ServerName, asked: &Request) -> Result<Value, ApiError> {
        let answer = self.peers.public_rooms(server, filter(asked)?).await?;
        let page: Page = serde_json::from_value(Value::Object(answer))?;
        let rooms = page.chunk.into_iter().take(ROOMS_MAX);
        let rooms: Vec<PublicRoomsChunk> = rooms.filter_map(|room| serde_json::from_value(room).ok()).collect();
        Ok(listing(&rooms, (page.next_batch, page.prev_batch), page.total_room_count_estimate.map(u64::from)))
    }
}

fn filter(asked: &Request) -> Result<RoomFilter, ApiError> {
    let wanted = match serde_json::to_value(&asked.filter).map_err(|error| ApiError::internal(&error))? {
        Value::Object(wanted) if !is_open(&asked.filter) => Some(wanted),
        _ => None::<Map<String, Value>>,
    };
    Ok(RoomFilter {
        limit: asked.limit.map(|limit| u32::try_from(u64::from(limit)).unwrap_or(u32::MAX)),
        since: asked.since.clone(),
        filter: wanted,
        include_all_networks: matches!(asked.room_network, RoomNetwork::All),
        third_party_instance_id: match &asked.room_network {
            RoomNetwork::ThirdParty(instance) => Some(instance.clone()),
            _ => None,
        },
    })
}

fn is_open(filter: &Filter) -> bool {
    filter.generic_search_term.is_none() && filter.room_types.is_empty()
}
