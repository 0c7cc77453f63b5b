//! Who may see which event: the history visibility at the time of the event, and how the person stood to the room then
//! and since.

use parking_lot::Mutex;
use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{StateEventType, TimelineEventType, room::history_visibility::HistoryVisibility},
};
use serde::Deserialize;
use std::{collections::HashMap, sync::Arc};

use crate::{Known, Membership, Result, RoomState, Rooms, Snapshot};

/// What one person may see of one room.
pub struct Visibility {
    rooms: Rooms,
    room: OwnedRoomId,
    user: OwnedUserId,
    snapshot: Arc<Snapshot>,
    /// The order of the event that holds the room's history visibility; `None` if there is none or it has no place.
    visibility_since: Option<i64>,
    /// The order of the person's membership event.
    member_since: Option<i64>,
    /// The event by which the person left the room, if they were in it.
    left_by: Option<Arc<Known>>,
    /// Whether the person answers for what is said, and sees everything.
    oversees: bool,
    /// By state group: the visibility then, and how the person stood to the room then.
    then: Mutex<HashMap<u64, (HistoryVisibility, Membership)>>,
}

#[derive(Deserialize)]
struct Content {
    history_visibility: HistoryVisibility,
}

impl Rooms {
    /// What a person may see of a room.
    pub async fn visibility(&self, user: &UserId, room: &RoomId) -> Result<Visibility> {
        let snapshot = self.snapshot(room).await?;
        let visibility_since = match snapshot.kept(&StateEventType::RoomHistoryVisibility) {
            Some(event) => self.known(event.id()).await?.and_then(|known| known.order()),
            None => None,
        };
        let member = match snapshot.member(user) {
            Some(member) => self.known(&member.event_id).await?,
            None => None,
        };
        let mut left_by = None;
        if let Some(known) = &member
            && snapshot.membership(user) != Membership::Join
            && let Some(before) = known.before()
            && self.state_of_group(room, before).await?.membership(user) == Membership::Join
            && !self.membership(user, room).await?.is_some_and(|row| row.forgotten)
        {
            left_by = Some(known.clone());
        }
        Ok(Visibility {
            rooms: self.clone(),
            room: room.to_owned(),
            user: user.to_owned(),
            member_since: member.and_then(|known| known.order()),
            left_by,
            oversees: false,
            visibility_since,
            snapshot,
            then: Mutex::default(),
        })
    }

    /// What a person sees of a room who answers for what is said in it. Who may is decided above.
    pub async fn oversight(&self, user: &UserId, room: &RoomId) -> Result<Visibility> {
        let visibility = self.visibility(user, room).await?;
        Ok(Visibility { oversees: true, left_by: None, ..visibility })
    }
}

impl Visibility {
    /// Whether the person may look into the room at all: they are or were in it, or anybody may.
    pub fn may_look(&self) -> bool {
        self.oversees
            || self.snapshot.is_joined(&self.user)
            || self.left_by.is_some()
            || *self.snapshot.history_visibility() == HistoryVisibility::WorldReadable
    }

    /// The order after which a person who left sees nothing more, unless anybody may look.
    pub fn ends_at(&self) -> Option<i64> {
        self.left_by().and_then(|known| known.order())
    }

    /// The event by which the person left, unless anybody may look.
    pub fn left_by(&self) -> Option<&Arc<Known>> {
        let world_readable = *self.snapshot.history_visibility() == HistoryVisibility::WorldReadable;
        self.left_by.as_ref().filter(|_| !world_readable)
    }

    /// How the room stands now.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Whether the person may see an event.
    pub async fn may_see(&self, known: &Known) -> Result<bool> {
        if !known.is_visible_kind() || known.event().room() != self.room {
            return Ok(false);
        }
        if self.oversees {
            return Ok(true);
        }
        let order = known.order();
        if let (Some(since), Some(order)) = (self.visibility_since, order)
            && order > since
            && let Some(seen) = self.sees_at_present_visibility(order)
        {
            return Ok(seen);
        }
        let own = *known.event().kind() == TimelineEventType::RoomMember
            && known.event().state_key() == Some(self.user.as_str());
        let (after, before) = (self.at(known.after()).await?, self.at(known.before()).await?);
        // Spec, "Room history visibility": who may see what was before the change may see the change itself.
        if *known.event().kind() == TimelineEventType::RoomHistoryVisibility
            && let Some((visibility, membership)) = &before
            && self.sees(visibility, *membership, order)
        {
            return Ok(true);
        }
        let Some((visibility, membership)) = after.or(before) else {
            // An event whose state is not known here (an auth event of before the join): part of the room's state.
            return Ok(self.snapshot.is_joined(&self.user));
        };
        Ok(own || self.sees(&visibility, membership, order))
    }

    /// Whether the person sees what was sent at `order`, when they stood so to the room and it was so visible.
    fn sees(&self, visibility: &HistoryVisibility, membership: Membership, order: Option<i64>) -> bool {
        allows(visibility, membership) || (*visibility == HistoryVisibility::Shared && self.joined_after(order))
    }

    /// The answer for an event after the room's present visibility began, if that suffices.
    fn sees_at_present_visibility(&self, order: i64) -> Option<bool> {
        let visibility = self.snapshot.history_visibility();
        let joined = self.snapshot.is_joined(&self.user);
        match visibility {
            HistoryVisibility::WorldReadable => Some(true),
            HistoryVisibility::Shared if joined => Some(true),
            _ => (joined && self.member_since.is_some_and(|since| order >= since)).then_some(true),
        }
    }

    fn joined_after(&self, order: Option<i64>) -> bool {
        self.snapshot.is_joined(&self.user)
            || self
                .left_by
                .as_ref()
                .and_then(|known| known.order())
                .is_some_and(|until| order.is_none_or(|at| at < until))
    }

    /// How the person stood to the room when an event was sent.
    pub async fn membership_at(&self, known: &Known) -> Result<Membership> {
        if let (Some(since), Some(order)) = (self.member_since, known.order())
            && order >= since
        {
            return Ok(self.snapshot.membership(&self.user));
        }
        Ok(self.at(known.after().or(known.before())).await?.map_or(Membership::Leave, |(_, membership)| membership))
    }

    async fn at(&self, group: Option<u64>) -> Result<Option<(HistoryVisibility, Membership)>> {
        let Some(group) = group else { return Ok(None) };
        if let Some(then) = self.then.lock().get(&group) {
            return Ok(Some(then.clone()));
        }
        let state = self.rooms.state_of_group(&self.room, group).await?;
        let then = (self.rooms.visibility_of(&state).await?, state.membership(&self.user));
        self.then.lock().insert(group, then.clone());
        Ok(Some(then))
    }
}

/// Whether a person who stands to the room like this sees what is sent now.
pub(crate) fn allows(visibility: &HistoryVisibility, membership: Membership) -> bool {
    match visibility {
        HistoryVisibility::WorldReadable => true,
        HistoryVisibility::Invited => membership.is_in_or_invited(),
        _ => membership == Membership::Join,
    }
}

impl Rooms {
    /// The history visibility of a state.
    pub(crate) async fn visibility_of(&self, state: &RoomState) -> Result<HistoryVisibility> {
        let Some(id) = state.get(&StateEventType::RoomHistoryVisibility, "") else {
            return Ok(HistoryVisibility::Shared);
        };
        let known = self.known(id).await?;
        let content = known.and_then(|known| known.event().content_as::<Content>());
        Ok(content.map_or(HistoryVisibility::Shared, |content| content.history_visibility))
    }
}
