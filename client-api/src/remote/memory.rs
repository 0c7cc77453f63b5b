//! What was learnt of other servers a short while ago, so that it is not asked again for every client: bounded, in memory
//! only, and never needed.

use lyceum_rooms::OutsideRoom;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

/// Profiles and rooms that are remembered.
const PROFILES_MAX: usize = 10_000;
const ROOMS_MAX: usize = 10_000;

/// Something that was learnt, and when.
#[derive(Clone)]
pub(super) struct Learnt<T> {
    pub(super) what: Arc<T>,
    pub(super) at: Duration,
}

impl<T> Learnt<T> {
    /// Whether it is no older than that.
    pub(super) fn is_within(&self, age: Duration, now: Duration) -> bool {
        now.saturating_sub(self.at) <= age
    }
}

/// A lock that whoever works on one room holds.
type Turn = tokio::sync::Mutex<()>;

/// What was learnt lately. Cheap to clone.
#[derive(Clone)]
pub struct RemoteMemory(Arc<Memory>);

struct Memory {
    profiles: Cache<OwnedUserId, Learnt<Map<String, Value>>>,
    /// By room, and whether only suggested children were asked for.
    rooms: Cache<(OwnedRoomId, bool), Learnt<OutsideRoom>>,
    turns: Mutex<HashMap<OwnedRoomId, Weak<Turn>>>,
}

impl Default for RemoteMemory {
    fn default() -> Self {
        let (profiles, rooms) = (Cache::new(PROFILES_MAX), Cache::new(ROOMS_MAX));
        Self(Arc::new(Memory { profiles, rooms, turns: Mutex::default() }))
    }
}

impl RemoteMemory {
    pub(super) fn profiles(&self) -> &Cache<OwnedUserId, Learnt<Map<String, Value>>> {
        &self.0.profiles
    }

    pub(super) fn rooms(&self) -> &Cache<(OwnedRoomId, bool), Learnt<OutsideRoom>> {
        &self.0.rooms
    }

    /// The lock under which other servers are asked for the history of a room, so that many who need it ask once.
    pub(super) fn turn(&self, room: &RoomId) -> Arc<Turn> {
        let mut turns = self.0.turns.lock();
        if let Some(turn) = turns.get(room).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        turns.insert(room.to_owned(), Arc::downgrade(&turn));
        turn
    }
}
