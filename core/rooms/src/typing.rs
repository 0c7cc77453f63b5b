//! Who is typing: in memory only, and forgotten when the server stops.
//!
//! Changes are counted; the count begins at the wall clock, so that what a client saw before a restart is older than
//! everything after it.

use lyceum_events::Clock;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::sync::broadcast;

/// How long somebody is taken to be typing at most without saying so again.
pub const TYPING_TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// Changes remembered; who asks about older ones is shown every room with somebody typing.
const CHANGES_REMEMBERED: usize = 4096;
/// People typing in one room that are remembered; more make no better picture.
const ROOM_TYPISTS_MAX: usize = 200;
/// Changes that a slow listener may fall behind.
const LISTENER_CHANGES: usize = 1024;

/// Somebody began or stopped typing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypingChange {
    /// Where.
    pub room: OwnedRoomId,
    /// Who.
    pub user: OwnedUserId,
    /// Began, or stopped.
    pub typing: bool,
}

/// Who is typing where. Cheap to clone.
#[derive(Clone)]
pub struct Typing {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    changes: broadcast::Sender<TypingChange>,
}

#[derive(Default)]
struct State {
    version: u64,
    rooms: HashMap<OwnedRoomId, Room>,
    /// Changes in order; those up to `floor` are forgotten.
    log: VecDeque<(u64, OwnedRoomId)>,
    floor: u64,
    next_expiry: Option<Duration>,
}

#[derive(Default)]
struct Room {
    changed: u64,
    until: BTreeMap<OwnedUserId, Duration>,
}

impl Typing {
    /// Nobody types yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let version = u64::from(clock.now().get()).saturating_mul(1000);
        let state = State { version, floor: version, ..State::default() };
        Self { clock, state: Arc::new(Mutex::new(state)), changes: broadcast::Sender::new(LISTENER_CHANGES) }
    }

    /// Somebody types, for so long unless they say so again.
    pub fn start(&self, room: &RoomId, user: &UserId, timeout: Duration) {
        let until = self.clock.monotonic() + timeout.min(TYPING_TIMEOUT_MAX);
        let mut state = self.state.lock();
        state.next_expiry = Some(state.next_expiry.map_or(until, |next| next.min(until)));
        let people = &mut state.rooms.entry(room.to_owned()).or_default().until;
        if people.len() >= ROOM_TYPISTS_MAX && !people.contains_key(user) {
            return;
        }
        let is_new = people.insert(user.to_owned(), until).is_none();
        if is_new {
            state.note(room);
        }
        drop(state);
        // Even one who typed already is told on: other servers forget after a while.
        self.tell(room, user, true);
    }

    /// Somebody stopped.
    pub fn stop(&self, room: &RoomId, user: &UserId) {
        let mut state = self.state.lock();
        let typed = state.rooms.get_mut(room).is_some_and(|room| room.until.remove(user).is_some());
        if typed {
            state.note(room);
            drop(state);
            self.tell(room, user, false);
        }
    }

    /// Lets those stop whose time is over. Cheap when nobody's is.
    pub fn sweep(&self) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        if state.next_expiry.is_none_or(|next| next > now) {
            return;
        }
        let over: Vec<_> = state
            .rooms
            .iter()
            .flat_map(|(id, room)| room.until.iter().map(move |(user, until)| (id, user, *until)))
            .filter(|(_, _, until)| *until <= now)
            .map(|(room, user, _)| (room.clone(), user.clone()))
            .collect();
        for (room, user) in &over {
            if let Some(people) = state.rooms.get_mut(room) {
                people.until.remove(user);
            }
            state.note(room);
        }
        state.next_expiry = state.rooms.values().flat_map(|room| room.until.values()).min().copied();
        drop(state);
        for (room, user) in over {
            self.tell(&room, &user, false);
        }
    }

    /// The count of changes so far.
    pub fn version(&self) -> u64 {
        self.state.lock().version
    }

    /// Who types in a room, in order of their names.
    pub fn in_room(&self, room: &RoomId) -> Vec<OwnedUserId> {
        self.state.lock().rooms.get(room).map(|room| room.until.keys().cloned().collect()).unwrap_or_default()
    }

    /// The rooms where something changed in `(since, to]`; of a time that is forgotten, all rooms where anybody typed.
    pub fn changed(&self, since: u64, to: u64) -> Vec<OwnedRoomId> {
        if since >= to {
            return Vec::new();
        }
        let state = self.state.lock();
        if since < state.floor {
            return state.rooms.iter().filter(|(_, room)| room.changed <= to).map(|(id, _)| id.clone()).collect();
        }
        let start = state.log.partition_point(|(version, _)| *version <= since);
        let mut rooms: Vec<_> =
            state.log.range(start..).filter(|(version, _)| *version <= to).map(|(_, room)| room.clone()).collect();
        rooms.sort();
        rooms.dedup();
        rooms
    }

    /// Whether anybody typed in a room of late.
    pub fn is_remembered(&self, room: &RoomId) -> bool {
        self.state.lock().rooms.contains_key(room)
    }

    /// Whether anything changed in a room in `(since, to]`.
    pub fn changed_in(&self, room: &RoomId, since: u64, to: u64) -> bool {
        self.state.lock().rooms.get(room).is_some_and(|room| since < room.changed && room.changed <= to)
    }

    /// Every change from now on.
    pub fn listen(&self) -> broadcast::Receiver<TypingChange> {
        self.changes.subscribe()
    }

    fn tell(&self, room: &RoomId, user: &UserId, typing: bool) {
        // Nobody may be listening, which is no fault.
        let _ = self.changes.send(TypingChange { room: room.to_owned(), user: user.to_owned(), typing });
    }
}

impl State {
    fn note(&mut self, room: &RoomId) {
        self.version += 1;
        let version = self.version;
        if let Some(entry) = self.rooms.get_mut(room) {
            entry.changed = version;
        }
        if self.log.len() == CHANGES_REMEMBERED
            && let Some((oldest, gone)) = self.log.pop_front()
        {
            self.floor = oldest;
            // A room where nobody types and whose last change is forgotten has nothing left to tell.
            if self.rooms.get(&gone).is_some_and(|room| room.until.is_empty() && room.changed <= oldest) {
                self.rooms.remove(&gone);
            }
        }
        self.log.push_back((version, room.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lyceum_events::ManualClock;
    use ruma::{room_id, user_id};

    #[test]
    fn typing_is_seen_and_ends_by_itself() {
        let clock = ManualClock::at(1_000);
        let typing = Typing::new(Arc::new(clock.clone()));
        let (room, user) = (room_id!("!r:x"), user_id!("@a:x"));
        let before = typing.version();
        typing.start(room, user, Duration::from_secs(10));
        assert_eq!(typing.in_room(room), [user]);
        assert_eq!(typing.changed(before, typing.version()), [room]);

        let seen = typing.version();
        typing.start(room, user, Duration::from_secs(20));
        assert!(typing.changed(seen, typing.version()).is_empty(), "one who goes on typing is no news");
        clock.advance(Duration::from_secs(15));
        typing.sweep();
        assert_eq!(typing.in_room(room), [user]);
        clock.advance(Duration::from_secs(10));
        typing.sweep();
        assert!(typing.in_room(room).is_empty());
        assert_eq!(typing.changed(seen, typing.version()), [room]);
    }

    #[test]
    fn who_was_away_too_long_is_shown_every_room_with_somebody_typing() {
        let typing = Typing::new(Arc::new(ManualClock::at(1_000)));
        let (room, user) = (room_id!("!r:x"), user_id!("@a:x"));
        typing.start(room, user, Duration::from_secs(10));
        assert_eq!(typing.changed(0, typing.version()), [room]);
        for _ in 0..CHANGES_REMEMBERED {
            typing.stop(room, user);
            typing.start(room, user, Duration::from_secs(10));
        }
        assert_eq!(typing.state.lock().log.len(), CHANGES_REMEMBERED);
    }
}
