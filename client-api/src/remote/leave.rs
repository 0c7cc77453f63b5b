//! Knocking on rooms that this server is not in, refusing invites to them, and taking knocks back.

use lyceum_rooms::Borrowed;
use lyceum_web::ApiError;
use ruma::{OwnedServerName, RoomId, ServerName, UserId};

use super::{Remote, Trouble, as_sent};

impl Remote {
    /// Knocks on a room by one of the servers that are in it.
    pub(crate) async fn knock(
        &self,
        user: &UserId,
        room: &RoomId,
        reason: Option<&str>,
        via: &[OwnedServerName],
    ) -> Result<(), ApiError> {
        let mut trouble = Trouble::default();
        for server in self.to_ask_of(room, via.to_vec()).await? {
            match self.knock_by(&server, user, room, reason).await {
                Ok(()) => return Ok(()),
                Err(error) => trouble.note(error)?,
            }
        }
        Err(trouble.told(room))
    }

    async fn knock_by(
        &self,
        server: &ServerName,
        user: &UserId,
        room: &RoomId,
        reason: Option<&str>,
    ) -> Result<(), ApiError> {
        let template = self.peers.make_knock(server, room, user, &self.versions).await?;
        let version = self.version_of(&template)?;
        let borrowed = Borrowed { room, version: &version, event: &template.event };
        let event = self.rooms.complete_knock(user, reason, borrowed).await?;
        let answer = self.peers.send_knock(server, room, event.id(), as_sent(&event)?).await?;
        let mut stripped: Vec<_> = answer.knock_room_state.iter().map(|state| state.get().to_owned()).collect();
        stripped.truncate(STRIPPED_TAKEN_MAX);
        Ok(self.rooms.remember_outside(user, &event, stripped).await?)
    }

    /// Refuses an invite to, or takes back a knock on, a room that this server is not in. The person is out of it even
    /// if nobody there can be told.
    pub(crate) async fn leave(&self, user: &UserId, room: &RoomId, reason: Option<&str>) -> Result<(), ApiError> {
        let mut servers = self.rooms.servers_outside(user, room).await?;
        servers.extend(self.rooms.servers_in(room).await?);
        for server in self.to_ask_of(room, servers).await? {
            match self.leave_by(&server, user, room, reason).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::info!(%server, %room, %error, "the server could not be told of a leave"),
            }
        }
        Ok(self.rooms.leave_outside(user, room, reason).await?)
    }

    async fn leave_by(
        &self,
        server: &ServerName,
        user: &UserId,
        room: &RoomId,
        reason: Option<&str>,
    ) -> Result<(), ApiError> {
        let template = self.peers.make_leave(server, room, user).await?;
        let version = self.version_of(&template)?;
        let borrowed = Borrowed { room, version: &version, event: &template.event };
        let event = self.rooms.complete_leave(user, reason, borrowed)?;
        self.peers.send_leave(server, room, event.id(), as_sent(&event)?).await?;
        Ok(self.rooms.remember_outside(user, &event, Vec::new()).await?)
    }
}

/// Stripped state that is looked at, of what a knock brought.
const STRIPPED_TAKEN_MAX: usize = 1_000;
