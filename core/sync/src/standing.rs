//! A room's part of the answer by how the person stands to it: in, asked in, knocking, gone.

use lyceum_rooms::{Known, Membership, RoomError};
use lyceum_storage::Position;
use ruma::{
    RoomId,
    events::{StateEventType, TimelineEventType},
};
use serde_json::value::RawValue;
use std::sync::Arc;

use crate::{
    Result, Sync,
    joined::{Has, StateEvents},
    request::{Lazy, StateForm},
    response::{InvitedRoom, Json, KnockedRoom, LeftRoom, Rooms, Timeline},
    timeline::{Slice, Span, order_of},
    v2::{Standing, Turn, came_whole},
};

/// What somebody who is not in a room is shown of it
/// (<https://spec.matrix.org/v1.19/client-server-api/#stripped-state>).
const STRIPPED: [StateEventType; 8] = [
    StateEventType::RoomCreate,
    StateEventType::RoomName,
    StateEventType::RoomAvatar,
    StateEventType::RoomTopic,
    StateEventType::RoomJoinRules,
    StateEventType::RoomCanonicalAlias,
    StateEventType::RoomEncryption,
    StateEventType::RoomTombstone,
];

impl Sync {
    pub(crate) async fn add_room(
        &self,
        turn: &Turn<'_>,
        rooms: &mut Rooms,
        room: &RoomId,
        standing: Standing,
    ) -> Result<()> {
        let since = turn.since_position();
        let is_new = since.is_none_or(|since| standing.row.position > since);
        let id = room.to_string();
        match standing.row.membership {
            Membership::Join => {
                let Some(has) = self.has(turn, room, &standing).await? else { return Ok(()) };
                if let Some(joined) = self.joined_room(turn, room, has).await? {
                    rooms.join.insert(id, joined);
                }
            }
            Membership::Invite if is_new && !self.is_hidden_invite(turn.request.user, &standing.row.sender).await? => {
                let invite_state = self.stripped(turn, room).await?.into();
                rooms.invite.insert(id, InvitedRoom { invite_state });
            }
            Membership::Knock if is_new => {
                let knock_state = self.stripped(turn, room).await?.into();
                rooms.knock.insert(id, KnockedRoom { knock_state });
            }
            // Who left of their own accord knows it; who was put out may not, if it came before their client's first sync.
            Membership::Leave | Membership::Ban
                if is_new
                    && (since.is_some() || turn.wanted.include_leave || standing.row.sender != *turn.request.user) =>
            {
                if let Some(left) = self.left_room(turn, room, &standing).await? {
                    rooms.leave.insert(id, left);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What the client has of a room that the person is in; `None` if it is not to be shown the room yet.
    async fn has(&self, turn: &Turn<'_>, room: &RoomId, standing: &Standing) -> Result<Option<Has>> {
        let since = turn.since_position();
        if turn.wanted.lazy == Lazy::No {
            // A client that wants all members is shown a room when they are known.
            let (snapshot, to) = (self.rooms().snapshot(room).await?, turn.to.position);
            if snapshot.partial().is_some() || snapshot.whole_since().is_some_and(|whole| whole > to) {
                return Ok(None);
            }
            if came_whole(&snapshot, since, to) {
                return Ok(Some(Has::Nothing));
            }
        }
        let Some(since) = since else { return Ok(Some(Has::Nothing)) };
        if !standing.changed {
            return Ok(Some(Has::UpTo(since)));
        }
        let was = self.state_at(room, since).await?.membership(turn.request.user);
        Ok(Some(if was == Membership::Join { Has::UpTo(since) } else { Has::Nothing }))
    }

    /// What a person outside is shown of a room: what came with the invite, or what this server knows.
    pub(crate) async fn stripped(&self, turn: &Turn<'_>, room: &RoomId) -> Result<Vec<Json>> {
        let came_along = self.rooms().stripped_state(turn.request.user, room).await?;
        if !came_along.is_empty() {
            return Ok(came_along.into_iter().filter_map(|text| RawValue::from_string(text).ok()).collect());
        }
        let snapshot = match self.rooms().snapshot(room).await {
            Ok(snapshot) => snapshot,
            Err(RoomError::UnknownRoom(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut events: Vec<Json> =
            STRIPPED.iter().filter_map(|kind| snapshot.kept(kind)).map(lyceum_rooms::stripped_form).collect();
        let members = [Some(turn.request.user), snapshot.member(turn.request.user).map(|_| turn.request.user)];
        let own = members[1].and_then(|user| snapshot.member(user));
        if let Some(own) = own
            && let Some(own) = self.rooms().known(&own.event_id).await?
        {
            let inviter = own.event().sender();
            if inviter != turn.request.user
                && let Some(inviter) = snapshot.member(inviter)
                && let Some(inviter) = self.rooms().known(&inviter.event_id).await?
            {
                events.push(inviter.stripped_form());
            }
            events.push(own.stripped_form());
        }
        Ok(events)
    }

    /// What happened in a room up to the person's leaving.
    async fn left_room(&self, turn: &Turn<'_>, room: &RoomId, standing: &Standing) -> Result<Option<LeftRoom>> {
        let snapshot = match self.rooms().snapshot(room).await {
            Ok(snapshot) => snapshot,
            // An invite or knock that ended without this server ever having been in the room.
            Err(RoomError::UnknownRoom(_)) => return Ok(Some(self.left_outside(turn, room).await?)),
            Err(error) => return Err(error.into()),
        };
        if !snapshot.is_local() && !self.rooms().stripped_state(turn.request.user, room).await?.is_empty() {
            return Ok(Some(self.left_outside(turn, room).await?));
        }
        let leaving = Position(standing.row.position.0.min(turn.to.position.0));
        let since = turn.since_position();
        let was_in = match since {
            Some(since) => self.state_at(room, since).await?.membership(turn.request.user) == Membership::Join,
            None => false,
        };
        let after = since.filter(|_| was_in);
        let before_leaving = self.state_at(room, Position(leaving.0.saturating_sub(1))).await?;
        let forgotten = standing.row.forgotten;
        let was_inside = was_in || before_leaving.membership(turn.request.user) == Membership::Join;
        let (slice, state) = if was_inside && !forgotten {
            let slice = self.slice(turn, room, Span { after, through: leaving }, true).await?;
            let full = after.is_none() || turn.request.full_state;
            let state = self.state_update(turn, &snapshot, (&slice, leaving), after, full).await?;
            (slice, state)
        } else {
            let slice = self.leaving_alone(turn, room, leaving).await?;
            // A client that takes state from `state_after` takes none from the timeline.
            let state = match turn.request.state_form {
                StateForm::Before => StateEvents::default(),
                StateForm::After => self.state_events(turn, &slice.events).await?,
            };
            (slice, state)
        };
        Ok(Some(LeftRoom {
            state: state.into_form(turn.request.state_form),
            account_data: self.room_account_data(turn, room, after.map_or(Has::Nothing, Has::UpTo)).await?.into(),
            timeline: self.timeline_of(turn, slice).await?,
        }))
    }

    /// Of a room that this server was not in there is only the event that ended an invite or a knock.
    async fn left_outside(&self, turn: &Turn<'_>, room: &RoomId) -> Result<LeftRoom> {
        let told = self.rooms().stripped_state(turn.request.user, room).await?;
        let events = told.into_iter().filter_map(|text| RawValue::from_string(text).ok()).collect();
        Ok(LeftRoom { timeline: Timeline { events, ..Timeline::default() }, ..LeftRoom::default() })
    }

    /// Only the person's own membership event: they never saw the room.
    async fn leaving_alone(&self, turn: &Turn<'_>, room: &RoomId, leaving: Position) -> Result<Slice> {
        let page = self.rooms().page(room, lyceum_rooms::Direction::Backward, order_of(leaving), None, 1).await?;
        let is_own = |known: &Arc<Known>| {
            *known.event().kind() == TimelineEventType::RoomMember
                && known.event().state_key() == Some(turn.request.user.as_str())
        };
        let events: Vec<_> = page.events.into_iter().filter(is_own).collect();
        Ok(Slice { all: events.clone(), events_in_span: events.len(), events, limited: false, is_linear: true })
    }
}
