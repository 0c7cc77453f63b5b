//! Acts that another server has a part in: composed here of what rooms decide and what peers fetch.

mod directory;
mod history;
mod invite;
mod join;
mod leave;
mod memory;
mod profile;
mod spaces;
mod trouble;

use lyceum_events::Clock;
use lyceum_peers::Peers;
use lyceum_rooms::Rooms;
use lyceum_web::ApiError;
use ruma::{OwnedServerName, RoomId, RoomVersionId, ServerName};
use serde_json::value::RawValue;
use std::{collections::HashSet, sync::Arc};

pub use memory::RemoteMemory;
use trouble::Trouble;

/// Servers that are asked for one act, one after another.
const SERVERS_ASKED_MAX: usize = 10;

/// Rooms and people of other servers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote {
    rooms: Rooms,
    peers: Peers,
    clock: Arc<dyn Clock>,
    versions: Arc<[RoomVersionId]>,
    memory: RemoteMemory,
}

impl Remote {
    /// What composes acts of these rooms with these peers.
    pub(crate) fn new(
        (rooms, peers): (Rooms, Peers),
        clock: Arc<dyn Clock>,
        versions: Arc<[RoomVersionId]>,
        memory: RemoteMemory,
    ) -> Self {
        Self { rooms, peers, clock, versions, memory }
    }

    /// Of the servers named for a room those that can be asked, each once. Where none is named there are those that were in it
    /// as far as is known here, and the one that the room's id was made by.
    async fn to_ask_of(&self, room: &RoomId, named: Vec<OwnedServerName>) -> Result<Vec<OwnedServerName>, ApiError> {
        let servers = self.to_ask(named);
        if !servers.is_empty() {
            return Ok(servers);
        }
        let known = self.rooms.servers_in(room).await?;
        Ok(self.to_ask(known.into_iter().chain(room.server_name().map(ToOwned::to_owned))))
    }

    /// Of these servers those that can be asked, each once.
    fn to_ask(&self, servers: impl IntoIterator<Item = OwnedServerName>) -> Vec<OwnedServerName> {
        let mut seen = HashSet::new();
        let may = |server: &ServerName| server != self.rooms.server() && self.peers.allows(server);
        let servers = servers.into_iter().filter(|server| may(server) && seen.insert(server.clone()));
        servers.take(SERVERS_ASKED_MAX).collect()
    }
}

/// An event as it is sent to another server.
fn as_sent(event: &lyceum_events::Event) -> Result<&RawValue, ApiError> {
    serde_json::from_str(event.json()).map_err(|error| ApiError::internal(&error))
}
