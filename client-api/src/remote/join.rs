//! Coming into a room by the help of a server that is in it
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#joining-rooms)).

use lyceum_events::Event;
use lyceum_peers::calls::{JoinAnswer, OmitMembers, RawEvent, Template};
use lyceum_rooms::{Acceptance, Borrowed, Joining, Place, RemoteJoin};
use lyceum_web::ApiError;
use ruma::{OwnedServerName, RoomId, RoomVersionId, ServerName, room_version_rules::RoomVersionRules};
use std::sync::Arc;

use super::{Remote, Trouble, as_sent, trouble::of_handing_in};

impl Remote {
    /// Comes into a room by one of the servers that are in it.
    pub(crate) async fn join(
        &self,
        joining: &Joining<'_>,
        room: &RoomId,
        via: &[OwnedServerName],
    ) -> Result<(), ApiError> {
        let mut servers = via.to_vec();
        servers.extend(self.rooms.servers_outside(joining.user, room).await?);
        let mut trouble = Trouble::default();
        for server in self.to_ask_of(room, servers).await? {
            match self.join_by(&server, joining, room).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::info!(%server, %room, %error, "the room could not be joined by this server's help");
                    trouble.note(error)?;
                }
            }
        }
        Err(trouble.told(room))
    }

    async fn join_by(&self, server: &ServerName, joining: &Joining<'_>, room: &RoomId) -> Result<(), ApiError> {
        let template = self.peers.make_join(server, room, joining.user, &self.versions).await?;
        let version = self.version_of(&template)?;
        let borrowed = Borrowed { room, version: &version, event: &template.event };
        let event = self.rooms.complete_join(joining, borrowed).await?;
        let sent = self.peers.send_join(server, room, event.id(), as_sent(&event)?, OmitMembers::No).await;
        let answer = sent.map_err(of_handing_in)?;
        self.take_up_join(server, (room, version), event, answer).await
    }

    /// The room's version as a template says it, if it is one of those that were offered.
    pub(super) fn version_of(&self, template: &Template) -> Result<RoomVersionId, ApiError> {
        let version = template.room_version.as_deref().unwrap_or("1");
        let found = self.versions.iter().find(|one| one.as_str() == version).cloned();
        found.ok_or_else(|| ApiError::incompatible_room_version(version))
    }

    async fn take_up_join(
        &self,
        server: &ServerName,
        (room, version): (&RoomId, RoomVersionId),
        ours: Event,
        answer: JoinAnswer,
    ) -> Result<(), ApiError> {
        let rules = version.rules().ok_or_else(|| ApiError::incompatible_room_version(version.as_str()))?;
        let rules = Arc::new(rules);
        let JoinAnswer { state, auth_chain, event, .. } = answer;
        let state_count = state.len();
        let sent = state.into_iter().chain(auth_chain).collect();
        let mut state = self.peers.read_events(server, sent, &rules).await?;
        let auth_chain = state.split_off(state_count).into_iter().flatten().collect();
        let join = RemoteJoin {
            room_id: room.to_owned(),
            event: self.countersigned(server, ours, event, &rules).await?,
            version,
            state: state.into_iter().flatten().collect(),
            auth_chain,
        };
        match self.rooms.accept_remote_join(join).await? {
            Acceptance::Accepted | Acceptance::Known(Place::Timeline(_)) => Ok(()),
            Acceptance::Rejected(why) => Err(ApiError::forbidden(why)),
            Acceptance::SoftFailed | Acceptance::Known(_) => {
                Err(ApiError::forbidden("The room does not permit you to join"))
            }
            Acceptance::Missing { .. } => {
                let status = http::StatusCode::BAD_GATEWAY;
                Err(ApiError::unknown("The other server left out what permits the join").with_status(status))
            }
        }
    }

    /// The join as the other server signed it too, where somebody there vouches for it.
    async fn countersigned(
        &self,
        server: &ServerName,
        ours: Event,
        theirs: Option<RawEvent>,
        rules: &Arc<RoomVersionRules>,
    ) -> Result<Event, ApiError> {
        let Some(theirs) = theirs else { return Ok(ours) };
        let read = self.peers.read_events(server, vec![theirs], rules).await?.pop().flatten();
        Ok(read.filter(|event| event.id() == ours.id()).unwrap_or(ours))
    }
}
