//! A room at one moment: its state, and what is read from it so often that it is kept parsed. A snapshot never changes;
//! the next state event makes the next one, sharing what stayed.

use imbl::{HashMap, OrdSet};
use lyceum_events::Event;
use lyceum_storage::Position;
use ruma::{
    OwnedRoomId, OwnedServerName, OwnedUserId, RoomVersionId, ServerName, UserId,
    events::{
        StateEventType,
        room::{history_visibility::HistoryVisibility, power_levels::RoomPowerLevels},
    },
    room_version_rules::RoomVersionRules,
    state_res::Event as _,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Change, Member, Membership, Partial, RoomState, facts::Facts};

/// The state events (with an empty state key) that a snapshot keeps at hand.
pub(crate) const KEPT: [StateEventType; 13] = [
    StateEventType::RoomCreate,
    StateEventType::RoomPowerLevels,
    StateEventType::RoomJoinRules,
    StateEventType::RoomHistoryVisibility,
    StateEventType::RoomGuestAccess,
    StateEventType::RoomServerAcl,
    StateEventType::RoomEncryption,
    StateEventType::RoomName,
    StateEventType::RoomTopic,
    StateEventType::RoomAvatar,
    StateEventType::RoomCanonicalAlias,
    StateEventType::RoomTombstone,
    StateEventType::RoomPolicy,
];

/// A room at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    room_id: OwnedRoomId,
    version: RoomVersionId,
    rules: Arc<RoomVersionRules>,
    state: RoomState,
    group: Option<u64>,
    kept: Arc<BTreeMap<StateEventType, Event>>,
    facts: Arc<Facts>,
    joined: u64,
    invited: u64,
    servers: HashMap<OwnedServerName, u64>,
    local_joined: OrdSet<OwnedUserId>,
    server_name: OwnedServerName,
    partial: Option<Arc<Partial>>,
    /// When only part of the state was here, if that is over.
    part: Option<Arc<PartTime>>,
}

/// The time when only part of a room's state was here: positions of the stream.
#[derive(Debug)]
pub(crate) struct PartTime {
    pub(crate) from: u64,
    /// Servers that were in the room then without its being believed here.
    pub(crate) missed: Vec<OwnedServerName>,
    /// Set once the commit that ends it has its position; 0 before.
    pub(crate) until: AtomicU64,
}

impl Snapshot {
    /// A room before its first event.
    pub(crate) fn empty(
        room_id: OwnedRoomId,
        version: RoomVersionId,
        rules: Arc<RoomVersionRules>,
        server_name: OwnedServerName,
    ) -> Self {
        Self {
            room_id,
            version,
            rules,
            server_name,
            state: RoomState::default(),
            group: None,
            kept: Arc::default(),
            facts: Arc::default(),
            joined: 0,
            invited: 0,
            servers: HashMap::new(),
            local_joined: OrdSet::new(),
            partial: None,
            part: None,
        }
    }

    /// The same room, of whose state this is still to come.
    pub(crate) fn in_part(mut self, partial: Partial) -> Self {
        self.partial = Some(Arc::new(partial));
        self
    }

    /// The same room, the rest of whose state has come.
    pub(crate) fn whole(mut self, part: Arc<PartTime>) -> Self {
        (self.partial, self.part) = (None, Some(part));
        self
    }

    /// Fills an empty snapshot with a state that was read, and the events of it that are kept.
    pub(crate) fn filled(mut self, state: RoomState, group: u64, kept: impl IntoIterator<Item = Event>) -> Self {
        for (user, member) in state.members() {
            self.count(user, Membership::Leave, member.membership);
        }
        self.kept = Arc::new(
            kept.into_iter().map(|event| (StateEventType::from(event.event_type().to_string()), event)).collect(),
        );
        self.facts = Arc::new(Facts::of(&self.kept, &self.rules));
        (self.state, self.group) = (state, Some(group));
        self
    }

    /// The room after these changes of state, which make it `group`. `event_of` knows the events of the changes.
    pub(crate) fn changed(&self, changes: &[Change], group: u64, event_of: impl Fn(&Change) -> Option<Event>) -> Self {
        let mut next = self.clone();
        next.group = Some(group);
        let mut kept = None;
        for change in changes {
            let (kind, state_key) = &change.key;
            if *kind == StateEventType::RoomMember
                && let Ok(user) = UserId::parse(state_key.as_str())
            {
                let to = change.to.as_ref().and_then(|(_, membership)| *membership).unwrap_or_default();
                next.count(&user, self.state.membership(&user), to);
            } else if state_key.is_empty() && KEPT.contains(kind) {
                let kept = kept.get_or_insert_with(|| BTreeMap::clone(&self.kept));
                match event_of(change) {
                    Some(event) => drop(kept.insert(kind.clone(), event)),
                    None => drop(kept.remove(kind)),
                }
            }
            next.state.apply(change);
        }
        if let Some(kept) = kept {
            next.facts = Arc::new(Facts::of(&kept, &self.rules));
            next.kept = Arc::new(kept);
        }
        next
    }

    /// The room after one of its events was redacted: the same events hold the state, one of them says less.
    pub(crate) fn with_redacted(&self, event: &Event) -> Self {
        let mut next = self.clone();
        let kind = StateEventType::from(event.event_type().to_string());
        if self.kept.get(&kind).is_some_and(|kept| kept.id() == event.id()) {
            let mut kept = BTreeMap::clone(&self.kept);
            kept.insert(kind, event.clone());
            next.facts = Arc::new(Facts::of(&kept, &self.rules));
            next.kept = Arc::new(kept);
        }
        next
    }

    fn count(&mut self, user: &UserId, from: Membership, to: Membership) {
        if from == to {
            return;
        }
        let local = user.server_name() == self.server_name;
        match from {
            Membership::Invite => self.invited -= 1,
            Membership::Join => {
                self.joined -= 1;
                if let Some(count) = self.servers.get_mut(user.server_name()) {
                    *count -= 1;
                    if *count == 0 {
                        self.servers.remove(user.server_name());
                    }
                }
                if local {
                    self.local_joined.remove(user);
                }
            }
            _ => {}
        }
        match to {
            Membership::Invite => self.invited += 1,
            Membership::Join => {
                self.joined += 1;
                *self.servers.entry(user.server_name().to_owned()).or_default() += 1;
                if local {
                    self.local_joined.insert(user.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Which room.
    pub fn room_id(&self) -> &OwnedRoomId {
        &self.room_id
    }

    /// Its version.
    pub fn version(&self) -> &RoomVersionId {
        &self.version
    }

    /// The rules of its version.
    pub fn rules(&self) -> &RoomVersionRules {
        &self.rules
    }

    /// The same, to keep.
    pub fn shared_rules(&self) -> Arc<RoomVersionRules> {
        self.rules.clone()
    }

    /// Which event holds each state.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// The group of the state; `None` before the first event.
    pub fn group(&self) -> Option<u64> {
        self.group
    }

    /// One of the often-read state events with an empty state key (create, power levels, join rules, history visibility,
    /// guest access, server ACL, encryption, name, topic, avatar, canonical alias, tombstone).
    pub fn kept(&self, kind: &StateEventType) -> Option<&Event> {
        self.kept.get(kind)
    }

    /// What those say.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The power levels, defaults and creators applied.
    pub fn power_levels(&self) -> &RoomPowerLevels {
        &self.facts.power_levels
    }

    /// Who may see the events sent at this moment.
    pub fn history_visibility(&self) -> &HistoryVisibility {
        &self.facts.history_visibility
    }

    /// How many are in the room.
    pub fn joined_count(&self) -> u64 {
        self.joined
    }

    /// How many are asked in.
    pub fn invited_count(&self) -> u64 {
        self.invited
    }

    /// The servers with somebody in the room, and how many: those included of which only that is known.
    pub fn servers(&self) -> impl Iterator<Item = (&OwnedServerName, u64)> {
        let told = self.partial.iter().flat_map(|partial| &partial.servers);
        let told = told.filter(|server| !self.servers.contains_key(*server)).map(|server| (server, 0));
        self.servers.iter().map(|(server, count)| (server, *count)).chain(told)
    }

    /// Whether a server has somebody in the room.
    pub fn has_server(&self, server: &ServerName) -> bool {
        self.servers.contains_key(server) || self.partial.as_ref().is_some_and(|partial| partial.has_server(server))
    }

    /// What is still to come of the room's state, if only part of it is here.
    pub fn partial(&self) -> Option<&Arc<Partial>> {
        self.partial.as_ref()
    }

    /// The time when only part of the state was here, if that is over: from its first commit to the one that ended it.
    pub fn part_time(&self) -> Option<(Position, Position)> {
        let part = self.part.as_ref()?;
        let until = part.until.load(Ordering::Acquire);
        (until > 0).then_some((Position(part.from), Position(until)))
    }

    /// The servers that were in the room in that time without its being believed here: they were not told what they should
    /// have been.
    pub fn missed_servers(&self) -> &[OwnedServerName] {
        self.part.as_ref().map_or(&[], |part| &part.missed)
    }

    /// Since when the state is whole, if only part of it was here before.
    pub fn whole_since(&self) -> Option<Position> {
        self.part_time().map(|(_, until)| until)
    }

    /// Whether a person of another server may be in the room, for all that is known here.
    pub fn may_be_joined(&self, user: &UserId) -> bool {
        let unknown = || self.partial.as_ref().is_some_and(|partial| partial.has_server(user.server_name()));
        self.is_joined(user) || (self.member(user).is_none() && unknown())
    }

    /// This server's people in the room.
    pub fn local_joined(&self) -> impl Iterator<Item = &OwnedUserId> {
        self.local_joined.iter()
    }

    /// How many of this server's people are in the room.
    pub fn local_joined_count(&self) -> usize {
        self.local_joined.len()
    }

    /// Whether anybody of this server is in the room.
    pub fn is_local(&self) -> bool {
        !self.local_joined.is_empty()
    }

    /// A person's membership event and what it says.
    pub fn member(&self, user: &UserId) -> Option<&Member> {
        self.state.member(user)
    }

    /// How a person stands to the room.
    pub fn membership(&self, user: &UserId) -> Membership {
        self.state.membership(user)
    }

    /// Whether a person is in the room.
    pub fn is_joined(&self, user: &UserId) -> bool {
        self.membership(user) == Membership::Join
    }
}
