//! Writing to a room: events are decided on one by one under the room's lock, then queued together as one batch with
//! everything they imply. The lock is let go when the batch is queued; whoever answers waits until it is durable.

use futures_util::{FutureExt, future::Shared};
use lyceum_events::{
    Draft, Event, EventError, Placing, auth_types, authorize_by_auth_events, authorize_by_state, build, rules_of,
};
use lyceum_storage::{Batch, CommitError, Position, Subject};
use parking_lot::Mutex;
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, RoomId, RoomVersionId, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::RoomVersionRules,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tokio::sync::OwnedMutexGuard;

use crate::{
    Change, Known, Membership, Result, RoomError, Rooms, Snapshot,
    forks::StateAt,
    groups::Chain,
    known::Around,
    record::{self, Aside, New},
    room::{Head, Room, Sent, TransactionKey},
    snapshot::KEPT,
    state::state_type,
    tables::{EVENTS, OUTLIERS, STATE_GROUPS, StoredHead, StoredPlace, StoredTransaction, TRANSACTIONS},
};

/// The greatest depth: the greatest number canonical JSON can hold.
pub(crate) const DEPTH_MAX: u64 = (1 << 53) - 1;
/// How often an act is decided again after another writer was quicker.
pub(crate) const WRITE_TRIES: usize = 5;

/// Who sends something, and under which transaction id.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The person.
    pub user: &'a UserId,
    /// What makes a repeated request recognisable.
    pub transaction: Option<Transaction<'a>>,
    /// When it was sent, if the sender may say so (application services).
    pub ts: Option<MilliSecondsSinceUnixEpoch>,
}

impl<'a> Sender<'a> {
    /// A person, without a transaction id.
    pub fn of(user: &'a UserId) -> Self {
        Self { user, transaction: None, ts: None }
    }
}

/// What makes a repeated request recognisable.
#[derive(Debug, Clone, Copy)]
pub struct Transaction<'a> {
    /// The device it comes from.
    pub device: &'a str,
    /// What is asked, apart from the transaction id: endpoint, event type, redacted event.
    pub endpoint: &'a str,
    /// The client's id.
    pub id: &'a str,
}

/// A room that is being written to.
pub(crate) struct Writing {
    pub(crate) rooms: Rooms,
    pub(crate) room: Arc<Room>,
    guard: OwnedMutexGuard<Option<Head>>,
    /// The head as it will be.
    pub(crate) head: Head,
    pub(crate) new: Vec<New>,
    /// Known events that change by this: those redacted.
    pub(crate) replaced: Vec<Known>,
    /// In a lock that is never waited for: it only says that the batch is not shared.
    batch: Mutex<Batch>,
    sending: Option<(TransactionKey, OwnedEventId)>,
    /// Events that are being given their places, as they are judged now.
    pub(crate) arriving: HashMap<OwnedEventId, Event>,
    /// Events that clients are not shown.
    pub(crate) aside: Vec<Aside>,
    /// Whether any of them was known without a place.
    pub(crate) moves_outliers: bool,
    /// Whether events are missing before the one that is being given its place.
    pub(crate) after_gap: bool,
}

/// A batch on its way, and what it holds.
pub(crate) struct Written {
    rooms: Rooms,
    room: Arc<Room>,
    generation: u64,
    durable: Shared<futures_util::future::BoxFuture<'static, Result<Position, CommitError>>>,
}

impl Written {
    /// Waits until everything is durable. `Busy`: somebody else was quicker, decide again.
    pub(crate) async fn durable(self) -> Result<Position> {
        match self.durable.await {
            Err(CommitError::Conflict(_)) => {
                self.room.drop_head(self.generation).await;
                // What somebody else has written may be known here as it was before.
                self.rooms.0.known.clear();
                Err(RoomError::Busy)
            }
            done => Ok(done?),
        }
    }
}

impl Rooms {
    /// Takes the writing end of a room.
    pub(crate) async fn write(&self, room_id: &RoomId) -> Result<Writing> {
        let room = self.room(room_id);
        let mut guard = room.writer.clone().lock_owned().await;
        self.fill(&room, &mut guard).await?;
        let head = guard.clone().ok_or_else(|| RoomError::UnknownRoom(room_id.to_owned()))?;
        Ok(Writing::new(self.clone(), room, guard, head))
    }

    /// Takes the writing end of a room that does not exist yet.
    pub(crate) async fn write_new(&self, room_id: &RoomId, version: &RoomVersionId) -> Result<Writing> {
        let rules = rules_of(version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        let room = self.room(room_id);
        let mut guard = room.writer.clone().lock_owned().await;
        self.fill(&room, &mut guard).await?;
        if guard.is_some() {
            return Err(RoomError::RoomInUse(format!("{room_id} exists")));
        }
        let snapshot = Snapshot::empty(room_id.to_owned(), version.clone(), Arc::new(rules), self.server().to_owned());
        let head = Head {
            generation: self.next_generation(),
            stored: None,
            snapshot: Arc::new(snapshot),
            chain: Chain::default(),
            sides: VecDeque::new(),
        };
        Ok(Writing::new(self.clone(), room, guard, head))
    }
}

impl Writing {
    fn new(rooms: Rooms, room: Arc<Room>, guard: OwnedMutexGuard<Option<Head>>, head: Head) -> Self {
        Self {
            rooms,
            room,
            guard,
            head,
            new: Vec::new(),
            replaced: Vec::new(),
            batch: Mutex::new(Batch::new()),
            sending: None,
            arriving: HashMap::new(),
            aside: Vec::new(),
            moves_outliers: false,
            after_gap: false,
        }
    }

    pub(crate) fn batch(&mut self) -> &mut Batch {
        self.batch.get_mut()
    }

    /// The room with everything written to it so far.
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.head.snapshot
    }

    pub(crate) fn rules(&self) -> Arc<RoomVersionRules> {
        self.head.snapshot.shared_rules()
    }

    /// What a repeated request led to the first time, if it is one.
    pub(crate) async fn already_sent(&self, key: &TransactionKey) -> Result<Option<Repeated>> {
        if let Some(sent) = self.room.sending.lock().get(key) {
            return Ok(Some(Repeated::OnItsWay(sent.clone())));
        }
        let (user, device, endpoint, id) = key;
        let key = (user.as_str(), device.as_str(), endpoint.as_str(), id.as_str());
        let sent = self.rooms.store().get(&TRANSACTIONS, key).await?;
        sent.map(|sent| Ok(Repeated::Done(crate::groups::parse_event_id(sent.event_id)?))).transpose()
    }

    /// Remembers what a transaction id has led to.
    pub(crate) fn remember(&mut self, key: TransactionKey, event_id: &EventId) {
        let (user, device, endpoint, id) = &key;
        let at_ms = self.rooms.0.clock.now().get().into();
        let row = StoredTransaction { event_id: event_id.to_string(), at_ms };
        self.batch().add(&TRANSACTIONS, (user.as_str(), device.as_str(), endpoint.as_str(), id.as_str()), &row);
        if let Some(last) = self.new.last_mut() {
            last.transaction = Some((device.clone(), id.clone()));
        }
        self.sending = Some((key, event_id.to_owned()));
    }

    /// An event of this room's state, whether durable or queued.
    pub(crate) async fn event(&self, id: &EventId) -> Result<Event> {
        if let Some(new) = self.new.iter().find(|new| new.event.id() == id) {
            return Ok(new.event.clone());
        }
        if let Some(arriving) = self.arriving.get(id) {
            return Ok(arriving.clone());
        }
        if let Some(event) = self.room.queued.lock().get(id) {
            return Ok(event.clone());
        }
        let mut events = self.rooms.events_with(&[id.to_owned()], self.snapshot().rules()).await?;
        events.pop().ok_or_else(|| RoomError::Damaged(format!("event {id} is missing")))
    }

    /// An event of the current state.
    pub(crate) async fn state_event(&self, kind: &StateEventType, state_key: &str) -> Result<Option<Event>> {
        if state_key.is_empty()
            && let Some(event) = self.snapshot().kept(kind)
        {
            return Ok(Some(event.clone()));
        }
        match self.snapshot().state().get(kind, state_key) {
            Some(id) => Ok(Some(self.event(id).await?)),
            None => Ok(None),
        }
    }

    /// The state that permits a draft.
    pub(crate) async fn auth_events(&self, draft: &Draft, sender: &UserId) -> Result<Vec<Event>> {
        let keys = auth_types(draft, sender, &self.rules()).map_err(bad)?;
        let mut events = Vec::with_capacity(keys.len());
        for (kind, state_key) in keys {
            events.extend(self.state_event(&kind, &state_key).await?);
        }
        Ok(events)
    }

    /// The depth of the next event.
    pub(crate) fn next_depth(&self) -> u64 {
        self.head.stored.as_ref().map_or(1, |stored| stored.depth.saturating_add(1)).min(DEPTH_MAX)
    }

    /// Builds the next event, asks the room's rules, and adds it.
    pub(crate) async fn append(&mut self, sender: Sender<'_>, draft: Draft) -> Result<Event> {
        let auth = self.auth_events(&draft, sender.user).await?;
        let event = self.compose(sender, draft, &auth)?;
        self.authorize(&event, &auth)?;
        let event = self.rooms.recommended(self.snapshot(), event).await?;
        self.record(event.clone()).await?;
        Ok(event)
    }

    /// Builds and signs the next event.
    pub(crate) fn compose(&self, sender: Sender<'_>, draft: Draft, auth: &[Event]) -> Result<Event> {
        let local_id = self.rooms.letters(18);
        let placing = Placing {
            room_id: Some(&self.room.id),
            sender: sender.user,
            ts: sender.ts.unwrap_or_else(|| self.rooms.0.clock.now()),
            prev_events: self.prev_events(),
            auth_events: auth.iter().map(|event| event.id().clone()).collect(),
            depth: self.next_depth(),
            local_id: &local_id,
        };
        build(draft, &placing, &self.rules(), &self.rooms.0.key).map_err(bad)
    }

    /// Asks the room's rules whether they permit an event whose auth events are these, now.
    pub(crate) fn authorize(&self, event: &Event, auth: &[Event]) -> Result<()> {
        let rules = self.rules();
        let create = self.snapshot().kept(&StateEventType::RoomCreate);
        let by_id = |id: &EventId| auth.iter().chain(create).find(|one| one.id() == id).cloned();
        authorize_by_auth_events(event, &rules, by_id).map_err(|denied| RoomError::Forbidden(denied.0))?;
        let by_key = |kind: &StateEventType, state_key: &str| {
            let kind = TimelineEventType::from(kind.to_string());
            auth.iter().chain(create).find(|one| one.is_state(&kind, state_key)).cloned()
        };
        authorize_by_state(event, &rules, by_key).map_err(|denied| RoomError::Forbidden(denied.0))
    }

    /// Adds an event that was found to be permitted, at the end of the timeline, following every end of the graph that it
    /// names.
    pub(crate) async fn record(&mut self, event: Event) -> Result<()> {
        let before = self.head.snapshot.group();
        let change = change_of(&event);
        let replaces = change.as_ref().and_then(|change| self.snapshot().state().get(&change.key.0, &change.key.1));
        let replaces = replaces.map(ToOwned::to_owned);
        let after = match &change {
            Some(change) => Some(self.change_state(std::slice::from_ref(change), &event)),
            None => before,
        };
        self.add_own_end(&event, after);
        if let Some(redacts) = event.redacts() {
            self.redact(redacts, &event).await?;
        }
        let around = Around { before, after, current: None, replaces };
        let members = target_of(&event).map(|_| event.clone()).into_iter().collect();
        self.new.push(New { event, around, members, transaction: None, redacted: None, after_gap: false });
        Ok(())
    }

    /// Adds an event to the timeline after which the room has a state that its branch alone does not tell.
    pub(crate) async fn become_current(
        &mut self,
        event: &Event,
        around: Around,
        changes: Vec<Change>,
        current: StateAt,
    ) -> Result<()> {
        let mut holding = HashMap::new();
        for change in &changes {
            let is_member = change.key.0 == StateEventType::RoomMember;
            if let Some((id, _)) = &change.to
                && (is_member || KEPT.contains(&change.key.0))
            {
                holding.insert(id.clone(), self.event(id).await?);
            }
        }
        self.make_current(&changes, current, &holding);
        let members = holding.into_values().filter(|event| target_of(event).is_some()).collect();
        self.place(event, around, members).await
    }

    /// Makes a state the current one. `holding` knows the events that are kept with it.
    pub(crate) fn make_current(
        &mut self,
        changes: &[Change],
        current: StateAt,
        holding: &HashMap<OwnedEventId, Event>,
    ) {
        if let Some(group) = current.group {
            let event_of = |change: &Change| holding.get(&change.to.as_ref()?.0).cloned();
            self.head.snapshot = Arc::new(self.head.snapshot.changed(changes, group, event_of));
            self.head.chain = current.chain;
            self.stored_mut().group = Some(group);
        }
    }

    /// Puts an event at the end of the timeline.
    pub(crate) async fn place(&mut self, event: &Event, around: Around, members: Vec<Event>) -> Result<()> {
        if let Some(redacts) = event.redacts() {
            self.redact(redacts, event).await?;
        }
        let redacted = self.redacted_ahead(event).await?;
        let after_gap = self.after_gap;
        self.new.push(New { event: event.clone(), around, members, transaction: None, redacted, after_gap });
        Ok(())
    }

    /// Commits only if an event is still where it was found, or still unknown.
    pub(crate) fn expect_at(&mut self, id: &EventId, found: Option<&Known>) {
        let row = found.map(|known| StoredPlace { room_id: self.room.id.to_string(), place: known.place().clone() });
        self.batch().expect(&EVENTS, id.as_str(), row.as_ref());
    }

    /// Forgets that an event was known without a place.
    pub(crate) fn leave_outliers(&mut self, id: &EventId) {
        self.batch().delete(&OUTLIERS, id.as_str());
        self.moves_outliers = true;
    }

    /// Makes the current state a new group.
    pub(crate) fn change_state(&mut self, changes: &[Change], event: &Event) -> u64 {
        let group = self.stored_mut().take_group();
        let row = self.head.chain.push(group, changes.to_vec());
        self.batch.get_mut().put(&STATE_GROUPS, (self.room.id.as_str(), group), &row);
        let event_of = |change: &Change| {
            let (id, _) = change.to.as_ref()?;
            (id == event.id()).then(|| event.clone())
        };
        self.head.snapshot = Arc::new(self.head.snapshot.changed(changes, group, event_of));
        group
    }

    pub(crate) fn stored_mut(&mut self) -> &mut StoredHead {
        let room_version = self.head.snapshot.version().to_string();
        self.head.stored.get_or_insert_with(|| StoredHead::new(room_version))
    }

    /// Queues everything as one batch and lets the room go.
    pub(crate) fn queue(mut self) -> Written {
        let expected = self.guard.as_ref().and_then(|head| head.stored.clone());
        self.stored_mut().version += 1;
        let stored = self.head.stored.clone();
        self.batch.get_mut().expect(&crate::tables::HEADS, self.room.id.as_str(), expected.as_ref());
        if let Some(stored) = &stored {
            self.batch.get_mut().put(&crate::tables::HEADS, self.room.id.as_str(), stored);
        }
        if !self.new.is_empty() || !self.replaced.is_empty() {
            self.batch.get_mut().touch(Subject::room(&self.room.id));
        }
        let events = self.new.iter().map(|new| &new.event).chain(self.aside.iter().map(|aside| &aside.event));
        self.room.queued.lock().extend(events.map(|event| (event.id().clone(), event.clone())));

        let generation = self.head.generation;
        let sending = self.sending.take();
        let (rooms, room) = (self.rooms.clone(), self.room.clone());
        record::fill_batch(&mut self, sending.as_ref().map(|(key, _)| key.clone()));
        *self.guard = Some(self.head);
        let durable = rooms.store().enqueue(self.batch.into_inner()).boxed().shared();
        if let Some((key, event_id)) = sending {
            room.sending.lock().insert(key, Sent { event_id, durable: durable.clone() });
        }
        Written { rooms, room, generation, durable }
    }
}

/// What a repeated request led to the first time.
pub(crate) enum Repeated {
    /// This event, durably.
    Done(OwnedEventId),
    /// This event, which is queued.
    OnItsWay(Sent),
}

/// The change of state that an event makes, if it is a state event.
pub(crate) fn change_of(event: &Event) -> Option<Change> {
    let state_key = event.state_key()?.to_owned();
    let membership = (*event.kind() == TimelineEventType::RoomMember).then(|| membership_of(event));
    Some(Change { key: (state_type(event.kind()), state_key), to: Some((event.id().clone(), membership)) })
}

/// What a membership event says.
pub(crate) fn membership_of(event: &Event) -> Membership {
    #[derive(serde::Deserialize)]
    struct Content {
        membership: String,
    }
    event.content_as::<Content>().and_then(|content| Membership::named(&content.membership)).unwrap_or_default()
}

/// The person a membership event is about.
pub(crate) fn target_of(event: &Event) -> Option<OwnedUserId> {
    (*event.kind() == TimelineEventType::RoomMember).then(|| UserId::parse(event.state_key()?).ok()).flatten()
}

pub(crate) fn bad(error: EventError) -> RoomError {
    match error {
        EventError::TooLarge => RoomError::TooLarge(lyceum_events::EVENT_BYTES_MAX),
        EventError::Malformed(why) => RoomError::Bad(why),
        EventError::Json(why) => RoomError::Bad(why.to_string()),
    }
}
