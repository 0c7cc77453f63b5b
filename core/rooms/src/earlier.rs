//! History of before this server came into a room, or of a while in which it was not there. Another server tells it piece by
//! piece, from later to earlier; each piece is judged like events that come in, and placed before the events that are here:
//! orders count down.

mod island;

use lyceum_events::{Event, auth_types_of, authorize_by_state};
use lyceum_storage::{Subject, Writes};
use ruma::{
    OwnedEventId, OwnedRoomId, RoomId,
    events::{StateEventType, TimelineEventType},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    Known, Part, Place, Relation, Result, RoomError, RoomState, Rooms, StateKey,
    accept::among,
    forks::StateAt,
    groups::Chain,
    known::Around,
    record::{Aside, write_relation},
    redact::takes_effect,
    tables::{EARLIER, EVENTS, StoredPlace, THREADS, TIMELINE},
    write::{WRITE_TRIES, Writing, change_of},
};

/// The order that earlier events count down from. Far from zero: sled loses its way backward over keys in which more than
/// four bytes 0xFF follow each other, as they do in those of small negative numbers.
const COUNTED_DOWN_FROM: i64 = -0x4040_4040_4040_4040;

/// Ends of history that are remembered of one room.
const ENDS_MAX: usize = 50;

/// The state before some events, as another server says: by event, those who hold it.
pub type GivenStates = HashMap<OwnedEventId, Vec<OwnedEventId>>;

/// An event that has been judged, and the states around it.
struct Judged {
    event: Event,
    around: Around,
    redacted: Option<(Event, OwnedEventId)>,
}

impl Rooms {
    /// The events before the first ones here: where history goes on at other servers. None when it is all here.
    pub async fn earlier(&self, room: &RoomId) -> Result<Vec<OwnedEventId>> {
        let ids = self.store().get(&EARLIER, room.as_str()).await?.unwrap_or_default();
        Ok(ids.into_iter().filter_map(|id| OwnedEventId::try_from(id).ok()).collect())
    }

    /// Of events told as earlier history, those before which the state must be asked for.
    pub async fn states_wanted(&self, room: &RoomId, part: Part, told: &[Event]) -> Result<Vec<OwnedEventId>> {
        let wanted = self.missing_before(room, part).await?.into_iter().collect();
        let chain = leading_up(&wanted, &self.of_part(part, told).await?);
        let placed: HashSet<_> = chain.iter().map(Event::id).collect();
        let outside: BTreeSet<_> = chain.iter().flat_map(Event::prev).filter(|id| !placed.contains(id)).collect();
        let outside: Vec<_> = outside.into_iter().cloned().collect();
        let known = self.known_many(&outside).await?;
        let stateless = outside.into_iter().zip(known);
        let stateless = stateless.filter(|(_, known)| known.as_ref().is_none_or(|known| known.after().is_none()));
        let stateless: HashSet<_> = stateless.map(|(id, _)| id).collect();
        let begins = |event: &&Event| event.prev().iter().any(|id| stateless.contains(id));
        Ok(chain.iter().filter(begins).map(|event| event.id().clone()).collect())
    }

    /// Places events of a part of the history that was missing, as far as they lead up to those that are here without a gap.
    /// They and what permits them must have been brought in ([`Rooms::import`]). Answers how many were placed.
    pub async fn take_earlier(&self, room: &RoomId, part: Part, told: &[Event], given: &GivenStates) -> Result<usize> {
        for tries in 1.. {
            match self.try_take_earlier(room, part, told, given).await {
                Err(RoomError::Busy) if tries < WRITE_TRIES => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_take_earlier(&self, room: &RoomId, part: Part, told: &[Event], given: &GivenStates) -> Result<usize> {
        let mut writing = self.write(room).await?;
        let wanted: BTreeSet<_> = self.missing_before(room, part).await?.into_iter().collect();
        let chain = leading_up(&wanted, &self.of_part(part, told).await?);
        let mut judged: Vec<Judged> = Vec::new();
        let mut states: HashMap<OwnedEventId, StateAt> = HashMap::new();
        let mut settled: HashSet<OwnedEventId> = HashSet::new();
        let ids: Vec<_> = chain.iter().map(|event| event.id().clone()).collect();
        let places: Vec<_> = writing.find(&ids).await?.into_iter().flatten().collect();
        let places: HashMap<_, _> = places.iter().map(|known| (known.id().clone(), known.clone())).collect();
        for event in chain {
            let Some(known) = places.get(event.id()) else { continue };
            let is_refused = matches!(known.place(), Place::Rejected(_)) && known.after().is_none();
            if *known.place() != Place::Outlier && !is_refused {
                settled.insert(event.id().clone());
                continue;
            }
            let Some(before) = writing.state_before_earlier(&event, given, &states).await? else { continue };
            settled.insert(event.id().clone());
            if is_refused {
                // What permits it was found wanting when it was brought in. It changes nothing.
                states.insert(event.id().clone(), before);
                continue;
            }
            let (before_group, change) = (before.group, change_of(&event));
            writing.expect_at(event.id(), Some(known.as_ref()));
            writing.leave_outliers(event.id());
            if let Err(why) = writing.judge_earlier(&event, &before.state).await? {
                let around = Around { before: before_group, after: before_group, current: None, replaces: None };
                states.insert(event.id().clone(), before);
                writing.aside.push(Aside { event, place: Place::Rejected(why), around });
                continue;
            }
            let replaces = change.as_ref().and_then(|change| before.state.get(&change.key.0, &change.key.1));
            let replaces = replaces.map(ToOwned::to_owned);
            let after = match change {
                Some(change) => writing.state_after(&before, vec![change]),
                None => before,
            };
            let around = Around { before: before_group, after: after.group, current: None, replaces };
            states.insert(event.id().clone(), after);
            judged.push(Judged { event, around, redacted: None });
        }
        if settled.is_empty() {
            return Ok(0);
        }
        writing.redact_earlier(&mut judged).await?;
        let placed = judged.len();
        let ends = writing.next_ends(wanted, &settled, &judged).await?;
        let reached = writing.place_earlier(part, judged).await?;
        writing.note_ends(part, ends, reached).await?;
        writing.queue().durable().await?;
        Ok(placed)
    }
}

/// The events that lead up to those wanted, each after the ones it follows.
fn leading_up(wanted: &BTreeSet<OwnedEventId>, told: &[Event]) -> Vec<Event> {
    let by_id: HashMap<_, _> = told.iter().map(|event| (event.id(), event)).collect();
    let mut reached = HashSet::new();
    let mut ahead: Vec<_> = wanted.iter().filter_map(|id| by_id.get(id).copied()).collect();
    while let Some(event) = ahead.pop() {
        if reached.insert(event.id()) {
            ahead.extend(event.prev().iter().filter_map(|id| by_id.get(id).copied()));
        }
    }
    let mut events: Vec<_> = reached.iter().map(|id| by_id[id]).collect();
    events.sort_by_key(|event| (event.depth(), event.ts(), event.id()));
    // Depths are only what servers say: each event stands after those it follows, whatever they are.
    let (mut ordered, mut seen) = (Vec::with_capacity(events.len()), HashSet::new());
    for event in events {
        let mut stack = vec![(event, false)];
        while let Some((event, is_led_up_to)) = stack.pop() {
            if is_led_up_to {
                ordered.push(event.clone());
            } else if seen.insert(event.id()) {
                stack.push((event, true));
                stack.extend(event.prev().iter().filter_map(|id| by_id.get(id).copied()).map(|event| (event, false)));
            }
        }
    }
    ordered
}

impl Writing {
    /// The state before an event, if it is known from the events before it or was given.
    async fn state_before_earlier(
        &mut self,
        event: &Event,
        given: &GivenStates,
        states: &HashMap<OwnedEventId, StateAt>,
    ) -> Result<Option<StateAt>> {
        if event.prev().is_empty() {
            return Ok(Some(StateAt { group: None, chain: Chain::default(), state: RoomState::default() }));
        }
        if let Some(ids) = given.get(event.id()) {
            return self.given_state(ids).await.map(Some);
        }
        let mut before = Vec::with_capacity(event.prev().len());
        let known = self.find_prev(event).await?;
        for (id, known) in event.prev().iter().zip(known) {
            match (states.get(id), known.and_then(|known| known.after())) {
                (Some(state), _) => before.push(state.clone()),
                (None, Some(group)) => before.push(self.state_of(group).await?),
                (None, None) => return Ok(None),
            }
        }
        self.resolve(before).await.map(Some)
    }

    /// Whether the state before an event permitted it. What its auth events say was judged when it was brought in.
    async fn judge_earlier(&self, event: &Event, before: &RoomState) -> Result<Result<(), String>> {
        if *event.kind() == TimelineEventType::RoomCreate {
            return Ok(Ok(()));
        }
        let rules = self.rules();
        let mut keys: Vec<StateKey> = auth_types_of(event, &rules);
        keys.push((StateEventType::RoomCreate, String::new()));
        let then = self.events_of(before, &keys).await?;
        Ok(authorize_by_state(event, &rules, among(&then, None)).map_err(|denied| denied.0))
    }

    /// Lets redactions take effect: on events told with them, and on those here already.
    async fn redact_earlier(&mut self, judged: &mut [Judged]) -> Result<()> {
        let snapshot = self.snapshot().clone();
        let told: HashSet<_> = judged.iter().map(|one| one.event.id().clone()).collect();
        let redactions: Vec<_> = judged.iter().filter(|one| one.event.redacts().is_some()).collect();
        let redactions: Vec<_> = redactions.into_iter().map(|one| one.event.clone()).collect();
        let mut by_target = HashMap::new();
        for redaction in &redactions {
            match redaction.redacts().filter(|target| !told.contains(*target)) {
                Some(target) => self.redact(target, redaction).await?,
                None => drop(redaction.redacts().map(|target| by_target.insert(target.to_owned(), redaction))),
            }
        }
        for one in judged {
            one.redacted = match by_target.get(one.event.id()) {
                Some(by) if takes_effect(&snapshot, by, &one.event) => Some(self.left_of(&one.event, by)?),
                _ => self.redacted_ahead(&one.event).await?,
            };
        }
        Ok(())
    }

    /// Where history goes on.
    async fn next_ends(
        &mut self,
        mut wanted: BTreeSet<OwnedEventId>,
        settled: &HashSet<OwnedEventId>,
        judged: &[Judged],
    ) -> Result<Vec<String>> {
        wanted.extend(judged.iter().flat_map(|one| one.event.prev()).cloned());
        wanted.retain(|id| !settled.contains(id));
        let ids: Vec<_> = wanted.into_iter().collect();
        let known = self.find(&ids).await?;
        let open = |known: &Option<Arc<Known>>| known.as_ref().is_none_or(|known| *known.place() == Place::Outlier);
        let ends = ids.into_iter().zip(known).filter(|(_, known)| open(known)).map(|(id, _)| id.to_string());
        Ok(ends.take(ENDS_MAX).collect())
    }

    /// Notes where a part of the history goes on, which is here from an order on.
    async fn note_ends(&mut self, part: Part, ends: Vec<String>, reached: i64) -> Result<()> {
        let room = self.room.id.clone();
        match part {
            Part::Hole(order) => self.note_hole(order, ends, reached).await?,
            Part::Beginning if ends.is_empty() => drop(self.batch().delete(&EARLIER, room.as_str())),
            Part::Beginning => drop(self.batch().put(&EARLIER, room.as_str(), &ends)),
        }
        Ok(())
    }

    /// Gives events their places before those that are here, the last of them the greatest. Answers the first one's.
    async fn place_earlier(&mut self, part: Part, judged: Vec<Judged>) -> Result<i64> {
        let first = match self.stored_mut().first_order {
            0 => COUNTED_DOWN_FROM,
            order => order,
        };
        let (first, free) = self.free_orders(part, first).await?;
        let orders = (1..).map(|n: i64| first.saturating_sub(n));
        let placed = judged.into_iter().rev().zip(orders).take(free);
        let placed: Vec<_> = placed.map(|(one, order)| one.at(order)).collect();
        let Some(last) = placed.last().and_then(|known| known.order()) else { return Ok(first) };
        if part == Part::Beginning {
            self.stored_mut().first_order = last;
        }
        let fetched = Fetched { room: self.room.id.clone(), first: last, last: first.saturating_sub(1) };
        self.batch().touch(fetched.subject());
        let placed: Arc<[Arc<Known>]> = placed.into_iter().map(Arc::new).collect();
        for (root, order) in self.threads_not_noted(&placed).await? {
            let room = self.room.id.clone();
            self.batch().put(&THREADS, (room.as_str(), root.as_str()), &order);
        }
        let rows = placed.clone();
        self.batch().at_position(move |_, writes| rows.iter().for_each(|known| write_earlier(known, writes)));
        let (shared, room) = (self.rooms.0.clone(), self.room.clone());
        self.batch().after_commit(move |_| {
            for known in placed.iter() {
                shared.known.insert(known.id().clone(), known.clone());
                if let Some(relation) = Relation::of(known.event()) {
                    shared.threads.remove(&relation.event_id);
                }
            }
            if let Some(live) = &mut *room.live.write() {
                match part {
                    // Memory may have held all there was.
                    Part::Beginning => live.floor = live.floor.max(0),
                    Part::Hole(order) => live.forget_before(order),
                }
            }
        });
        Ok(last)
    }

    /// Threads in which nothing later was written, as far as is known here, each with its last event's place.
    async fn threads_not_noted(&self, placed: &[Arc<Known>]) -> Result<BTreeMap<OwnedEventId, i64>> {
        let mut threads = BTreeMap::new();
        for known in placed {
            if let Some(relation) = Relation::of(known.event()).filter(|relation| relation.rel_type == "m.thread")
                && let Some(order) = known.order()
            {
                let last = threads.entry(relation.event_id).or_insert(order);
                *last = order.max(*last);
            }
        }
        let keys = threads.keys().map(|root| (self.room.id.as_str(), root.as_str())).collect::<Vec<_>>();
        let noted = self.rooms.store().get_many(&THREADS, keys).await?;
        Ok(threads.into_iter().zip(noted).filter(|(_, noted)| noted.is_none()).map(|(thread, _)| thread).collect())
    }
}

/// History that was fetched, as its commit tells of it: where it stands in the room's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The room.
    pub room: OwnedRoomId,
    /// The order of the earliest event.
    pub first: i64,
    /// The order of the latest event.
    pub last: i64,
}

/// How the name of such a subject begins.
const FETCHED: &str = "earlier ";

impl Fetched {
    fn subject(&self) -> Subject {
        Subject::other(format!("{FETCHED}{} {} {}", self.first, self.last, self.room))
    }

    /// What a commit says by one of its subjects, if it is about fetched history.
    pub fn of(subject: &Subject) -> Option<Self> {
        let Subject::Other(name) = subject else { return None };
        let mut parts = name.strip_prefix(FETCHED)?.splitn(3, ' ');
        let (first, last) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { room: OwnedRoomId::try_from(parts.next()?).ok()?, first, last })
    }
}

impl Judged {
    fn at(self, order: i64) -> Known {
        let known = Known::new(self.event, Place::Timeline(order), self.around, None);
        match self.redacted {
            Some((left, by)) => known.redacted(left, by),
            None => known,
        }
    }
}

fn write_earlier(known: &Known, writes: &mut Writes) {
    let Some(order) = known.order() else { return };
    let (event, room) = (known.event(), known.event().room().as_str());
    writes.put(&TIMELINE, (room, order), &known.to_stored());
    let place = StoredPlace { room_id: room.to_owned(), place: Place::Timeline(order) };
    writes.put(&EVENTS, event.id().as_str(), &place);
    if let Some(relation) = Relation::of(event) {
        write_relation(event, &relation, order, writes);
    }
}

#[cfg(test)]
mod tests;
