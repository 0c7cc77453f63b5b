//! Acts that another server has a part in: composed here of what rooms decide and what peers fetch.

use lyceum_peers::{PeerError, Peers};
use lyceum_rooms::{Joining, Rooms};
use lyceum_web::ApiError;
use ruma::{
    OwnedRoomId, OwnedServerName, RoomAliasId, RoomId, ServerName, UserId,
    api::client::directory::get_public_rooms_filtered, room::RoomSummary,
};

/// Servers in a room that are remembered from one answer.
const SERVERS_ASKED_MAX: usize = 50;

/// Rooms of other servers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote {
    rooms: Rooms,
    peers: Peers,
}

impl Remote {
    /// What composes acts of these rooms with these peers.
    pub(crate) fn new(rooms: Rooms, peers: Peers) -> Self {
        Self { rooms, peers }
    }

    /// Comes into a room that this server is not in, by one of the servers that are.
    pub(crate) async fn join(
        &self,
        _joining: &Joining<'_>,
        room: &RoomId,
        via: &[OwnedServerName],
    ) -> Result<(), ApiError> {
        Err(self.nobody_to_ask(room, via))
    }

    /// Knocks on a room that this server is not in.
    pub(crate) async fn knock(
        &self,
        _user: &UserId,
        room: &RoomId,
        _reason: Option<&str>,
        via: &[OwnedServerName],
    ) -> Result<(), ApiError> {
        Err(self.nobody_to_ask(room, via))
    }

    /// Refuses an invite to, or takes back a knock on, a room that this server is not in.
    pub(crate) async fn leave(&self, _user: &UserId, room: &RoomId, _reason: Option<&str>) -> Result<(), ApiError> {
        Err(self.nobody_to_ask(room, &[]))
    }

    /// Asks somebody of another server into a room.
    pub(crate) async fn invite(
        &self,
        _inviter: &UserId,
        room: &RoomId,
        invitee: &UserId,
        _reason: Option<&str>,
        _is_direct: bool,
    ) -> Result<(), ApiError> {
        Err(self.nobody_to_ask(room, &[invitee.server_name().to_owned()]))
    }

    /// Asks the server of an alias where it points.
    pub(crate) async fn resolve_alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
        let server = alias.server_name();
        match self.peers.room_alias(server, alias).await {
            Ok(found) => {
                let servers = found.servers.into_iter().filter_map(|server| OwnedServerName::try_from(server).ok());
                Ok((found.room_id, servers.take(SERVERS_ASKED_MAX).collect()))
            }
            Err(PeerError::Refused { status: 404, .. }) => Err(ApiError::not_found("There is no such alias")),
            // Whatever keeps that server silent, the alias leads nowhere now.
            Err(error) => Err(ApiError::not_found(error.to_string())),
        }
    }

    /// Asks another server for its directory.
    pub(crate) async fn directory(
        &self,
        server: &ServerName,
        _asked: &get_public_rooms_filtered::v3::Request,
    ) -> Result<get_public_rooms_filtered::v3::Response, ApiError> {
        Err(ApiError::not_found(format!("{server} could not be asked for its directory")))
    }

    /// Asks other servers about a room.
    pub(crate) async fn summary(&self, room: &RoomId, via: &[OwnedServerName]) -> Result<RoomSummary, ApiError> {
        Err(self.nobody_to_ask(room, via))
    }

    fn nobody_to_ask(&self, room: &RoomId, via: &[OwnedServerName]) -> ApiError {
        let known = via.iter().filter(|server| **server != self.rooms.server() && self.peers.allows(server)).count();
        ApiError::not_found(format!("None of {known} servers could be asked about room {room}"))
    }
}
