//! What an event builds on and is not here: the events before it, or, where there are too many, the state before it; and
//! the events that permit it. Each event may cause so much asking and no more.

use lyceum_events::Event;
use lyceum_peers::{Partners, Peers};
use lyceum_rooms::{Acceptance, Known, Rooms, Snapshot};
use ruma::{OwnedEventId, OwnedServerName, RoomId, RoomVersionId, ServerName, room_version_rules::RoomVersionRules};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Shared, Trouble,
    limits::{CHAINS_MAX, GAP_PAGE_EVENTS, GAP_PAGES_MAX, SERVERS_MAX, STATES_MAX},
};
use crate::given::people_of;

/// Taking in events of one room that one server sends.
pub(super) struct Filling<'a> {
    pub(super) rooms: &'a Rooms,
    pub(super) peers: &'a Peers,
    partners: &'a Partners,
    pub(super) room: &'a RoomId,
    pub(super) version: &'a RoomVersionId,
    pub(super) rules: Arc<RoomVersionRules>,
    /// Whom to ask, in this order.
    pub(super) servers: Vec<OwnedServerName>,
    /// By whose help the room is being joined, where what is fetched belongs to a join that is under way.
    pub(super) resident: Option<OwnedServerName>,
    states_left: usize,
    chains_left: usize,
    /// Whether anything got its place.
    pub(super) placed_any: bool,
    /// Events that permit others and could not be had while one event is taken in.
    not_had: HashSet<OwnedEventId>,
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
            partners: &shared.partners,
            room: snapshot.room_id(),
            version: snapshot.version(),
            rules: snapshot.shared_rules(),
            servers: std::iter::once(origin.to_owned()).chain(others.cloned()).take(SERVERS_MAX).collect(),
            resident: None,
            states_left: 0,
            chains_left: 0,
            placed_any: false,
            not_had: HashSet::new(),
        }
    }

    /// Takes an event in, and before it whatever it builds on.
    pub(super) async fn take(&mut self, event: &Event) -> Result<Acceptance, Trouble> {
        (self.states_left, self.chains_left) = (STATES_MAX, CHAINS_MAX);
        self.not_had.clear();
        let first = self.accept_here(event, None).await?;
        if lacks_earlier(&first) {
            let gap = self.gap(event).await?;
            self.fill(&gap.events).await?;
            if gap.ends_in_nonsense {
                let why = "what stands before the event is no event of this room's version";
                return Err(Trouble::Never(why.to_owned()));
            }
        } else if !matches!(&first, Acceptance::Missing { .. }) {
            return Ok(first);
        }
        self.take_anyhow(event, Asked::AsSent).await
    }

    /// Takes in the events before one, the earliest first.
    async fn fill(&mut self, gap: &[Event]) -> Result<(), Trouble> {
        for older in gap {
            // The event itself may need one more state.
            if self.states_left == 1 {
                break;
            }
            match self.take_anyhow(older, Asked::InGap).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(Trouble::There(why) | Trouble::Never(why)) => {
                    tracing::debug!(event = %older.id(), why, "an earlier event is left out")
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Takes an event in; if what comes before it is not here, with the state that others say there was. That state brings
    /// along what permits the event, which is asked for only if it does not.
    async fn take_anyhow(&mut self, event: &Event, asked: Asked) -> Result<Acceptance, Trouble> {
        let first = self.accept_here(event, None).await?;
        if !matches!(&first, Acceptance::Missing { .. }) {
            return Ok(first);
        }
        if !lacks_earlier(&first) {
            return self.accept(event, None).await;
        }
        self.check_permitted(event)?;
        if let Some(taken) = self.take_after_previous(event).await? {
            return Ok(taken);
        }
        self.check_permitted(event)?;
        self.states_left =
            self.states_left.checked_sub(1).ok_or_else(|| Trouble::There("too many gaps before the event".into()))?;
        match (self.state_before(event).await?, asked) {
            (Some(state), _) => self.accept(event, Some(&state)).await,
            (None, Asked::InGap) => {
                self.begin_before(event).await?;
                self.accept(event, None).await
            }
            // Whoever sends an event should know what was before it.
            (None, Asked::AsSent) => Err(untold()),
        }
    }

    /// No state helps where what permits the event was not to be had a moment ago.
    fn check_permitted(&self, event: &Event) -> Result<(), Trouble> {
        let is_in_vain = event.auth().iter().any(|id| self.not_had.contains(id));
        if is_in_vain { Err(unpermitted()) } else { Ok(()) }
    }

    /// Where all that is missing is one event before this one: takes that in with the state before it. Every server that has it
    /// knows that state, while not all tell the state before an event that they were just sent. `None` where that is no way.
    async fn take_after_previous(&mut self, event: &Event) -> Result<Option<Acceptance>, Trouble> {
        if self.absent_from_graph(event.prev()).await?.len() != 1 {
            return Ok(None);
        }
        match self.begin_before(event).await {
            Ok(()) => {}
            Err(here @ Trouble::Here(_)) => return Err(here),
            Err(Trouble::There(why) | Trouble::Never(why)) => {
                tracing::debug!(event = %event.id(), why, "the event before it is of no help");
                return Ok(None);
            }
        }
        match self.accept(event, None).await? {
            Acceptance::Missing { .. } => Ok(None),
            taken => Ok(Some(taken)),
        }
    }

    /// Takes in the events directly before one, each with the state before it: where nobody who answers can tell the state
    /// before the event itself, as servers cannot that have it from elsewhere.
    async fn begin_before(&mut self, event: &Event) -> Result<(), Trouble> {
        let absent = self.absent_from_graph(event.prev()).await?;
        for before in self.events_of(&absent).await? {
            self.states_left = self.states_left.checked_sub(1).ok_or_else(untold)?;
            let state = self.state_before(&before).await?.ok_or_else(untold)?;
            self.accept(&before, Some(&state)).await?;
        }
        Ok(())
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
                self.not_had.extend(auth);
                Err(unpermitted())
            }
            done => Ok(done),
        }
    }

    async fn accept_here(&mut self, event: &Event, state: Option<&[OwnedEventId]>) -> Result<Acceptance, Trouble> {
        self.partners.meet(&people_of(event)).await;
        let taken = match state {
            None => self.rooms.accept(event).await?,
            Some(state) => self.rooms.accept_at(event, state).await?,
        };
        // What follows a soft-failed event can be placed, too.
        self.placed_any |= matches!(taken, Acceptance::Accepted | Acceptance::SoftFailed);
        Ok(taken)
    }

    /// The events between those that are here and this one, as far as they can be had, the earliest first.
    async fn gap(&self, event: &Event) -> Result<Gap, Trouble> {
        let ends = self.rooms.ends(self.room).await?;
        let mut found: HashMap<OwnedEventId, Event> = HashMap::new();
        let (mut latest, mut sender_told) = (vec![event.id().clone()], false);
        for _ in 0..GAP_PAGES_MAX {
            let before = found.len();
            let (told, by, page) = self.missing_events(&ends, &latest).await?;
            sender_told |= told > 0 && by == self.servers.first();
            found.extend(page.into_iter().map(|event| (event.id().clone(), event)));
            if found.len() == before || told < GAP_PAGE_EVENTS {
                break;
            }
            latest = self.still_open(&found).await?;
            if latest.is_empty() {
                break;
            }
        }
        let leading = leading_to(event, found);
        // They were handed out, and are not what they should be: a state told by the same server is no way around them.
        let unmet: Vec<_> = event.prev().iter().filter(|id| !leading.contains_key(*id)).cloned().collect();
        let ends_in_nonsense = sender_told && !self.absent_from_graph(&unmet).await?.is_empty();
        let mut events: Vec<_> = leading.into_values().collect();
        events.sort_by(|a, b| (a.depth(), a.id()).cmp(&(b.depth(), b.id())));
        Ok(Gap { events, ends_in_nonsense })
    }

    /// Those of the ids whose events have no place in the graph of this room.
    async fn absent_from_graph(&self, ids: &[OwnedEventId]) -> Result<HashSet<OwnedEventId>, Trouble> {
        let known = self.rooms.known_many(ids).await?;
        let has_place = |known: &Arc<Known>| known.after().is_some() && known.event().room() == self.room;
        let is_absent = |known: &Option<Arc<Known>>| !known.as_ref().is_some_and(has_place);
        Ok(ids.iter().zip(&known).filter(|(_, known)| is_absent(known)).map(|(id, _)| id.clone()).collect())
    }

    /// Those of the events before which there is still something missing.
    async fn still_open(&self, found: &HashMap<OwnedEventId, Event>) -> Result<Vec<OwnedEventId>, Trouble> {
        let prev: HashSet<_> = found.values().flat_map(Event::prev).filter(|id| !found.contains_key(*id)).collect();
        let prev: Vec<_> = prev.into_iter().cloned().collect();
        let absent = self.absent_from_graph(&prev).await?;
        let open = found.values().filter(|event| event.prev().iter().any(|id| absent.contains(id)));
        Ok(open.map(|event| event.id().clone()).collect())
    }
}

/// How an event came here.
#[derive(Clone, Copy)]
enum Asked {
    /// Somebody sent it.
    AsSent,
    /// It lies before one that was sent, and was asked for.
    InGap,
}

fn unpermitted() -> Trouble {
    Trouble::there("the events that permit it could not be had")
}

fn untold() -> Trouble {
    Trouble::there("nobody tells the state before the event")
}

/// What lies between the events that are here and one that came.
struct Gap {
    events: Vec<Event>,
    /// What stands directly before the one that came was told, and is no event.
    ends_in_nonsense: bool,
}

/// Whether what comes before an event is not here.
fn lacks_earlier(acceptance: &Acceptance) -> bool {
    matches!(acceptance, Acceptance::Missing { prev, .. } if !prev.is_empty())
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
