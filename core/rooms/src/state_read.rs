//! Reading a room's state as somebody who may.

use ruma::{
    EventId, OwnedServerName, RoomId, UserId,
    events::{StateEventType, room::history_visibility::HistoryVisibility},
};
use std::{collections::HashSet, sync::Arc};

use crate::{Known, Membership, Result, RoomError, RoomState, Rooms, Snapshot, Visibility};

/// Servers of a room that are told to whoever looks for it.
const SERVERS_TOLD_MAX: usize = 500;

/// A room's first events: its creation and its creator's coming.
const FIRST_EVENTS: usize = 2;

impl Rooms {
    /// The state of a room as a person may see it: as it is now for those inside and where anybody may look, as it was
    /// when they left for those who left.
    pub async fn state_for(&self, user: &UserId, room: &RoomId) -> Result<Arc<RoomState>> {
        let snapshot = self.snapshot(room).await.map_err(crate::send::unknown_is_forbidden)?;
        self.state_of(&self.visibility(user, room).await?, &snapshot).await
    }

    /// The same, once the state is whole.
    async fn whole_state_for(&self, user: &UserId, room: &RoomId) -> Result<Arc<RoomState>> {
        if self.visibility(user, room).await.map_err(crate::send::unknown_is_forbidden)?.may_look() {
            self.whole(room).await?;
        }
        self.state_for(user, room).await
    }

    async fn state_of(&self, visibility: &Visibility, snapshot: &Snapshot) -> Result<Arc<RoomState>> {
        if !visibility.may_look() {
            return Err(RoomError::forbidden("you are not in this room"));
        }
        match visibility.left_by() {
            Some(known) => match known.after() {
                Some(group) => self.state_of_group(snapshot.room_id(), group).await,
                None => Err(RoomError::forbidden("you are not in this room")),
            },
            None => Ok(Arc::new(snapshot.state().clone())),
        }
    }

    /// One state event, as a person may see it.
    pub async fn state_event_for(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &StateEventType,
        state_key: &str,
    ) -> Result<Arc<Known>> {
        let state = self.state_for(user, room).await?;
        let state = match *kind == StateEventType::RoomMember && state.get(kind, state_key).is_none() {
            // Of a room in part it may be among what is still to come.
            true => self.whole_state_for(user, room).await?,
            false => state,
        };
        let id = state.get(kind, state_key).ok_or(RoomError::NotFound("there is no such state in the room"))?;
        self.must_know(id).await
    }

    /// All state events, as a person may see them.
    pub async fn state_events_for(&self, user: &UserId, room: &RoomId) -> Result<Vec<Arc<Known>>> {
        let state = self.whole_state_for(user, room).await?;
        self.must_know_all(state.event_ids()).await
    }

    /// Membership events, as a person may see them: now, or at a place in the timeline.
    pub async fn members_for(
        &self,
        user: &UserId,
        room: &RoomId,
        at: Option<i64>,
        wanted: impl Fn(Membership) -> bool,
    ) -> Result<Vec<Arc<Known>>> {
        let state = match at {
            None => self.whole_state_for(user, room).await?,
            Some(at) => {
                let visibility = self.visibility(user, room).await.map_err(crate::send::unknown_is_forbidden)?;
                if !visibility.may_look() {
                    return Err(RoomError::forbidden("you are not in this room"));
                }
                self.whole(room).await?;
                let at = visibility.ends_at().map_or(at, |end| at.min(end));
                self.state_at(room, at).await?
            }
        };
        let ids = state.members().filter(|(_, member)| wanted(member.membership)).map(|(_, member)| &member.event_id);
        self.must_know_all(ids).await
    }

    /// The state after the last event at or before a place in the timeline.
    pub async fn state_at(&self, room: &RoomId, at: i64) -> Result<Arc<RoomState>> {
        let (snapshot, last) = self.now(room).await?;
        if at >= last {
            return Ok(Arc::new(snapshot.state().clone()));
        }
        let mut page = self.page(room, crate::Direction::Backward, at, None, 1).await?;
        if page.events.is_empty() {
            // The place before a timeline that begins with the room: clients mean the room as it began, with its creator.
            page = self.page(room, crate::Direction::Forward, at, None, FIRST_EVENTS).await?;
            page.events.reverse();
        }
        match page.events.first().and_then(|known| known.room_after()) {
            Some(group) => self.state_of_group(room, group).await,
            None => Ok(Arc::default()),
        }
    }

    pub(crate) async fn must_know(&self, id: &EventId) -> Result<Arc<Known>> {
        let known = self.known(id).await?;
        known.ok_or_else(|| RoomError::Damaged(format!("event {id} of a room's state is missing")))
    }

    /// Events that must be there because a state names them.
    pub async fn must_know_all(&self, ids: impl Iterator<Item = &ruma::OwnedEventId>) -> Result<Vec<Arc<Known>>> {
        let ids: Vec<_> = ids.cloned().collect();
        let known = self.known_many(&ids).await?;
        let missing = || RoomError::Damaged("an event of a room's state is missing".to_owned());
        known.into_iter().map(|known| known.ok_or_else(missing)).collect()
    }

    /// The membership events of all who are in a room, for one of them.
    pub async fn joined_members_for(&self, user: &UserId, room: &RoomId) -> Result<Vec<Arc<Known>>> {
        self.look_into_now(user, room).await?;
        let snapshot = self.whole(room).await?;
        let joined = snapshot.state().members().filter(|(_, member)| member.membership == Membership::Join);
        self.must_know_all(joined.map(|(_, member)| &member.event_id)).await
    }

    /// A room as it is now, for somebody who is in it.
    pub async fn look_into_now(&self, user: &UserId, room: &RoomId) -> Result<Arc<Snapshot>> {
        let snapshot = self.snapshot(room).await.map_err(crate::send::unknown_is_forbidden)?;
        let open = *snapshot.history_visibility() == HistoryVisibility::WorldReadable;
        if !open && !snapshot.is_joined(user) {
            return Err(RoomError::forbidden("you are not in this room"));
        }
        Ok(snapshot)
    }

    /// The servers that are in a room, those with most people first.
    pub async fn servers_in(&self, room: &RoomId) -> Result<Vec<OwnedServerName>> {
        let snapshot = match self.snapshot(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(Vec::new()),
            found => found?,
        };
        let mut servers: Vec<_> = snapshot.servers().map(|(server, people)| (people, server.clone())).collect();
        servers.sort_by(|one, other| other.cmp(one));
        Ok(servers.into_iter().map(|(_, server)| server).take(SERVERS_TOLD_MAX).collect())
    }

    /// The state after an event; of memberships only those of `people`'s senders if it is given.
    pub async fn state_around(
        &self,
        room: &RoomId,
        last: &Known,
        people: Option<&[Arc<Known>]>,
    ) -> Result<Vec<Arc<Known>>> {
        let state = match last.after() {
            Some(group) => self.state_of_group(room, group).await?,
            None => Arc::new(self.snapshot(room).await?.state().clone()),
        };
        let Some(people) = people else { return self.must_know_all(state.event_ids()).await };
        let senders: HashSet<_> = people.iter().map(|known| known.event().sender()).collect();
        let members = senders.iter().filter_map(|user| state.member(user)).map(|member| &member.event_id);
        self.must_know_all(state.rest().map(|(_, id)| id).chain(members)).await
    }

    /// One event, if a person may see it.
    pub async fn event_for(&self, user: &UserId, room: &RoomId, id: &EventId) -> Result<(Arc<Known>, Visibility)> {
        let unknown = || RoomError::UnknownEvent(id.to_owned());
        let visibility = match self.visibility(user, room).await {
            Err(RoomError::UnknownRoom(_)) => return Err(unknown()),
            found => found?,
        };
        let known = self.known(id).await?.ok_or_else(unknown)?;
        if visibility.may_see(&known).await? { Ok((known, visibility)) } else { Err(unknown()) }
    }
}
