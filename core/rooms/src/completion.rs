//! The rest of a room's state: what happened here since the room was joined with part of it is gone through again, now that the
//! states before the joins are known. Each event is judged anew, and each state made anew from those; nothing that was shown
//! changes its place, apart from what proves to have been refused by the room.

mod members;

use lyceum_events::Event;
use ruma::{OwnedEventId, OwnedServerName, RoomId, UserId};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Acceptance, Known, Membership, Partial, Place, Result, RoomError, RoomState, Rooms, Snapshot,
    forks::StateAt,
    groups::Chain,
    known::Around,
    record::New,
    relation::Relation,
    snapshot::{KEPT, PartTime},
    tables::{
        ANNOTATIONS, EVENTS, GAPS, HOLES, OUTLIERS, PARTIAL, PARTIAL_ASIDE, RELATIONS, StoredEnd, StoredPart,
        StoredPlace, TIMELINE, WHOLE_SINCE,
    },
    write::{WRITE_TRIES, Writing, change_of},
};

/// The events that hold the whole state before each of the joins with part of it.
pub type WholeStates = HashMap<OwnedEventId, Vec<OwnedEventId>>;

/// Events put aside that are judged again.
const ASIDE_MAX: usize = 100_000;

impl Rooms {
    /// Makes a room whole that was joined with part of its state. The events of the states told must be here. Answers
    /// `false` where the state before one more join is wanted.
    pub async fn make_whole(&self, room: &RoomId, told: &WholeStates) -> Result<bool> {
        for _ in 0..WRITE_TRIES {
            match self.try_make_whole(room, told).await {
                Err(RoomError::Busy) => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    /// The joins the state before which is to be told by others, since what they follow is not here.
    pub async fn beginnings_untold(&self, partial: &Partial) -> Result<Vec<Arc<Known>>> {
        let mut untold = Vec::new();
        for join in self.must_know_all(partial.begins.iter()).await? {
            let prev = self.known_many(join.event().prev()).await?;
            let room = join.event().room();
            let has_place = |prev: &Known| prev.after().is_some() && prev.event().room() == room;
            if !prev.iter().all(|prev| prev.as_ref().is_some_and(|prev| has_place(prev))) {
                untold.push(join);
            }
        }
        Ok(untold)
    }

    async fn try_make_whole(&self, room: &RoomId, told: &WholeStates) -> Result<bool> {
        let writing = self.write(room).await?;
        let Some(partial) = writing.snapshot().partial().cloned() else { return Ok(true) };
        writing.settle().await?;
        if !self.beginnings_untold(&partial).await?.iter().all(|begin| told.contains_key(begin.id())) {
            return Ok(false);
        }
        let mut again = Again {
            writing,
            told,
            begins: partial.begins.iter().cloned().collect(),
            states: HashMap::new(),
            ends: Vec::new(),
            let_go: None,
            current: StateAt { group: None, chain: Chain::default(), state: RoomState::default() },
        };
        let (first, events) = again.events(&partial.begins).await?;
        for known in &events {
            again.judge(known).await?;
        }
        let missed = again.servers_missed(&events, &partial).await?;
        again.finish(first, missed).await?;
        Ok(true)
    }
}

/// Going through a room's events again.
struct Again<'a> {
    writing: Writing,
    told: &'a WholeStates,
    begins: HashSet<OwnedEventId>,
    /// The states after the events gone through.
    states: HashMap<OwnedEventId, StateAt>,
    /// The ends of the graph so far.
    ends: Vec<OwnedEventId>,
    /// What the ends had together that were let go.
    let_go: Option<StateAt>,
    /// The state that these make together.
    current: StateAt,
}

impl Again<'_> {
    /// The order of the first of the joins, and what came since, shown or not; what an event follows before it.
    async fn events(&self, begins: &[OwnedEventId]) -> Result<(i64, Vec<Arc<Known>>)> {
        let (rooms, room) = (&self.writing.rooms, &self.writing.room.id);
        let joins = rooms.must_know_all(begins.iter()).await?;
        let first = joins.iter().filter_map(|known| known.order()).min();
        let first = first.ok_or_else(|| RoomError::Damaged("a join without a place in the timeline".to_owned()))?;
        let scan = TIMELINE.prefix((room.as_str(),)).from(&TIMELINE, (room.as_str(), first)).limit(usize::MAX);
        let mut ids = Vec::new();
        for (_, stored) in rooms.store().scan(&TIMELINE, scan).await? {
            ids.push(crate::groups::parse_event_id(stored.event_id)?);
        }
        let aside = PARTIAL_ASIDE.prefix((room.as_str(),)).limit(ASIDE_MAX);
        for ((_, id), ()) in rooms.store().scan(&PARTIAL_ASIDE, aside).await? {
            ids.push(crate::groups::parse_event_id(id)?);
        }
        let known: Vec<_> = rooms.known_many(&ids).await?.into_iter().flatten().collect();
        // What was put aside first may have got its place since; what lies before the first join, and history that was fetched
        // for a gap since, is not judged again.
        let since = |known: &Arc<Known>| {
            known.before().is_some() && known.order().is_none_or(|order| order >= first && known.after().is_some())
        };
        Ok((first, in_graph_order(known.into_iter().filter(since).collect())))
    }

    async fn judge(&mut self, known: &Known) -> Result<()> {
        let Place::Timeline(_) = known.place() else { return self.judge_aside(known).await };
        let event = self.unjudged(known)?;
        let before = self.state_before(known).await?;
        match self.verdict(&event, &before).await? {
            Acceptance::Rejected(why) => self.take_away(known, event, before, why),
            // What the state of its time permits stays where people have seen it.
            _ => {
                let around = self.follow(&event, before).await?;
                let judged = known.judged_anew(known.event().clone(), known.place().clone(), around);
                let order = judged.order().unwrap_or_default();
                let room = self.writing.room.id.clone();
                self.writing.batch().put(&TIMELINE, (room.as_str(), order), &judged.to_stored());
                self.writing.replaced.push(judged);
            }
        }
        Ok(())
    }

    /// An event that clients were not shown. One that was refused for want of what is known now gets its place.
    async fn judge_aside(&mut self, known: &Known) -> Result<()> {
        let event = self.unjudged(known)?;
        let before = self.state_before(known).await?;
        let verdict = self.verdict(&event, &before).await?;
        match (verdict, known.place()) {
            (Acceptance::Rejected(why), _) => self.put_aside(known, event, before, Place::Rejected(why)),
            (_, Place::SoftFailed) => self.put_aside(known, event, before, Place::SoftFailed),
            (Acceptance::Accepted, Place::Rejected(_)) => {
                self.writing.leave_outliers(event.id());
                let around = self.follow(&event, before).await?;
                let new =
                    New { event, around, members: Vec::new(), transaction: None, redacted: None, after_gap: false };
                self.writing.new.push(new);
            }
            (_, Place::Rejected(_)) => self.put_aside(known, event, before, Place::SoftFailed),
            (_, Place::Outlier | Place::Timeline(_)) => {}
        }
        Ok(())
    }

    /// The event without what was thought of it before.
    fn unjudged(&self, known: &Known) -> Result<Event> {
        let event = known.event();
        if !event.is_rejected() {
            return Ok(event.clone());
        }
        let rules = self.writing.rules();
        Event::from_stored(event.id().clone(), event.json().into(), &rules)
            .map_err(|error| RoomError::Damaged(error.to_string()))
    }

    async fn state_before(&mut self, known: &Known) -> Result<StateAt> {
        if let Some(ids) = self.told.get(known.id()) {
            return self.writing.given_state(ids).await;
        }
        let mut states = Vec::new();
        for (id, prev) in known.event().prev().iter().zip(self.writing.find_prev(known.event()).await?) {
            match (self.states.get(id), prev.and_then(|prev| prev.after())) {
                (Some(state), _) => states.push(state.clone()),
                (None, Some(group)) => states.push(self.writing.state_of(group).await?),
                // The state before it was told, whole, since what it follows is not here.
                (None, None) => return self.state_as_told(known).await,
            }
        }
        self.writing.resolve(states).await
    }

    async fn state_as_told(&mut self, known: &Known) -> Result<StateAt> {
        match known.before() {
            Some(group) => self.writing.state_of(group).await,
            None => Err(RoomError::Damaged(format!("no state before {} of a room in part", known.id()))),
        }
    }

    async fn verdict(&mut self, event: &Event, before: &StateAt) -> Result<Acceptance> {
        let auth = self.writing.find(event.auth()).await?;
        let auth: Vec<_> = auth.into_iter().flatten().map(|known| self.as_judged(known)).collect();
        let judged = self.writing.judge_received(event, &auth, (&before.state, &before.state)).await?;
        let judged = self.writing.ask_judge_of_received(event, judged).await?;
        Ok(self.writing.ask_policy_of_received(event, judged))
    }

    fn as_judged(&self, known: Arc<Known>) -> Arc<Known> {
        match self.writing.arriving.get(known.id()) {
            Some(event) => Arc::new(known.with_event(event.clone())),
            None => known,
        }
    }

    /// Makes a permitted event an end of the graph.
    async fn follow(&mut self, event: &Event, before: StateAt) -> Result<Around> {
        self.writing.arriving.insert(event.id().clone(), event.clone());
        let change = change_of(event);
        let replaces = change.as_ref().and_then(|change| before.state.get(&change.key.0, &change.key.1));
        let replaces = replaces.map(ToOwned::to_owned);
        let after = self.writing.state_after(&before, change.into_iter().collect());
        if self.begins.contains(event.id()) && !self.is_local_now() {
            // The room began here (again).
            self.ends.clear();
            self.let_go = None;
        }
        self.ends.retain(|end| !event.prev().contains(end));
        self.ends.push(event.id().clone());
        self.states.insert(event.id().clone(), after.clone());
        self.let_ends_go().await?;
        let states = self.ends.iter().filter_map(|end| self.states.get(end)).chain(&self.let_go).cloned().collect();
        self.current = self.writing.resolve(states).await?;
        let current = self.current.group.filter(|group| Some(*group) != after.group);
        Ok(Around { before: before.group, after: after.group, current, replaces })
    }

    /// Lets go of the ends above the limit, as [`Writing::new_ends`] does.
    async fn let_ends_go(&mut self) -> Result<()> {
        let superfluous = self.writing.superfluous(&self.ends).await?;
        if superfluous.is_empty() {
            return Ok(());
        }
        let going = superfluous.iter().filter_map(|place| self.states.get(&self.ends[*place]));
        let states = self.let_go.iter().chain(going).cloned().collect();
        self.let_go = Some(self.writing.resolve(states).await?);
        let mut place = 0..;
        self.ends.retain(|_| place.next().is_some_and(|place| !superfluous.contains(&place)));
        Ok(())
    }

    fn is_local_now(&self) -> bool {
        let joined = |user: &UserId| self.current.state.membership(user) == Membership::Join;
        self.writing.snapshot().local_joined().any(|user| joined(user))
    }

    /// An event that people here were shown and that the room refused.
    fn take_away(&mut self, known: &Known, event: Event, before: StateAt, why: String) {
        tracing::info!(event = %event.id(), room = %event.room(), why, "an event proves to have been refused");
        let (room, order) = (self.writing.room.id.clone(), known.order().unwrap_or_default());
        let batch = self.writing.batch();
        batch.delete(&TIMELINE, (room.as_str(), order));
        batch.delete(&GAPS, (room.as_str(), order)).delete(&HOLES, (room.as_str(), order));
        if let Some(relation) = Relation::of(&event) {
            let (target, kind) = (relation.event_id.as_str(), event.kind().to_string());
            batch.delete(&RELATIONS, (target, relation.rel_type.as_str(), order));
            if let Some(key) = relation.annotation_key() {
                batch.delete(&ANNOTATIONS, (target, event.sender().as_str(), kind.as_str(), key));
            }
        }
        self.put_aside(known, event, before, Place::Rejected(why));
    }

    fn put_aside(&mut self, known: &Known, event: Event, before: StateAt, place: Place) {
        let is_rejected = matches!(place, Place::Rejected(_));
        let event = if is_rejected { event.into_rejected() } else { event };
        let change = change_of(&event).filter(|_| !is_rejected);
        let after = self.writing.state_after(&before, change.into_iter().collect());
        let around = Around { before: before.group, after: after.group, current: None, replaces: None };
        let judged = known.judged_anew(event.clone(), place.clone(), around);
        let at = StoredPlace { room_id: self.writing.room.id.to_string(), place };
        self.writing.batch().put(&OUTLIERS, event.id().as_str(), &judged.to_stored());
        self.writing.batch().put(&EVENTS, event.id().as_str(), &at);
        self.states.insert(event.id().clone(), after);
        self.writing.arriving.insert(event.id().clone(), event);
        self.writing.replaced.push(judged);
    }

    /// Writes everything down: the room is whole.
    async fn finish(mut self, first: i64, missed: Vec<OwnedServerName>) -> Result<()> {
        let changes = self.writing.snapshot().state().changes_to(&self.current.state);
        self.write_remote_members(&changes).await?;
        let mut holding = HashMap::new();
        for change in changes.iter().filter(|change| KEPT.contains(&change.key.0)) {
            if let Some((id, _)) = &change.to {
                holding.insert(id.clone(), self.writing.event(id).await?);
            }
        }
        self.note_local_members(&changes).await?;
        let end_at = |id: &OwnedEventId| {
            let after = self.states.get(id).and_then(|state| state.group);
            StoredEnd { event_id: id.to_string(), after }
        };
        let let_go = self.let_go.iter().map(|state| StoredEnd::let_go(state.group));
        let ends = self.ends.iter().map(end_at).chain(let_go).collect();
        let current = self.current.clone();
        let mut writing = self.writing;
        writing.make_current(&changes, current, &holding);
        writing.stored_mut().extremities = ends;
        writing.end_part(first.cast_unsigned(), missed).await?;
        writing.queue().durable().await?;
        Ok(())
    }
}

impl Writing {
    /// Notes that nothing is wanting of the state any more.
    async fn end_part(&mut self, from: u64, missed: Vec<OwnedServerName>) -> Result<()> {
        let (room, store) = (self.room.id.clone(), self.rooms.store().clone());
        let aside = store.scan(&PARTIAL_ASIDE, PARTIAL_ASIDE.prefix((room.as_str(),)).limit(ASIDE_MAX)).await?;
        let row = (from, missed.iter().map(ToString::to_string).collect());
        let part = Arc::new(PartTime { from, missed, until: AtomicU64::new(0) });
        self.head.snapshot = Arc::new(Snapshot::clone(self.snapshot()).whole(part.clone()));
        let batch = self.batch();
        batch.delete(&PARTIAL, room.as_str());
        for ((_, id), ()) in aside {
            batch.delete(&PARTIAL_ASIDE, (room.as_str(), id.as_str()));
        }
        batch.at_position(move |position, writes| {
            let (from, missed): (u64, Vec<String>) = row;
            writes.put(&WHOLE_SINCE, room.as_str(), &StoredPart { from, until: position.0, missed });
        });
        batch.after_commit(move |position| part.until.store(position.0, Ordering::Release));
        Ok(())
    }
}

/// Events in such an order that those which one follows come before it; otherwise as they came.
fn in_graph_order(mut events: Vec<Arc<Known>>) -> Vec<Arc<Known>> {
    events.sort_by_key(|known| (known.event().depth(), known.order(), known.id().clone()));
    let by_id: HashMap<_, _> = events.iter().map(|known| (known.id().clone(), known.clone())).collect();
    let (mut ordered, mut seen) = (Vec::with_capacity(events.len()), BTreeSet::new());
    for known in events {
        let mut stack = vec![(known, false)];
        while let Some((known, below_done)) = stack.pop() {
            if below_done {
                ordered.push(known);
                continue;
            }
            if !seen.insert(known.id().clone()) {
                continue;
            }
            let below: Vec<_> = known.event().prev().iter().filter_map(|id| by_id.get(id)).cloned().collect();
            stack.push((known, true));
            stack.extend(below.into_iter().map(|known| (known, false)));
        }
    }
    ordered
}
