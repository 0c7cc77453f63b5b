//! Coming into rooms and out of them by way of another server.

use ruma::{CanonicalJsonObject, EventId, RoomId, RoomVersionId, ServerName, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

use super::{Done, RawEvent};
use crate::{Call, PeerError, Peers, Target};

/// A join brings the state of the room: it may take long and be large.
const JOIN_TIMEOUT: Duration = Duration::from_secs(180);
const JOIN_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The time for the other requests here: a person waits for each.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An event to be completed, signed and sent back.
#[derive(Debug, Clone, Deserialize)]
pub struct Template {
    /// The version of the room; left out by very old servers, for which it is 1.
    pub room_version: Option<String>,
    /// The event so far.
    pub event: CanonicalJsonObject,
}

/// What a join brought.
#[derive(Debug, Deserialize)]
pub struct JoinAnswer {
    /// The state of the room before the join.
    pub state: Vec<RawEvent>,
    /// The events that permit it.
    pub auth_chain: Vec<RawEvent>,
    /// The join as the other server signed it too, for restricted rooms.
    pub event: Option<RawEvent>,
    /// Whether members were left out of `state`.
    #[serde(default)]
    pub members_omitted: bool,
    /// The servers in the room, when members were left out.
    #[serde(default)]
    pub servers_in_room: Vec<String>,
}

/// What a knock brought.
#[derive(Debug, Deserialize)]
pub struct KnockAnswer {
    /// Some state of the room, stripped.
    pub knock_room_state: Vec<RawEvent>,
}

/// An invite to somebody on another server.
#[derive(Debug, Clone, Serialize)]
pub struct Invitation<'a> {
    /// The version of the room.
    pub room_version: &'a RoomVersionId,
    /// The invite event, signed by this server.
    pub event: &'a RawValue,
    /// Some state of the room, stripped (or whole events).
    pub invite_room_state: &'a [RawEvent],
}

#[derive(Deserialize)]
struct Invited {
    event: RawEvent,
}

fn federation(version: &str, endpoint: &str) -> Target {
    Target::at(&format!("/_matrix/federation/{version}/{endpoint}"))
}

impl Peers {
    /// Asks for the template of a join. `versions` are those this server knows.
    pub async fn make_join(
        &self,
        server: &ServerName,
        room: &RoomId,
        user: &UserId,
        versions: &[RoomVersionId],
    ) -> Result<Template, PeerError> {
        self.make("make_join", server, room, user, versions).await
    }

    /// Asks for the template of a knock.
    pub async fn make_knock(
        &self,
        server: &ServerName,
        room: &RoomId,
        user: &UserId,
        versions: &[RoomVersionId],
    ) -> Result<Template, PeerError> {
        self.make("make_knock", server, room, user, versions).await
    }

    /// Asks for the template of a leave: how an invite is rejected or a knock taken back.
    pub async fn make_leave(&self, server: &ServerName, room: &RoomId, user: &UserId) -> Result<Template, PeerError> {
        self.make("make_leave", server, room, user, &[]).await
    }

    async fn make(
        &self,
        endpoint: &str,
        server: &ServerName,
        room: &RoomId,
        user: &UserId,
        versions: &[RoomVersionId],
    ) -> Result<Template, PeerError> {
        let target = federation("v1", endpoint).segment(room).segment(user);
        let target = versions.iter().fold(target, |target, version| target.query("ver", version));
        self.ask(server, Call::get(target).always().timeout(TIMEOUT)).await
    }

    /// Sends a completed join. With `omit_members` the answer may leave out most members, to be fetched later. A server that
    /// does not know the endpoint is asked by the older one.
    pub async fn send_join(
        &self,
        server: &ServerName,
        room: &RoomId,
        id: &EventId,
        event: &RawValue,
        omit_members: OmitMembers,
    ) -> Result<JoinAnswer, PeerError> {
        let omit = if omit_members == OmitMembers::Yes { "true" } else { "false" };
        let target = |version: &str| federation(version, "send_join").segment(room).segment(id);
        let put = |target: Target| {
            let call = Call::put(target, event)?;
            Ok::<_, PeerError>(call.always().timeout(JOIN_TIMEOUT).answer_bytes_max(JOIN_BYTES_MAX))
        };
        match self.ask(server, put(target("v2").query("omit_members", omit))?).await {
            Err(error) if error.is_unknown_endpoint() => {
                let (_, answer): (u16, JoinAnswer) = self.ask(server, put(target("v1"))?).await?;
                Ok(answer)
            }
            answered => answered,
        }
    }

    /// Sends a completed knock.
    pub async fn send_knock(
        &self,
        server: &ServerName,
        room: &RoomId,
        id: &EventId,
        event: &RawValue,
    ) -> Result<KnockAnswer, PeerError> {
        let target = federation("v1", "send_knock").segment(room).segment(id);
        self.ask(server, Call::put(target, event)?.always().timeout(TIMEOUT)).await
    }

    /// Sends a completed leave.
    pub async fn send_leave(
        &self,
        server: &ServerName,
        room: &RoomId,
        id: &EventId,
        event: &RawValue,
    ) -> Result<(), PeerError> {
        let target = federation("v2", "send_leave").segment(room).segment(id);
        let _: Done = self.ask(server, Call::put(target, event)?.always().timeout(TIMEOUT)).await?;
        Ok(())
    }

    /// Invites somebody of another server; answers with the event as that server signed it too. A server that does not
    /// know the endpoint is asked by the older one, which fits rooms of the first two versions only.
    pub async fn invite(
        &self,
        server: &ServerName,
        room: &RoomId,
        id: &EventId,
        invitation: &Invitation<'_>,
    ) -> Result<RawEvent, PeerError> {
        let target = |version: &str| federation(version, "invite").segment(room).segment(id);
        let call = Call::put(target("v2"), invitation)?.always().timeout(TIMEOUT);
        match self.ask::<Invited>(server, call).await {
            Ok(invited) => Ok(invited.event),
            Err(error)
                if error.is_unknown_endpoint()
                    && matches!(invitation.room_version, RoomVersionId::V1 | RoomVersionId::V2) =>
            {
                let call = Call::put(target("v1"), invitation.event)?.always().timeout(TIMEOUT);
                let (_, invited): (u16, Invited) = self.ask(server, call).await?;
                Ok(invited.event)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the server of a room to turn an invite by e-mail address or phone number into one of a person.
    pub async fn exchange_third_party_invite(
        &self,
        server: &ServerName,
        room: &RoomId,
        event: &RawValue,
    ) -> Result<(), PeerError> {
        let target = federation("v1", "exchange_third_party_invite").segment(room);
        let _: Done = self.ask(server, Call::put(target, event)?.always().timeout(TIMEOUT)).await?;
        Ok(())
    }
}

/// Whether a join may be answered without most members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OmitMembers {
    /// It may: the rest is fetched later.
    Yes,
    /// It may not.
    No,
}
