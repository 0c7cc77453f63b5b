//! What an event builds on and is not here: the events before it, or, where there are too many, the state before it; and
//! the events that permit it. Each event may cause so much asking and no more.

use lyceum_events::Event;
use lyceum_peers::Peers;
use lyceum_rooms::{Acceptance, Rooms, Snapshot};
use ruma::{OwnedEventId, OwnedServerName, RoomId, RoomVersionId, ServerName, room_version_rules::RoomVersionRules};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Shared, Trouble,
    limits::{CHAINS_MAX, GAP_PAGES_MAX, SERVERS_MAX, STATES_MAX},
};

/// Taking in events of one room that one server sends.
pub(super) struct Filling<'a> {
    pub(super) rooms: &'a Rooms,
    pub(super) peers: &'a Peers,
    pub(super) room: &'a RoomId,
    pub(super) version: &'a RoomVersionId,
    pub(super) rules: Arc<RoomVersionRules>,
    /// Whom to ask, in this order.
    pub(super) servers: Vec<OwnedServerName>,
    states_left: usize,
    chains_left: usize,
}

impl<'a> Filling<'a> {
    pub(super) fn new(shared: &'a Shared, origin: &ServerName, snapshot: &'a Snapshot) -> Self {
        let myself = shared.rooms.server();
        let mut others: Vec<_> = snapshot.servers().collect();
        // The larger a server's part in the room, the more it knows of it.
        others.sort_by_key(|(server, members)| (std::cmp::Reverse(*members), *server));
        let others =
            others.into_iter().map(|(server, _)| server).filter(|server| *server != myself && *server != origin);
        Self {
            rooms: &shared.rooms,
            peers: &shared.peers,
            room: snapshot.room_id(),
            version: snapshot.version(),
            rules: snapshot.shared_rules(),
            servers: std::iter::once(origin.to_owned()).chain(others.cloned()).take(SERVERS_MAX).collect(),
            states_left: 0,
            chains_left: 0,
        }
    }

    /// Takes an event in, and before it whatever it builds on.
    pub(super) async fn take(&mut self, event: &Event) -> Result<Acceptance, Trouble> {
        (self.states_left, self.chains_left) = (STATES_MAX, CHAINS_MAX);
        let first = self.accept(event, None).await?;
        if !matches!(&first, Acceptance::Missing { .. }) {
            return Ok(first);
        }
        for older in self.gap(event).await? {
            // The event itself may need one more state.
            if self.states_left == 1 {
                break;
            }
            match self.take_anyhow(&older).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(Trouble::There(why)) => tracing::debug!(event = %older.id(), why, "an earlier event is left out"),
                Ok(_) => {}
            }
        }
        self.take_anyhow(event).await
    }

    /// Takes an event in; if what comes before it is not here, with the state that others say there was.
    async fn take_anyhow(&mut self, event: &Event) -> Result<Acceptance, Trouble> {
        let first = self.accept(event, None).await?;
        if !matches!(&first, Acceptance::Missing { .. }) {
            return Ok(first);
        }
        self.states_left =
            self.states_left.checked_sub(1).ok_or_else(|| Trouble::There("too many gaps before the event".into()))?;
        let state = self.state_before(event).await?;
        self.accept(event, Some(&state)).await
    }

    /// Takes an event in, once the events that permit it were fetched. Answers `Missing` for want of earlier ones only.
    async fn accept(&mut self, event: &Event, state: Option<&[OwnedEventId]>) -> Result<Acceptance, Trouble> {
        let first = self.accept_here(event, state).await?;
        let Acceptance::Missing { auth, .. } = &first else { return Ok(first) };
        if auth.is_empty() {
            return Ok(first);
        }
        self.chains_left =
            self.chains_left.checked_sub(1).ok_or_else(|| Trouble::There("too many auth chains are unknown".into()))?;
        self.fetch_permission(event, auth.clone()).await?;
        match self.accept_here(event, state).await? {
            Acceptance::Missing { auth, .. } if !auth.is_empty() => {
                Err(Trouble::There("the events that permit it could not be had".to_owned()))
            }
            done => Ok(done),
        }
    }

    async fn accept_here(&self, event: &Event, state: Option<&[OwnedEventId]>) -> Result<Acceptance, Trouble> {
        Ok(match state {
            None => self.rooms.accept(event).await?,
            Some(state) => self.rooms.accept_at(event, state).await?,
        })
    }

    /// The events between those that are here and this one, as far as they can be had, the earliest first.
    async fn gap(&self, event: &Event) -> Result<Vec<Event>, Trouble> {
        let ends = self.rooms.ends(self.room).await?;
        let mut found: HashMap<OwnedEventId, Event> = HashMap::new();
        let mut latest = vec![event.id().clone()];
        for _ in 0..GAP_PAGES_MAX {
            let before = found.len();
            let page = self.missing_events(&ends, &latest).await?;
            found.extend(page.into_iter().map(|event| (event.id().clone(), event)));
            if found.len() == before {
                break;
            }
            latest = self.still_open(&found).await?;
            if latest.is_empty() {
                break;
            }
        }
        let mut before: Vec<_> = leading_to(event, found).into_values().collect();
        before.sort_by(|a, b| (a.depth(), a.id()).cmp(&(b.depth(), b.id())));
        Ok(before)
    }

    /// Those of the events before which there is still something missing.
    async fn still_open(&self, found: &HashMap<OwnedEventId, Event>) -> Result<Vec<OwnedEventId>, Trouble> {
        let prev: HashSet<_> = found.values().flat_map(Event::prev).filter(|id| !found.contains_key(*id)).collect();
        let prev: Vec<_> = prev.into_iter().cloned().collect();
        let known = self.rooms.known_many(&prev).await?;
        let absent: HashSet<_> = prev
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.as_ref().is_none_or(|known| known.after().is_none()))
            .map(|(id, _)| id)
            .collect();
        let open = found.values().filter(|event| event.prev().iter().any(|id| absent.contains(id)));
        Ok(open.map(|event| event.id().clone()).collect())
    }
}

/// Those of the events that come before this one: whatever else was handed out was not asked for.
fn leading_to(event: &Event, mut found: HashMap<OwnedEventId, Event>) -> HashMap<OwnedEventId, Event> {
    let mut leading = HashMap::new();
    let mut ahead: Vec<_> = event.prev().to_vec();
    while let Some(id) = ahead.pop() {
        if let Some(before) = found.remove(&id) {
            ahead.extend(before.prev().iter().cloned());
            leading.insert(id, before);
        }
    }
    leading
}
