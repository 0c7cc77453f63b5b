//! Where a room's graph ends here. Whoever is in a room can send any number of events that all follow an old one, and each of
//! them ends a branch: as many ends are kept as one event can follow. Of the others the events stay in the graph and in the
//! timeline, and what they did to the state stays in the current state, until an event of this server holds it.

use lyceum_events::{Event, PREV_EVENTS_MAX};
use ruma::{OwnedEventId, OwnedServerName};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, VecDeque},
};

use crate::{
    Result,
    forks::StateAt,
    groups::parse_event_id,
    tables::StoredEnd,
    write::{DEPTH_MAX, Writing},
};

/// Ends of one room's graph that are kept: the next event of this server follows them all, so that other servers find the same
/// state before it as this one.
pub(crate) const ENDS_MAX: usize = PREV_EVENTS_MAX;

impl StoredEnd {
    /// Ends that were let go: the state they had together stands among those of the others, and no event follows it.
    pub(crate) fn let_go(together: Option<u64>) -> Self {
        Self { event_id: String::new(), after: together }
    }

    /// Whether these are ends that were let go.
    pub(crate) fn is_let_go(&self) -> bool {
        self.event_id.is_empty()
    }
}

impl Writing {
    /// Where the next event stands in the graph.
    pub(crate) fn prev_events(&self) -> Vec<OwnedEventId> {
        let ends = self.head.stored.iter().flat_map(|stored| &stored.extremities).filter(|end| !end.is_let_go());
        ends.take(ENDS_MAX).filter_map(|end| OwnedEventId::try_from(end.event_id.as_str()).ok()).collect()
    }

    /// Makes an event an end of the graph, and what it follows no end any more.
    pub(crate) fn add_end(&mut self, event: &Event, after: Option<u64>) {
        let group = self.head.snapshot.group();
        let stored = self.stored_mut();
        stored.extremities.retain(|end| !event.prev().iter().any(|prev| prev == end.event_id.as_str()));
        stored.extremities.push(StoredEnd { event_id: event.id().to_string(), after });
        stored.depth = stored.depth.max(event.depth()).min(DEPTH_MAX);
        stored.group = group;
    }

    /// Makes an event of this server an end. It was judged by the current state, in which that of the ends that were let go is
    /// resolved already, and that is the state before it: from now on its branch holds what came of them.
    pub(crate) fn add_own_end(&mut self, event: &Event, after: Option<u64>) {
        self.add_end(event, after);
        self.stored_mut().extremities.retain(|end| !end.is_let_go());
    }

    /// The ends of the graph once an event is in it, and the state that they make together.
    pub(crate) async fn new_ends(&mut self, event: &Event, after: &StateAt) -> Result<StateAt> {
        self.add_end(event, after.group);
        // What is made here is not stored yet, and cannot be read.
        let made: Vec<_> = std::iter::once(after.clone()).chain(self.let_ends_go().await?).collect();
        let groups: Vec<_> = self.stored_mut().extremities.iter().filter_map(|end| end.after).collect();
        let mut states = Vec::with_capacity(groups.len());
        for group in groups {
            states.push(match made.iter().find(|state| state.group == Some(group)) {
                Some(state) => state.clone(),
                None => self.state_of(group).await?,
            });
        }
        self.resolve(states).await
    }

    /// Lets go of the ends above the limit, if there are any. Nothing of the room's state is lost by it: what they had together
    /// goes on being one of the states that make the current one, though no event will follow them.
    async fn let_ends_go(&mut self) -> Result<Option<StateAt>> {
        let ends = self.stored_mut().extremities.clone();
        let (before, ends): (Vec<_>, Vec<_>) = ends.into_iter().partition(StoredEnd::is_let_go);
        let ids = ends.iter().map(|end| parse_event_id(end.event_id.clone())).collect::<Result<Vec<_>, _>>()?;
        let superfluous = self.superfluous(&ids).await?;
        if superfluous.is_empty() {
            return Ok(None);
        }
        let (going, mut kept): (Vec<_>, Vec<_>) =
            ends.into_iter().enumerate().partition(|(place, _)| superfluous.contains(place));
        let mut states = Vec::new();
        for group in before.iter().chain(going.iter().map(|(_, end)| end)).filter_map(|end| end.after) {
            states.push(self.state_of(group).await?);
        }
        let together = self.resolve(states).await?;
        let stored = self.stored_mut();
        stored.extremities = kept.drain(..).map(|(_, end)| end).collect();
        stored.extremities.push(StoredEnd::let_go(together.group));
        Ok(Some(together))
    }

    /// The places of those ends that are above the limit; the earliest stand first.
    pub(crate) async fn superfluous(&self, ends: &[OwnedEventId]) -> Result<BTreeSet<usize>> {
        if ends.len() <= ENDS_MAX {
            return Ok(BTreeSet::new());
        }
        let mut servers = Vec::with_capacity(ends.len());
        for id in ends {
            servers.push(self.event(id).await?.sender().server_name().to_owned());
        }
        Ok(above_limit(&servers))
    }
}

/// Which of some ends are above the limit, by the servers they are of, the earliest first: the earliest of whichever server has
/// most. So a server that makes many ends drives out its own and not those of others.
fn above_limit(servers: &[OwnedServerName]) -> BTreeSet<usize> {
    let mut by_server: HashMap<_, VecDeque<usize>> = HashMap::new();
    for (place, server) in servers.iter().enumerate() {
        by_server.entry(server).or_default().push_back(place);
    }
    let mut above = BTreeSet::new();
    while servers.len() - above.len() > ENDS_MAX {
        let most = by_server.values_mut().max_by_key(|places| (places.len(), Reverse(places.front().copied())));
        above.extend(most.and_then(VecDeque::pop_front));
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[(&str, usize)]) -> Vec<OwnedServerName> {
        let server = |name: &str| OwnedServerName::try_from(name).unwrap();
        counts.iter().flat_map(|(name, count)| vec![server(name); *count]).collect()
    }

    #[test]
    fn as_many_ends_as_one_event_can_follow_are_kept() {
        assert_eq!(above_limit(&of(&[("a", 1), ("b", ENDS_MAX - 1)])), BTreeSet::new());
        assert_eq!(above_limit(&of(&[("a", 1), ("b", ENDS_MAX)])), BTreeSet::from([1]));
    }

    #[test]
    fn a_server_drives_out_its_own_ends_and_the_earliest_first() {
        assert_eq!(above_limit(&of(&[("a", 2), ("b", ENDS_MAX + 1)])), BTreeSet::from([2, 3, 4]));
        assert_eq!(above_limit(&of(&[("b", ENDS_MAX + 1), ("a", 2)])), BTreeSet::from([0, 1, 2]));
    }

    #[test]
    fn where_all_have_as_many_the_earliest_goes() {
        let names: Vec<_> = (0..=ENDS_MAX).map(|n| format!("server{n}")).collect();
        let counts: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        assert_eq!(above_limit(&of(&counts)), BTreeSet::from([0]));
    }
}
