//! State resolution: from the states after several ends of a room's graph, the one state before the next event.
//! Version 2 (and 2.1, since room version 12) is ruma's, except in rooms with rules of their own (`by_hand`); version 1 is
//! in `v1`.
//!
//! A room's state can be large and its forks small, so only where the states differ is looked at: whatever all of them
//! agree on is asked for entry by entry. That gives the same answer as whole states do, see [`resolve_states`].

mod by_hand;
mod chains;
mod v1;
mod v2;

use ruma::{
    EventId, OwnedEventId,
    events::StateEventType,
    room_version_rules::{RoomVersionRules, StateResolutionVersion},
};
use std::collections::{BTreeSet, HashMap};

use crate::Event;
pub use chains::missing_from_auth_chains;

/// Which event holds each place of a state.
pub type StateMap = HashMap<(StateEventType, String), OwnedEventId>;

/// Why states could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Events that decide were not at hand. With them (see [`missing_from_auth_chains`]) it can be tried again.
    #[error("{} events that decide are not at hand", .0.len())]
    Missing(BTreeSet<OwnedEventId>),
    /// An event that decides does not make sense.
    #[error("an event that decides does not make sense: {0}")]
    Damaged(String),
}

/// States of a room that are to become one.
pub struct Fork<'a> {
    /// The entries in which the states differ, state by state. An entry that a state lacks is left out of its map.
    pub differing: &'a [StateMap],
    /// Which event holds an entry that all agree on. Not asked about entries in `differing`.
    pub agreed: &'a dyn Fn(&StateEventType, &str) -> Option<OwnedEventId>,
    /// All events that all agree on. Only asked when the answer depends on their auth chains, which is rare.
    pub agreed_events: &'a dyn Fn() -> Vec<OwnedEventId>,
}

impl Fork<'_> {
    fn agreed(&self, kind: &StateEventType, state_key: &str) -> Option<OwnedEventId> {
        let key = (kind.clone(), state_key.to_owned());
        if self.differing.iter().any(|state| state.contains_key(&key)) {
            return None;
        }
        (self.agreed)(kind, state_key)
    }
}

/// Resolves a fork. The answer holds what becomes of the entries in `differing` (and, in theory, entries that no state
/// had); of those it does not hold, none remains. `event_by_id` knows the events in `differing`, those that
/// `agreed` names, and the auth chains of both.
pub fn resolve(
    fork: &Fork<'_>,
    rules: &RoomVersionRules,
    event_by_id: impl Fn(&EventId) -> Option<Event>,
) -> Result<StateMap, ResolveError> {
    match rules.state_res {
        StateResolutionVersion::V1 => v1::resolve(fork, rules, event_by_id),
        StateResolutionVersion::V2(version) => v2::resolve(fork, rules, &version, event_by_id),
        _ => Err(ResolveError::Damaged("the room version resolves state in a way that is not known".to_owned())),
    }
}

/// Resolves whole states into a whole one.
pub fn resolve_states(
    states: &[StateMap],
    rules: &RoomVersionRules,
    event_by_id: impl Fn(&EventId) -> Option<Event>,
) -> Result<StateMap, ResolveError> {
    let Some(first) = states.first() else { return Ok(StateMap::new()) };
    let is_agreed =
        |key: &(StateEventType, String), id: &OwnedEventId| states.iter().all(|one| one.get(key) == Some(id));
    let mut agreed = first.clone();
    agreed.retain(|key, id| is_agreed(key, id));
    let differing = |state: &StateMap| {
        state.iter().filter(|(key, _)| !agreed.contains_key(*key)).map(|(key, id)| (key.clone(), id.clone())).collect()
    };
    let differing: Vec<StateMap> = states.iter().map(differing).collect();
    let resolved = resolve(
        &Fork {
            differing: &differing,
            agreed: &|kind, state_key| agreed.get(&(kind.clone(), state_key.to_owned())).cloned(),
            agreed_events: &|| agreed.values().cloned().collect(),
        },
        rules,
        event_by_id,
    )?;
    agreed.extend(resolved);
    Ok(agreed)
}

#[cfg(test)]
mod tests;
