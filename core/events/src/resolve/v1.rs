//! Version 1 of state resolution, of room version 1 only.
//! <https://spec.matrix.org/v1.19/rooms/v1/#state-resolution>

use ruma::{EventId, OwnedEventId, events::StateEventType, room_version_rules::RoomVersionRules};
use sha1::{Digest, Sha1};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::{Fork, ResolveError, StateMap};
use crate::{Event, authorize_by_state};

/// The types that have a say in what is permitted, in the order in which their conflicts are settled.
const DECIDING: [StateEventType; 3] =
    [StateEventType::RoomPowerLevels, StateEventType::RoomJoinRules, StateEventType::RoomMember];

pub(super) fn resolve(
    fork: &Fork<'_>,
    rules: &RoomVersionRules,
    event_by_id: impl Fn(&EventId) -> Option<Event>,
) -> Result<StateMap, ResolveError> {
    let room = Room { fork, rules, event_by_id, missing: RefCell::default() };
    let mut conflicts = room.conflicts()?;
    let mut resolved = StateMap::new();
    for kind in &DECIDING {
        // Keys sort by type first, so that those of one type lie together.
        let of_kind: Vec<_> = conflicts.keys().filter(|key| key.0 == *kind).cloned().collect();
        let settled: Vec<_> = of_kind.into_iter().filter_map(|key| Some((conflicts.remove(&key)?, key))).collect();
        let settled =
            settled.into_iter().filter_map(|(events, key)| Some((key, room.settle_deciding(&events, &resolved)?)));
        let settled: Vec<_> = settled.collect();
        resolved.extend(settled);
    }
    for (key, events) in conflicts {
        if let Some(id) = room.settle_other(&events, &resolved) {
            resolved.insert(key, id);
        }
    }
    let missing = room.missing.into_inner();
    if missing.is_empty() { Ok(resolved) } else { Err(ResolveError::Missing(missing)) }
}

struct Room<'a, F> {
    fork: &'a Fork<'a>,
    rules: &'a RoomVersionRules,
    event_by_id: F,
    missing: RefCell<BTreeSet<OwnedEventId>>,
}

impl<F: Fn(&EventId) -> Option<Event>> Room<'_, F> {
    fn event(&self, id: &EventId) -> Option<Event> {
        let event = (self.event_by_id)(id);
        if event.is_none() {
            self.missing.borrow_mut().insert(id.to_owned());
        }
        event
    }

    /// The conflicting events of each place, by ascending depth, then descending hash of the id.
    fn conflicts(&self) -> Result<BTreeMap<(StateEventType, String), Vec<Event>>, ResolveError> {
        let mut conflicts: BTreeMap<_, Vec<Event>> = BTreeMap::new();
        for (key, id) in self.fork.differing.iter().flatten() {
            let events = conflicts.entry(key.clone()).or_default();
            if events.iter().all(|event| event.id() != id)
                && let Some(event) = self.event(id)
            {
                events.push(event);
            }
        }
        for events in conflicts.values_mut() {
            events.sort_by_cached_key(|event| (event.depth(), std::cmp::Reverse(Sha1::digest(event.id().as_str()))));
        }
        let missing = self.missing.borrow();
        if missing.is_empty() { Ok(conflicts) } else { Err(ResolveError::Missing(missing.clone())) }
    }

    /// The first of these events, replaced by the next as long as each is permitted where the one before it holds.
    fn settle_deciding(&self, events: &[Event], resolved: &StateMap) -> Option<OwnedEventId> {
        let mut holds = events.first()?;
        for next in &events[1..] {
            if !self.is_permitted(next, resolved, Some(holds)) {
                break;
            }
            holds = next;
        }
        Some(holds.id().clone())
    }

    /// The latest of these events that is permitted; the earliest, if none is.
    fn settle_other(&self, events: &[Event], resolved: &StateMap) -> Option<OwnedEventId> {
        let permitted = events.iter().rev().find(|event| self.is_permitted(event, resolved, None));
        permitted.or(events.first()).map(|event| event.id().clone())
    }

    fn is_permitted(&self, event: &Event, resolved: &StateMap, holds: Option<&Event>) -> bool {
        let state = |kind: &StateEventType, state_key: &str| {
            if let Some(holds) = holds.filter(|holds| holds.is_state(&kind.to_string().into(), state_key)) {
                return Some(holds.clone());
            }
            let id = resolved.get(&(kind.clone(), state_key.to_owned())).cloned();
            self.event(&id.or_else(|| self.fork.agreed(kind, state_key))?)
        };
        authorize_by_state(event, self.rules, state).is_ok()
    }
}
