//! What another server says of itself and its rooms.

use ruma::{OwnedRoomId, RoomAliasId, RoomId, ServerName};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Call, PeerError, Peers, Target};

/// Where an alias leads.
#[derive(Debug, Clone, Deserialize)]
pub struct Alias {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Servers in it, through which it can be joined.
    pub servers: Vec<String>,
}

/// A room of a space and what lies directly below it.
#[derive(Debug, Clone, Deserialize)]
pub struct HierarchyPart {
    /// The room's summary, with `children_state`.
    pub room: Map<String, Value>,
    /// Summaries of rooms below it.
    #[serde(default)]
    pub children: Vec<Map<String, Value>>,
    /// Rooms below it that the asking server may not see.
    #[serde(default)]
    pub inaccessible_children: Vec<OwnedRoomId>,
}

/// Which public rooms are asked for.
#[derive(Debug, Clone, Default)]
pub struct RoomFilter {
    /// At most so many.
    pub limit: Option<u32>,
    /// From where a page before ended.
    pub since: Option<String>,
    /// As the client's request has it: `generic_search_term`, `room_types`.
    pub filter: Option<Map<String, Value>>,
    /// Rooms of all third-party networks.
    pub include_all_networks: bool,
    /// Rooms of one.
    pub third_party_instance_id: Option<String>,
}

fn federation(endpoint: &str) -> Target {
    Target::at(&format!("/_matrix/federation/v1/{endpoint}"))
}

impl Peers {
    /// Where an alias of another server leads.
    pub async fn room_alias(&self, server: &ServerName, alias: &RoomAliasId) -> Result<Alias, PeerError> {
        self.ask(server, Call::get(federation("query/directory").query("room_alias", alias)).always()).await
    }

    /// The public rooms of another server, as it answers.
    pub async fn public_rooms(&self, server: &ServerName, wanted: RoomFilter) -> Result<Map<String, Value>, PeerError> {
        let RoomFilter { limit, since, filter, include_all_networks, third_party_instance_id } = wanted;
        let Some(filter) = filter else {
            let target = federation("publicRooms")
                .maybe("limit", limit.map(|limit| limit.to_string()))
                .maybe("since", since)
                .maybe("include_all_networks", include_all_networks.then_some("true"))
                .maybe("third_party_instance_id", third_party_instance_id);
            return self.ask(server, Call::get(target)).await;
        };
        let mut body = Map::from_iter([("filter".to_owned(), Value::Object(filter))]);
        let mut set = |name: &str, value: Option<Value>| {
            value.map(|value| body.insert(name.to_owned(), value));
        };
        set("limit", limit.map(Value::from));
        set("since", since.map(Value::from));
        set("include_all_networks", include_all_networks.then_some(Value::Bool(true)));
        set("third_party_instance_id", third_party_instance_id.map(Value::from));
        self.ask(server, Call::post(federation("publicRooms"), &body)?).await
    }

    /// A room of a space and what lies directly below it.
    pub async fn hierarchy(
        &self,
        server: &ServerName,
        room: &RoomId,
        suggested_only: bool,
    ) -> Result<HierarchyPart, PeerError> {
        let target = federation("hierarchy").segment(room).query("suggested_only", suggested_only.to_string());
        self.ask(server, Call::get(target)).await
    }

    /// The name and version of the server's software.
    pub async fn version(&self, server: &ServerName) -> Result<Map<String, Value>, PeerError> {
        self.ask(server, Call::get(federation("version")).unsigned()).await
    }
}
