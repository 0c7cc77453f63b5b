//! Coming into a room by the help of a server that is in it
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#joining-rooms)).

use lyceum_events::{Event, References, rules_of};
use lyceum_peers::calls::{JoinAnswer, OmitMembers, RawEvent, Template};
use lyceum_rooms::{Acceptance, Arrival, Borrowed, Joining, Place, RoomError};
use lyceum_web::ApiError;
use ruma::{
    OwnedEventId, OwnedServerName, RoomId, RoomVersionId, ServerName, events::TimelineEventType,
    room_version_rules::RoomVersionRules,
};
use std::{sync::Arc, time::Duration};

use super::{Remote, Trouble, as_sent, trouble::of_handing_in};

/// Events of a room that are checked together while those before them are written.
const PART_EVENTS: usize = 2_000;
/// How long an answer waits for the rest of a state that came in part: of most rooms it is here by then, so that clients which
/// are shown whole rooms only see it with their next sync.
const REST_WAIT: Duration = Duration::from_millis(500);

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
        let omit = if self.rooms.may_join_in_part(room).await? { OmitMembers::Yes } else { OmitMembers::No };
        let sent = self.peers.send_join(server, room, event.id(), as_sent(&event)?, omit).await;
        let mut answer = sent.map_err(of_handing_in)?;
        if answer.members_omitted && omit == OmitMembers::No {
            // Nobody asked for that; but the join is made, and the rest is to be had.
            let whole = self.peers.state(server, room, event.id()).await?;
            answer = JoinAnswer { state: whole.pdus, auth_chain: whole.auth_chain, members_omitted: false, ..answer };
        }
        self.take_up_join(server, (room, version), event, answer).await?;
        match self.rooms.whole_within(room, REST_WAIT).await {
            Ok(_) | Err(RoomError::InPart) => Ok(()),
            Err(error) => Err(error.into()),
        }
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
        let rules = rules_of(&version).ok_or_else(|| ApiError::incompatible_room_version(version.as_str()))?;
        let rules = Arc::new(rules);
        let JoinAnswer { state, auth_chain, event, members_omitted, servers_in_room } = answer;
        let told = servers_in_room.iter().filter_map(|name| ServerName::parse(name).ok());
        let others: Vec<_> = std::iter::once(server.to_owned()).chain(told).collect();
        let event = self.countersigned(ours, event, &rules).await?;
        let mut arrival = self.rooms.arrival(room, &version);
        let state = self.bring_room_in(server, &mut arrival, (state, auth_chain), &rules).await?;
        match arrival.join(&event, &state, members_omitted.then_some(&others[..])).await? {
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

    /// Brings the events of a room in, part by part: while one is written, the signatures of the next are checked on the
    /// other cores. Answers with the ids of the state.
    async fn bring_room_in(
        &self,
        server: &ServerName,
        arrival: &mut Arrival,
        (state, auth_chain): (Vec<RawEvent>, Vec<RawEvent>),
        rules: &Arc<RoomVersionRules>,
    ) -> Result<Vec<OwnedEventId>, ApiError> {
        let chain_count = auth_chain.len();
        let sent = auth_chain.into_iter().chain(state).collect();
        // Of a room that people of this server are in, nobody else has the last word.
        let is_new = self.rooms.snapshot(arrival.room()).await.map_or(true, |snapshot| !snapshot.is_local());
        let mut reading = self.peers.begin_reading(is_new.then_some(server), sent, rules).await?;
        let state = reading.ids()[chain_count..].iter().flatten().cloned().collect();
        // They are most of a large room, and rely on the rest.
        reading.put_last(|event| *event.kind() == TimelineEventType::RoomMember);
        let mut part = reading.next(PART_EVENTS).await?;
        while let Some(events) = part {
            let (brought, next) = tokio::join!(arrival.bring(events), reading.next(PART_EVENTS));
            brought?;
            part = next?;
        }
        Ok(state)
    }

    /// The join as the other server signed it too, where somebody there vouches for it.
    async fn countersigned(
        &self,
        ours: Event,
        theirs: Option<RawEvent>,
        rules: &Arc<RoomVersionRules>,
    ) -> Result<Event, ApiError> {
        let Some(theirs) = theirs else { return Ok(ours) };
        let read = self.peers.read_events(vec![theirs], rules, References::Limited).await?.pop().flatten();
        Ok(read.filter(|event| event.id() == ours.id()).unwrap_or(ours))
    }
}
