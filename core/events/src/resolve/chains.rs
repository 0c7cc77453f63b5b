//! Auth chains: the events that permit an event, those that permit them, and so on to the start of the room.

use ruma::{EventId, OwnedEventId};
use std::collections::{BTreeSet, HashMap, HashSet};

use super::ResolveError;
use crate::Event;

/// Events at hand while states are resolved, each looked up once.
pub(super) struct Loaded<F> {
    event_by_id: F,
    events: HashMap<OwnedEventId, Event>,
    missing: BTreeSet<OwnedEventId>,
}

impl<F: Fn(&EventId) -> Option<Event>> Loaded<F> {
    pub(super) fn new(event_by_id: F) -> Self {
        Self { event_by_id, events: HashMap::new(), missing: BTreeSet::new() }
    }

    pub(super) fn load(&mut self, id: &OwnedEventId) -> Option<&Event> {
        if !self.events.contains_key(id) {
            let Some(event) = (self.event_by_id)(id) else {
                self.missing.insert(id.clone());
                return None;
            };
            self.events.insert(id.clone(), event);
        }
        self.events.get(id)
    }

    /// An event that was loaded.
    pub(super) fn get(&self, id: &EventId) -> Option<&Event> {
        self.events.get(id)
    }

    /// These events and all in their auth chains.
    pub(super) fn chain(&mut self, starts: impl IntoIterator<Item = OwnedEventId>) -> HashSet<OwnedEventId> {
        let mut seen: HashSet<OwnedEventId> = starts.into_iter().collect();
        let mut ahead: Vec<OwnedEventId> = seen.iter().cloned().collect();
        while let Some(id) = ahead.pop() {
            let Some(event) = self.load(&id) else { continue };
            for next in event.auth() {
                if !seen.contains(next) {
                    seen.insert(next.clone());
                    ahead.push(next.clone());
                }
            }
        }
        seen
    }

    pub(super) fn all_found(&self) -> Result<(), ResolveError> {
        if self.missing.is_empty() { Ok(()) } else { Err(ResolveError::Missing(self.missing.clone())) }
    }
}

/// The events of some events' auth chains (and among themselves) that are not at hand, as far as can be seen with those
/// that are: load these and ask again until there are none.
pub fn missing_from_auth_chains(
    starts: impl IntoIterator<Item = OwnedEventId>,
    event_by_id: impl Fn(&EventId) -> Option<Event>,
) -> BTreeSet<OwnedEventId> {
    let mut loaded = Loaded::new(event_by_id);
    loaded.chain(starts);
    loaded.missing
}
