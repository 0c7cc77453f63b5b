//! A room's state at one moment: which event holds each (type, state key). A persistent map, so that keeping the state
//! at many moments costs what changed between them.

use imbl::{HashMap, OrdMap};
use ruma::{
    EventId, OwnedEventId, OwnedUserId, UserId,
    events::{StateEventType, TimelineEventType},
};

use crate::Membership;

/// A state event's place: its type and its state key.
pub type StateKey = (StateEventType, String);

/// One person's membership: the event that says so, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The `m.room.member` event.
    pub event_id: OwnedEventId,
    /// What it says.
    pub membership: Membership,
}

/// The state of a room at one moment. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct RoomState {
    /// Memberships by person, apart from the rest because there can be very many.
    members: HashMap<OwnedUserId, Member>,
    /// All other state.
    rest: OrdMap<StateKey, OwnedEventId>,
}

/// One difference between two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changes.
    pub key: StateKey,
    /// The event that holds it from now on, and for a member what it says; `None`: nothing does.
    pub to: Option<(OwnedEventId, Option<Membership>)>,
}

impl RoomState {
    /// The event that holds this state.
    pub fn get(&self, kind: &StateEventType, state_key: &str) -> Option<&EventId> {
        if *kind == StateEventType::RoomMember
            && let Ok(user) = <&UserId>::try_from(state_key)
        {
            return self.members.get(user).map(|member| &*member.event_id);
        }
        self.rest.get(&(kind.clone(), state_key.to_owned())).map(|id| &**id)
    }

    /// A person's membership, if there is any event about it.
    pub fn member(&self, user: &UserId) -> Option<&Member> {
        self.members.get(user)
    }

    /// A person's membership, `leave` if there is no event about it.
    pub fn membership(&self, user: &UserId) -> Membership {
        self.members.get(user).map_or(Membership::Leave, |member| member.membership)
    }

    /// All memberships there are events about.
    pub fn members(&self) -> impl Iterator<Item = (&OwnedUserId, &Member)> {
        self.members.iter()
    }

    /// How many memberships there are events about.
    pub fn members_len(&self) -> usize {
        self.members.len()
    }

    /// All state but memberships, in order of type and state key.
    pub fn rest(&self) -> impl Iterator<Item = (&StateKey, &OwnedEventId)> {
        self.rest.iter()
    }

    /// The state keys and events of one type (not for memberships).
    pub fn of_type<'a>(&'a self, kind: &'a StateEventType) -> impl Iterator<Item = (&'a str, &'a OwnedEventId)> {
        self.rest.iter().filter(move |((one, _), _)| one == kind).map(|((_, key), id)| (key.as_str(), id))
    }

    /// Every event of the state.
    pub fn event_ids(&self) -> impl Iterator<Item = &OwnedEventId> {
        self.rest.values().chain(self.members.values().map(|member| &member.event_id))
    }

    /// How many events hold state.
    pub fn len(&self) -> usize {
        self.rest.len() + self.members.len()
    }

    /// Whether nothing holds state yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything as keys and event ids, for state resolution.
    pub fn entries(&self) -> impl Iterator<Item = (StateKey, OwnedEventId)> {
        let members = self
            .members
            .iter()
            .map(|(user, member)| ((StateEventType::RoomMember, user.to_string()), member.event_id.clone()));
        self.rest.iter().map(|(key, id)| (key.clone(), id.clone())).chain(members)
    }

    /// Makes one change.
    pub fn apply(&mut self, change: &Change) {
        let (kind, state_key) = &change.key;
        if *kind == StateEventType::RoomMember
            && let Ok(user) = UserId::parse(state_key.as_str())
        {
            match &change.to {
                Some((event_id, membership)) => {
                    let membership = membership.unwrap_or_default();
                    self.members.insert(user, Member { event_id: event_id.clone(), membership });
                }
                None => drop(self.members.remove(&user)),
            }
            return;
        }
        match &change.to {
            Some((event_id, _)) => drop(self.rest.insert(change.key.clone(), event_id.clone())),
            None => drop(self.rest.remove(&change.key)),
        }
    }

    /// Whose membership event is another one in `to`.
    pub fn member_changes_to<'a>(&'a self, to: &'a Self) -> impl Iterator<Item = &'a OwnedUserId> {
        let changed = to.members.iter().filter(|(user, member)| self.members.get(*user) != Some(*member));
        changed.map(|(user, _)| user)
    }

    /// What has to change for this state to become `to`.
    pub fn changes_to(&self, to: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (user, member) in &to.members {
            if self.members.get(user).is_none_or(|had| had.event_id != member.event_id) {
                changes.push(Change {
                    key: (StateEventType::RoomMember, user.to_string()),
                    to: Some((member.event_id.clone(), Some(member.membership))),
                });
            }
        }
        for (key, event_id) in &to.rest {
            if self.rest.get(key) != Some(event_id) {
                changes.push(Change { key: key.clone(), to: Some((event_id.clone(), None)) });
            }
        }
        let gone_members = self.members.keys().filter(|user| !to.members.contains_key(*user));
        changes
            .extend(gone_members.map(|user| Change { key: (StateEventType::RoomMember, user.to_string()), to: None }));
        let gone = self.rest.keys().filter(|key| !to.rest.contains_key(*key));
        changes.extend(gone.map(|key| Change { key: key.clone(), to: None }));
        changes
    }
}

/// The state type of a timeline type. Every state event is also a timeline event.
pub fn state_type(kind: &TimelineEventType) -> StateEventType {
    StateEventType::from(kind.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::{event_id, user_id};

    fn member(user: &str, id: &EventId, membership: Membership) -> Change {
        Change { key: (StateEventType::RoomMember, user.into()), to: Some((id.to_owned(), Some(membership))) }
    }

    #[test]
    fn the_difference_of_two_states_turns_one_into_the_other() {
        let mut before = RoomState::default();
        before.apply(&member("@a:x", event_id!("$1"), Membership::Join));
        before.apply(&member("@b:x", event_id!("$2"), Membership::Invite));
        before.apply(&Change {
            key: (StateEventType::RoomName, String::new()),
            to: Some((event_id!("$3").to_owned(), None)),
        });
        let mut after = before.clone();
        after.apply(&member("@b:x", event_id!("$4"), Membership::Join));
        after.apply(&Change { key: (StateEventType::RoomName, String::new()), to: None });

        let changes = before.changes_to(&after);
        assert_eq!(changes.len(), 2);
        for change in &changes {
            before.apply(change);
        }
        assert!(before.changes_to(&after).is_empty());
        assert_eq!(before.membership(user_id!("@b:x")), Membership::Join);
        assert_eq!(before.membership(user_id!("@c:x")), Membership::Leave);
        assert_eq!(before.get(&StateEventType::RoomName, ""), None);
    }
}
