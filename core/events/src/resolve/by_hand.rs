//! The decision of version 2 of state resolution, step by step, for rooms with rules of authorization that ruma does not
//! know. Of all others it is ruma's; the tests hold that both decide alike.
//! <https://spec.matrix.org/v1.19/rooms/v2/#state-resolution>

use ruma::{
    EventId, OwnedEventId,
    events::{StateEventType, TimelineEventType, room::member::MembershipState, room::power_levels::UserPowerLevel},
    room_version_rules::RoomVersionRules,
    state_res::{
        events::RoomMemberEvent,
        reverse_topological_power_sort,
        utils::{event_id_map::EventIdMap, event_id_set::EventIdSet},
    },
};
use std::collections::{HashMap, HashSet};

use super::{ResolveError, StateMap, chains::Loaded};
use crate::{
    Event, auth_types_of,
    authorize::{authorize_by_state, owned::power_of},
};

/// What becomes of all events that are in question, given what all sides agree on. Everything that either rests on is
/// loaded.
pub(super) fn decide<F: Fn(&EventId) -> Option<Event>>(
    in_question: HashSet<OwnedEventId>,
    agreed: &StateMap,
    rules: &RoomVersionRules,
    loaded: &Loaded<F>,
) -> Result<StateMap, ResolveError> {
    let steps = Steps { in_question, rules, loaded };
    let deciding = steps.deciding()?;
    let partial = steps.permitted(&deciding, agreed.clone());
    let levels = partial.get(&(StateEventType::RoomPowerLevels, String::new())).cloned();
    let rest = steps.by_mainline(&deciding, levels);
    let mut resolved = steps.permitted(&rest, partial);
    resolved.extend(agreed.clone());
    Ok(resolved)
}

struct Steps<'a, F> {
    in_question: HashSet<OwnedEventId>,
    rules: &'a RoomVersionRules,
    loaded: &'a Loaded<F>,
}

impl<F: Fn(&EventId) -> Option<Event>> Steps<'_, F> {
    /// The power events and what in question permits them, in reverse topological power order.
    fn deciding(&self) -> Result<Vec<OwnedEventId>, ResolveError> {
        let mut graph = EventIdMap::new();
        let is_deciding = |id: &&OwnedEventId| self.loaded.get(id).is_some_and(is_power_event);
        let mut ahead: Vec<OwnedEventId> = self.in_question.iter().filter(is_deciding).cloned().collect();
        while let Some(id) = ahead.pop() {
            let Some(event) = self.loaded.get(&id).filter(|_| !graph.contains_event_id(&id)) else { continue };
            let permitting: Vec<_> = event.auth().iter().filter(|id| self.in_question.contains(*id)).cloned().collect();
            ahead.extend(permitting.iter().cloned());
            graph.insert(id, permitting.into_iter().collect::<EventIdSet<_>>());
        }
        reverse_topological_power_sort(&graph, |id| {
            let event = self.loaded.get(id).ok_or_else(|| ruma::state_res::Error::NotFound(id.to_owned()))?;
            Ok((self.power_of_sender(event), event.ts()))
        })
        .map_err(|error| ResolveError::Damaged(error.to_string()))
    }

    /// The power of an event's sender by the events that permit it.
    fn power_of_sender(&self, event: &Event) -> UserPowerLevel {
        let state = |kind: &StateEventType, state_key: &str| self.among_auth(event, kind, state_key).cloned();
        power_of(event.sender(), self.rules, &state).unwrap_or(UserPowerLevel::Int(js_int::Int::default()))
    }

    /// Those in question that do not decide, in mainline order: by where their way back through power levels meets that of
    /// these levels, the farthest first.
    fn by_mainline(&self, deciding: &[OwnedEventId], mut levels: Option<OwnedEventId>) -> Vec<OwnedEventId> {
        let mut mainline = Vec::new();
        while let Some(id) = levels {
            levels = self.loaded.get(&id).and_then(|event| self.levels_before(event));
            mainline.push(id);
        }
        let places: HashMap<&OwnedEventId, usize> =
            mainline.iter().rev().enumerate().map(|(place, id)| (id, place)).collect();
        let deciding: HashSet<&OwnedEventId> = deciding.iter().collect();
        let rest = self.in_question.iter().filter(|id| !deciding.contains(id)).filter_map(|id| self.loaded.get(id));
        let mut rest: Vec<_> = rest.map(|event| (self.place_in(&places, event), event.ts(), event.id())).collect();
        rest.sort_unstable();
        rest.into_iter().map(|(_, _, id)| id.clone()).collect()
    }

    fn place_in(&self, mainline: &HashMap<&OwnedEventId, usize>, event: &Event) -> Option<usize> {
        let mut at = Some(event.id().clone());
        while let Some(id) = at {
            if let Some(place) = mainline.get(&id) {
                return Some(*place);
            }
            at = self.loaded.get(&id).and_then(|event| self.levels_before(event));
        }
        None
    }

    fn levels_before(&self, event: &Event) -> Option<OwnedEventId> {
        Some(self.among_auth(event, &StateEventType::RoomPowerLevels, "")?.id().clone())
    }

    fn among_auth(&self, event: &Event, kind: &StateEventType, state_key: &str) -> Option<&Event> {
        let kind = TimelineEventType::from(kind.to_string());
        event.auth().iter().filter_map(|id| self.loaded.get(id)).find(|one| one.is_state(&kind, state_key))
    }

    /// Adds each of these events to the state, if what is there by then permits it.
    fn permitted(&self, events: &[OwnedEventId], mut state: StateMap) -> StateMap {
        for event in events.iter().filter_map(|id| self.loaded.get(id)) {
            let Some(state_key) = event.state_key() else { continue };
            let relevant = auth_types_of(event, self.rules);
            let holds = |kind: &StateEventType, state_key: &str| {
                let place = (kind.clone(), state_key.to_owned());
                let now = state.get(&place).filter(|_| relevant.contains(&place)).and_then(|id| self.loaded.get(id));
                let now = now.filter(|event| !event.is_rejected());
                let own = || self.among_auth(event, kind, state_key).filter(|event| !event.is_rejected());
                now.or_else(own).cloned()
            };
            if authorize_by_state(event, self.rules, holds).is_ok() {
                let place = (StateEventType::from(event.kind().to_string()), state_key.to_owned());
                state.insert(place, event.id().clone());
            }
        }
        state
    }
}

/// Whether an event can take from others what they may do.
fn is_power_event(event: &Event) -> bool {
    use TimelineEventType as Kind;
    match event.kind() {
        Kind::RoomPowerLevels | Kind::RoomJoinRules | Kind::RoomCreate => event.state_key() == Some(""),
        Kind::RoomMember => {
            let ends =
                matches!(RoomMemberEvent::new(event).membership(), Ok(MembershipState::Leave | MembershipState::Ban));
            ends && event.state_key() != Some(event.sender().as_str())
        }
        _ => false,
    }
}
