//! States beside the current one: where the graph of a room has several branches, and what becomes of them where they
//! meet.

use lyceum_events::{Event, Fork, ResolveError, StateMap, resolve};
use lyceum_storage::Batch;
use ruma::{EventId, OwnedEventId, events::StateEventType};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    Change, Known, Membership, Result, RoomError, RoomState, StateKey,
    groups::{self, Chain},
    tables::STATE_GROUPS,
    write::{Writing, membership_of},
};

/// States of other branches that are kept with a room's head: those of all its ends, and of what is being made of them.
const SIDES_MAX: usize = crate::ends::ENDS_MAX + 4;
/// Events loaded to resolve one fork at most.
const DECIDING_EVENTS_MAX: usize = 100_000;

/// A state, its group, and the chain that the next group can be added to.
#[derive(Clone)]
pub(crate) struct StateAt {
    pub(crate) group: Option<u64>,
    pub(crate) chain: Chain,
    pub(crate) state: RoomState,
}

impl Writing {
    /// The current state.
    pub(crate) fn current(&self) -> StateAt {
        let snapshot = self.snapshot();
        StateAt { group: snapshot.group(), chain: self.head.chain.clone(), state: snapshot.state().clone() }
    }

    /// The state of a group.
    pub(crate) async fn state_of(&mut self, group: u64) -> Result<StateAt> {
        if self.snapshot().group() == Some(group) {
            return Ok(self.current());
        }
        if let Some(side) = self.head.sides.iter().find(|side| side.group == Some(group)) {
            return Ok(side.clone());
        }
        self.settle().await?;
        let (chain, state) = groups::load(self.rooms.store(), self.room.id.as_str(), group).await?;
        let side = StateAt { group: Some(group), chain, state };
        self.keep_side(side.clone());
        Ok(side)
    }

    fn keep_side(&mut self, side: StateAt) {
        self.head.sides.push_back(side);
        if self.head.sides.len() > SIDES_MAX {
            self.head.sides.pop_front();
        }
    }

    /// Waits until everything queued for the room is durable, so that it can be read.
    pub(crate) async fn settle(&self) -> Result<()> {
        if !self.room.queued.lock().is_empty() {
            self.rooms.store().commit(Batch::new()).await?;
        }
        Ok(())
    }

    /// Makes a state that differs from another by these changes.
    pub(crate) fn state_after(&mut self, from: &StateAt, changes: Vec<Change>) -> StateAt {
        if changes.is_empty() && from.group.is_some() {
            return from.clone();
        }
        let mut next = from.clone();
        for change in &changes {
            next.state.apply(change);
        }
        let group = self.stored_mut().take_group();
        let row = next.chain.push(group, changes);
        next.group = Some(group);
        let room = self.room.id.clone();
        self.batch().put(&STATE_GROUPS, (room.as_str(), group), &row);
        self.keep_side(next.clone());
        next
    }

    /// What becomes of several states where they meet.
    pub(crate) async fn resolve(&mut self, mut states: Vec<StateAt>) -> Result<StateAt> {
        let mut seen = HashSet::new();
        states.retain(|state| seen.insert(state.group));
        let mut states = states.into_iter();
        let Some(first) = states.next() else {
            return Ok(StateAt { group: None, chain: Chain::default(), state: RoomState::default() });
        };
        let others: Vec<_> = states.collect();
        if others.is_empty() {
            return Ok(first);
        }
        let keys: HashSet<StateKey> =
            others.iter().flat_map(|other| first.state.changes_to(&other.state)).map(|change| change.key).collect();
        if keys.is_empty() {
            return Ok(first);
        }
        let (resolved, events) = self.resolve_keys(&first, &others, &keys).await?;
        let changes = keys.into_iter().chain(resolved.keys().cloned()).collect::<HashSet<_>>();
        let changes = changes.into_iter().filter_map(|key| {
            let to = resolved.get(&key);
            if first.state.get(&key.0, &key.1) == to.map(|id| &**id) {
                return None;
            }
            let to = to.map(|id| (id.clone(), member_says(&key, id, &events)));
            Some(Change { key, to })
        });
        let changes = changes.collect();
        Ok(self.state_after(&first, changes))
    }

    async fn resolve_keys(
        &self,
        first: &StateAt,
        others: &[StateAt],
        keys: &HashSet<StateKey>,
    ) -> Result<(StateMap, HashMap<OwnedEventId, Event>)> {
        let differing: Vec<StateMap> =
            std::iter::once(first).chain(others).map(|one| entries(&one.state, keys)).collect();
        let rules = self.rules();
        let agreed = |kind: &StateEventType, state_key: &str| {
            let key = (kind.clone(), state_key.to_owned());
            (!keys.contains(&key)).then(|| first.state.get(kind, state_key).map(ToOwned::to_owned)).flatten()
        };
        let agreed_events =
            || first.state.entries().filter(|(key, _)| !keys.contains(key)).map(|(_, id)| id).collect::<Vec<_>>();
        let mut events: HashMap<OwnedEventId, Event> = HashMap::new();
        let mut wanted: Vec<OwnedEventId> = differing.iter().flat_map(|state| state.values().cloned()).collect();
        loop {
            self.load_deciding(&mut events, wanted).await?;
            let fork = Fork { differing: &differing, agreed: &agreed, agreed_events: &agreed_events };
            match resolve(&fork, &rules, |id| events.get(id).cloned()) {
                Ok(resolved) => return Ok((resolved, events)),
                Err(ResolveError::Missing(ids)) => wanted = ids.into_iter().collect(),
                Err(ResolveError::Damaged(why)) => return Err(RoomError::Damaged(why)),
            }
        }
    }

    async fn load_deciding(&self, events: &mut HashMap<OwnedEventId, Event>, wanted: Vec<OwnedEventId>) -> Result<()> {
        if events.len() + wanted.len() > DECIDING_EVENTS_MAX {
            return Err(RoomError::Limit("too many events decide on the state of this room".to_owned()));
        }
        for (id, known) in wanted.iter().zip(self.find(&wanted).await?) {
            if let Some(arriving) = self.arriving.get(id) {
                events.insert(id.clone(), arriving.clone());
                continue;
            }
            let known = known.ok_or_else(|| RoomError::Damaged(format!("event {id} decides and is not here")))?;
            events.insert(id.clone(), known.event().clone());
        }
        Ok(())
    }

    /// Events by id, those included that are queued.
    pub(crate) async fn find(&self, ids: &[OwnedEventId]) -> Result<Vec<Option<Arc<Known>>>> {
        // Asked before reading: what is queued by now is either still so, or can be read.
        let queued = {
            let queued = self.room.queued.lock();
            ids.iter().any(|id| queued.contains_key(id))
        };
        if queued {
            self.settle().await?;
        }
        self.rooms.known_many(ids).await
    }

    /// The events that one follows, as far as they are here: an event of another room is none of them, whatever it says.
    pub(crate) async fn find_prev(&self, event: &Event) -> Result<Vec<Option<Arc<Known>>>> {
        let found = self.find(event.prev()).await?;
        Ok(found.into_iter().map(|prev| prev.filter(|prev| prev.event().room() == event.room())).collect())
    }

    /// The events that a state names for these places.
    pub(crate) async fn events_of(&self, state: &RoomState, keys: &[StateKey]) -> Result<Vec<Event>> {
        let ids: Vec<_> = keys.iter().filter_map(|(kind, key)| state.get(kind, key).map(ToOwned::to_owned)).collect();
        let mut events = Vec::with_capacity(ids.len());
        for id in &ids {
            events.push(self.event(id).await?);
        }
        Ok(events)
    }
}

fn entries(state: &RoomState, keys: &HashSet<StateKey>) -> StateMap {
    let held = |key: &StateKey| state.get(&key.0, &key.1).map(|id| (key.clone(), id.to_owned()));
    keys.iter().filter_map(held).collect()
}

/// What a resolved membership event says.
fn member_says(key: &StateKey, id: &EventId, events: &HashMap<OwnedEventId, Event>) -> Option<Membership> {
    (key.0 == StateEventType::RoomMember).then(|| events.get(id).map(membership_of)).flatten()
}
