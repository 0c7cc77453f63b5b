//! The handle to all rooms, and how rooms come into memory and leave it.

use lyceum_events::{Clock, Event, ServerKey, rules_of};
use lyceum_storage::Store;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use rand::{Rng, rngs::StdRng};
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, ServerName, UInt, UserId,
    room_version_rules::RoomVersionRules,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    DelayLimits, Judge, Known, People, PolicyServers, Result, RoomError, Snapshot,
    bundle::{THREADS_IN_MEMORY_MAX, Threads},
    groups::{self, Chain},
    members::Memberships,
    receipts::Receipts,
    room::{Head, Live, Room, recent_events},
    snapshot::KEPT,
    tables::{EVENTS, HEADS, OUTLIERS, Place, StoredPlace, TIMELINE, VERSIONS},
    thread_subscriptions::SubscriptionsChanged,
    typing::Typing,
};

/// Settings of rooms.
#[derive(Debug, Clone)]
pub struct RoomsConfig {
    /// The version new rooms get unless asked otherwise.
    pub default_version: RoomVersionId,
    /// Rooms kept in memory; the least used leave first.
    pub rooms_in_memory_max: usize,
    /// Events kept in memory beside the last of each room.
    pub events_in_memory_max: usize,
    /// How far delaying events may go.
    pub delays: DelayLimits,
}

impl Default for RoomsConfig {
    fn default() -> Self {
        Self {
            default_version: RoomVersionId::V12,
            rooms_in_memory_max: 4_000,
            events_in_memory_max: 20_000,
            delays: DelayLimits::default(),
        }
    }
}

/// All rooms. Cheap to clone.
#[derive(Clone)]
pub struct Rooms(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) key: ServerKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) people: Arc<dyn People>,
    pub(crate) policy_servers: OnceLock<Arc<dyn PolicyServers>>,
    pub(crate) chance: Mutex<StdRng>,
    pub(crate) config: RoomsConfig,
    pub(crate) known: Cache<OwnedEventId, Arc<Known>>,
    /// Goes up whenever a known event is replaced by its redacted form, or gets a place in the timeline: what was read
    /// before may be old.
    pub(crate) replaced: AtomicU64,
    pub(crate) memberships: Memberships,
    pub(crate) subscriptions_changed: SubscriptionsChanged,
    typing: Typing,
    receipts: Receipts,
    pub(crate) threads: Threads,
    pub(crate) states: Cache<(OwnedRoomId, u64), Arc<crate::RoomState>>,
    rooms: Mutex<HashMap<OwnedRoomId, (Arc<Room>, u64)>>,
    uses: AtomicU64,
    /// When the last room was made: no two are made in one millisecond, since some rooms' ids are made of the first event.
    created_ms: AtomicU64,
    generations: AtomicU64,
}

/// States kept in memory beside the current ones.
const STATES_IN_MEMORY_MAX: usize = 500;

/// What the handle is built from.
pub struct RoomsParts {
    /// Where everything is kept.
    pub store: Store,
    /// The key this server signs with.
    pub key: ServerKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for room ids that are drawn.
    pub chance: StdRng,
    /// The campus rules.
    pub judge: Arc<dyn Judge>,
    /// Who this server's people are.
    pub people: Arc<dyn People>,
    /// Settings.
    pub config: RoomsConfig,
}

impl Rooms {
    /// The rooms kept in a store.
    pub fn new(parts: RoomsParts) -> Self {
        let RoomsParts { store, key, clock, chance, judge, people, config } = parts;
        Self(Arc::new(Shared {
            known: Cache::new(config.events_in_memory_max),
            replaced: AtomicU64::default(),
            memberships: Memberships::default(),
            subscriptions_changed: SubscriptionsChanged::default(),
            typing: Typing::new(clock.clone()),
            receipts: Receipts::new(store.clone()),
            threads: Cache::new(THREADS_IN_MEMORY_MAX),
            states: Cache::new(STATES_IN_MEMORY_MAX),
            rooms: Mutex::default(),
            uses: AtomicU64::default(),
            created_ms: AtomicU64::default(),
            generations: AtomicU64::default(),
            chance: Mutex::new(chance),
            store,
            key,
            clock,
            judge,
            people,
            policy_servers: OnceLock::new(),
            config,
        }))
    }

    /// This server's name.
    pub fn server(&self) -> &ServerName {
        self.0.key.server()
    }

    /// Who is typing.
    pub fn typing(&self) -> &Typing {
        &self.0.typing
    }

    /// How far people have read.
    pub fn receipts(&self) -> &Receipts {
        &self.0.receipts
    }

    /// Whether a person belongs to this server.
    pub fn is_local(&self, user: &UserId) -> bool {
        user.server_name() == self.server()
    }

    /// Where everything is kept.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The time, for a room to be made at: each time a later one.
    pub(crate) fn creation_time(&self) -> MilliSecondsSinceUnixEpoch {
        let now = u64::from(self.0.clock.now().get());
        let later = |last: u64| Some(now.max(last + 1));
        let last = self.0.created_ms.fetch_update(Ordering::AcqRel, Ordering::Acquire, later).unwrap_or_default();
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(now.max(last + 1)))
    }

    /// Letters drawn by chance.
    pub(crate) fn letters(&self, count: usize) -> String {
        let mut chance = self.0.chance.lock();
        (0..count).map(|_| char::from(chance.sample(rand::distr::Alphabetic))).collect()
    }

    /// The room's place in memory, empty at first.
    pub(crate) fn room(&self, room_id: &RoomId) -> Arc<Room> {
        let used = self.0.uses.fetch_add(1, Ordering::Relaxed);
        let mut rooms = self.0.rooms.lock();
        if let Some((room, last_used)) = rooms.get_mut(room_id) {
            *last_used = used;
            return room.clone();
        }
        if rooms.len() >= self.0.config.rooms_in_memory_max.max(1) {
            forget_idle(&mut rooms);
        }
        let room = Arc::new(Room::new(room_id.to_owned()));
        rooms.insert(room_id.to_owned(), (room.clone(), used));
        room
    }

    pub(crate) fn next_generation(&self) -> u64 {
        self.0.generations.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads a room's writing end, if there is such a room.
    pub(crate) async fn load_head(&self, room: &Room) -> Result<Option<Head>> {
        let Some(stored) = self.store().get(&HEADS, room.id.as_str()).await? else { return Ok(None) };
        let (version, rules) = version_of(&stored.room_version)?;
        let empty = Snapshot::empty(room.id.clone(), version, rules.clone(), self.server().to_owned());
        let (chain, snapshot) = match stored.group {
            None => (Chain::default(), empty),
            Some(group) => {
                let (chain, state) = groups::load(self.store(), room.id.as_str(), group).await?;
                let kept: Vec<_> = KEPT.iter().filter_map(|kind| state.get(kind, "").map(ToOwned::to_owned)).collect();
                let kept = self.events_with(&kept, &rules).await?;
                (chain, empty.filled(state, group, kept))
            }
        };
        let snapshot = self.with_extent(snapshot).await?;
        Ok(Some(Head {
            generation: self.next_generation(),
            stored: Some(stored),
            snapshot: Arc::new(snapshot),
            chain,
            sides: VecDeque::new(),
        }))
    }

    /// Reads the end of a room's timeline.
    async fn load_live(&self, room: &Room, head: &Head) -> Result<Live> {
        let scan = TIMELINE.prefix((room.id.as_str(),)).reversed().limit(recent_events());
        let rows = self.store().scan(&TIMELINE, scan).await?;
        let floor = if rows.len() < recent_events() {
            i64::MIN
        } else {
            rows.last().map_or(i64::MIN, |((_, order), _)| order - 1)
        };
        let mut recent = VecDeque::with_capacity(rows.len());
        for ((_, order), stored) in rows {
            recent.push_front(Arc::new(Known::from_stored(stored, Place::Timeline(order), head.snapshot.rules())?));
        }
        Ok(Live::new(head.snapshot.clone(), recent, floor))
    }

    /// Makes sure that a room is in memory for readers. The writing lock is held by the caller.
    pub(crate) async fn fill(&self, room: &Room, head: &mut Option<Head>) -> Result<()> {
        if head.is_none() {
            *head = self.load_head(room).await?;
            if let Some(head) = head {
                let live = self.load_live(room, head).await?;
                *room.live.write() = Some(live);
            }
        }
        Ok(())
    }

    /// The room in memory, for readers.
    pub(crate) async fn live_room(&self, room_id: &RoomId) -> Result<Arc<Room>> {
        let room = self.room(room_id);
        if room.live.read().is_none() {
            let mut head = room.writer.lock().await;
            self.fill(&room, &mut head).await?;
            if room.live.read().is_none() {
                return Err(RoomError::UnknownRoom(room_id.to_owned()));
            }
        }
        Ok(room)
    }

    /// A room as it is now, durably.
    pub async fn snapshot(&self, room_id: &RoomId) -> Result<Arc<Snapshot>> {
        Ok(self.now(room_id).await?.0)
    }

    /// A room as it is now, durably, and the order of its last event.
    pub async fn now(&self, room_id: &RoomId) -> Result<(Arc<Snapshot>, i64)> {
        let room = self.live_room(room_id).await?;
        let live = room.live.read();
        live.as_ref()
            .map(|live| (live.snapshot.clone(), live.last))
            .ok_or_else(|| RoomError::UnknownRoom(room_id.to_owned()))
    }

    /// An event and what this server knows about it.
    pub async fn known(&self, event_id: &EventId) -> Result<Option<Arc<Known>>> {
        Ok(self.known_many(std::slice::from_ref(&event_id.to_owned())).await?.pop().flatten())
    }

    /// Events and what this server knows about them, in the order asked for.
    pub async fn known_many(&self, ids: &[OwnedEventId]) -> Result<Vec<Option<Arc<Known>>>> {
        let mut found: Vec<_> = ids.iter().map(|id| self.0.known.get(id)).collect();
        let missing: Vec<_> = (0..ids.len()).filter(|at| found[*at].is_none()).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let places = self.store().get_many(&EVENTS, missing.iter().map(|at| ids[*at].as_str())).await?;
        let mut rules: HashMap<String, Arc<RoomVersionRules>> = HashMap::new();
        for (at, place) in missing.into_iter().zip(places) {
            let Some(place) = place else { continue };
            let rules = match rules.get(&place.room_id) {
                Some(rules) => rules.clone(),
                None => {
                    let found = self.stored_rules(&place.room_id).await?;
                    rules.insert(place.room_id.clone(), found.clone());
                    found
                }
            };
            let known = self.read_known(&ids[at], place, &rules).await?;
            found[at] = Some(known);
        }
        Ok(found)
    }

    /// The rules of a room's version by its stored head: usable while the room is being loaded.
    async fn stored_rules(&self, room_id: &str) -> Result<Arc<RoomVersionRules>> {
        if let Some((room, _)) = <&RoomId>::try_from(room_id).ok().and_then(|id| self.0.rooms.lock().get(id).cloned())
            && let Some(live) = &*room.live.read()
        {
            return Ok(live.snapshot.shared_rules());
        }
        if let Some(head) = self.store().get(&HEADS, room_id).await? {
            return Ok(version_of(&head.room_version)?.1);
        }
        let version = self.store().get(&VERSIONS, room_id).await?;
        let version = version.ok_or_else(|| RoomError::Damaged(format!("room {room_id} has events and no version")))?;
        Ok(version_of(&version)?.1)
    }

    async fn read_known(&self, id: &EventId, place: StoredPlace, rules: &RoomVersionRules) -> Result<Arc<Known>> {
        let replaced = self.0.replaced.load(Ordering::Acquire);
        let stored = match &place.place {
            Place::Timeline(order) => self.store().get(&TIMELINE, (place.room_id.as_str(), *order)).await?,
            _ => self.store().get(&OUTLIERS, id.as_str()).await?,
        };
        let stored = stored.ok_or_else(|| RoomError::Damaged(format!("event {id} is not at its place")))?;
        let known = Arc::new(Known::from_stored(stored, place.place, rules)?);
        if self.0.replaced.load(Ordering::Acquire) == replaced {
            self.0.known.insert(id.to_owned(), known.clone());
            if self.0.replaced.load(Ordering::Acquire) != replaced {
                self.0.known.remove(id);
            }
        }
        Ok(known)
    }

    /// Events of a room whose rules are known, all of which must be there.
    pub(crate) async fn events_with(&self, ids: &[OwnedEventId], rules: &RoomVersionRules) -> Result<Vec<Event>> {
        let mut events = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(known) = self.0.known.get(id) {
                events.push(known.event().clone());
                continue;
            }
            let place = self.store().get(&EVENTS, id.as_str()).await?;
            let place = place.ok_or_else(|| RoomError::Damaged(format!("event {id} of a room's state is missing")))?;
            events.push(self.read_known(id, place, rules).await?.event().clone());
        }
        Ok(events)
    }

    /// The state of a room with this group number.
    pub async fn state_of_group(&self, room_id: &RoomId, group: u64) -> Result<Arc<crate::RoomState>> {
        let key = (room_id.to_owned(), group);
        if let Some(state) = self.0.states.get(&key) {
            return Ok(state);
        }
        let (_, state) = groups::load(self.store(), room_id.as_str(), group).await?;
        let state = Arc::new(state);
        self.0.states.insert(key, state.clone());
        Ok(state)
    }
}

/// The version of a room and its rules.
pub(crate) fn version_of(name: &str) -> Result<(RoomVersionId, Arc<RoomVersionRules>)> {
    let version = RoomVersionId::try_from(name).map_err(|_| RoomError::Damaged(format!("room version {name}")))?;
    let rules = rules_of(&version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
    Ok((version, Arc::new(rules)))
}

/// Drops the tenth of rooms that nobody holds and that were not used for longest.
fn forget_idle(rooms: &mut HashMap<OwnedRoomId, (Arc<Room>, u64)>) {
    let idle = rooms.iter().filter(|(_, (room, _))| Arc::strong_count(room) == 1);
    let mut idle: Vec<_> = idle.map(|(id, (_, used))| (*used, id.clone())).collect();
    idle.sort_unstable();
    for (_, id) in idle.into_iter().take(rooms.len() / 10 + 1) {
        rooms.remove(&id);
    }
}
