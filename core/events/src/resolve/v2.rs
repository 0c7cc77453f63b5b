//! Version 2 of state resolution, and 2.1: what of a fork counts is found here, the decision is ruma's.
//! <https://spec.matrix.org/v1.19/rooms/v2/#state-resolution>, <https://spec.matrix.org/v1.19/rooms/v12/#state-resolution>

use ruma::{
    EventId, OwnedEventId,
    events::StateEventType,
    room_version_rules::{RoomVersionRules, StateResolutionV2Rules},
    state_res::{self, utils::event_id_set::EventIdSet},
};
use std::collections::{HashMap, HashSet};

use super::{Fork, ResolveError, StateMap, by_hand, chains::Loaded};
use crate::{Event, auth_types_of, create_of, versions::has_owned_state};

pub(super) fn resolve(
    fork: &Fork<'_>,
    rules: &RoomVersionRules,
    version: &StateResolutionV2Rules,
    event_by_id: impl Fn(&EventId) -> Option<Event>,
) -> Result<StateMap, ResolveError> {
    let conflicted: HashSet<OwnedEventId> = fork.differing.iter().flat_map(|state| state.values().cloned()).collect();
    let mut loaded = Loaded::new(event_by_id);
    let chains: Vec<_> = fork.differing.iter().map(|state| loaded.chain(state.values().cloned())).collect();
    loaded.all_found()?;
    let difference = auth_difference(&chains, &conflicted, fork, &mut loaded)?;
    let subgraph = match version.consider_conflicted_state_subgraph {
        true => subgraph(&chains, &conflicted, &loaded),
        false => HashSet::new(),
    };
    let agreed = agreed_that_permits(conflicted.iter().chain(&difference).chain(&subgraph), fork, rules, &mut loaded);
    loaded.all_found()?;
    if has_owned_state(rules) {
        let in_question = conflicted.into_iter().chain(difference).collect();
        return Ok(of_fork(fork, by_hand::decide(in_question, &agreed, rules, &loaded)?));
    }
    let states: Vec<StateMap> = fork.differing.iter().map(|state| with(state, &agreed)).collect();
    let resolved = state_res::resolve(
        &rules.authorization,
        version,
        &states,
        // All that ruma makes of the chains is their difference.
        vec![difference.into_iter().collect(), EventIdSet::new()],
        |id| loaded.get(id).cloned(),
        |_| Some(subgraph.iter().cloned().collect()),
    )
    .map_err(|error| ResolveError::Damaged(error.to_string()))?;
    Ok(of_fork(fork, resolved))
}

/// What of a decision the sides did not agree on before.
fn of_fork(fork: &Fork<'_>, resolved: StateMap) -> StateMap {
    resolved.into_iter().filter(|((kind, state_key), _)| fork.agreed(kind, state_key).is_none()).collect()
}

/// The events that are in the auth chains of some of the states, but not of all.
///
/// The chains of what all agree on are in all; they are walked only if an event that is not conflicted itself is at stake.
fn auth_difference<F: Fn(&EventId) -> Option<Event>>(
    chains: &[HashSet<OwnedEventId>],
    conflicted: &HashSet<OwnedEventId>,
    fork: &Fork<'_>,
    loaded: &mut Loaded<F>,
) -> Result<HashSet<OwnedEventId>, ResolveError> {
    let in_all = |id: &OwnedEventId| chains.iter().all(|chain| chain.contains(id));
    let mut difference: HashSet<OwnedEventId> = chains.iter().flatten().filter(|id| !in_all(id)).cloned().collect();
    if !difference.is_subset(conflicted) {
        let agreed = loaded.chain((fork.agreed_events)());
        loaded.all_found()?;
        difference.retain(|id| !agreed.contains(id));
    }
    Ok(difference)
}

/// The events on any path of auth events from one conflicted event to another.
fn subgraph<F: Fn(&EventId) -> Option<Event>>(
    chains: &[HashSet<OwnedEventId>],
    conflicted: &HashSet<OwnedEventId>,
    loaded: &Loaded<F>,
) -> HashSet<OwnedEventId> {
    // All in the chains is reached from a conflicted event; what leads to one is found by walking against the edges.
    let mut permits: HashMap<&EventId, HashSet<&EventId>> = HashMap::new();
    for id in chains.iter().flatten() {
        for auth in loaded.get(id).map(Event::auth).unwrap_or_default() {
            permits.entry(auth).or_default().insert(id);
        }
    }
    let mut on_paths = conflicted.clone();
    let mut ahead: Vec<&EventId> = conflicted.iter().map(|id| &**id).collect();
    while let Some(id) = ahead.pop() {
        for permitted in permits.get(id).into_iter().flatten() {
            if on_paths.insert((*permitted).to_owned()) {
                ahead.push(permitted);
            }
        }
    }
    on_paths
}

/// What all agree on, as far as it has a say in whether these events are permitted.
fn agreed_that_permits<'a, F: Fn(&EventId) -> Option<Event>>(
    events: impl Iterator<Item = &'a OwnedEventId>,
    fork: &Fork<'_>,
    rules: &RoomVersionRules,
    loaded: &mut Loaded<F>,
) -> StateMap {
    let mut keys = HashSet::new();
    let mut create = None;
    for id in events {
        let Some(event) = loaded.get(id) else { continue };
        keys.extend(auth_types_of(event, rules));
        create = create.or_else(|| create_of(event.room(), rules));
    }
    if let Some(create) = create {
        loaded.load(&create);
    }
    let mut agreed = StateMap::new();
    for key in keys {
        if let Some(id) = fork.agreed(&key.0, &key.1) {
            loaded.load(&id);
            if key.0 == StateEventType::RoomPowerLevels {
                // Events are ordered by the levels before these levels, one after the other.
                loaded.chain([id.clone()]);
            }
            agreed.insert(key, id);
        }
    }
    agreed
}

fn with(state: &StateMap, agreed: &StateMap) -> StateMap {
    state.iter().chain(agreed).map(|(key, id)| (key.clone(), id.clone())).collect()
}
