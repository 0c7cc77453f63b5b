//! What a connection remembers of its client.

use imbl::HashMap;
use lyceum_rooms::UnreadCounts;
use lyceum_storage::Position;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, UserId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{sliding::message::ListAnswer, token::SyncToken};

/// Connections remembered; the least used is forgotten first, and its client begins anew.
const CONNECTIONS_MAX: usize = 20_000;

/// One connection of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    user: Box<str>,
    device: Box<str>,
    connection: Box<str>,
}

impl Key {
    pub(crate) fn new(user: &UserId, device: Option<&str>, connection: Option<&str>) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().into();
        Self { user: user.as_str().into(), device: text(device), connection: text(connection) }
    }
}

/// What a client has of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Everything up to here.
    pub(crate) up_to: Position,
    /// With so many events at first.
    pub(crate) timeline_limit: u64,
    /// With this state.
    pub(crate) required_state: Arc<BTreeSet<(String, String)>>,
    /// With so much unread.
    pub(crate) unread: UnreadCounts,
}

/// A room's place in the person's order of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) bump_stamp: u64,
    pub(crate) membership: lyceum_rooms::Membership,
}

/// What a client was told up to one answer. Cloning shares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// Where the stream was; `None`: nothing was told yet.
    pub(crate) token: Option<SyncToken>,
    /// Rooms that were told of.
    pub(crate) sent: HashMap<OwnedRoomId, Sent>,
    /// All rooms of the person, kept so that only those that changed are looked at again.
    pub(crate) placed: HashMap<OwnedRoomId, Placed>,
    /// How long each list was.
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Connection {
    /// The connection as it goes on from here.
    pub(crate) fn at(&self, token: SyncToken) -> Self {
        Self { token: Some(token), ..self.clone() }
    }

    /// Whether lists are of other lengths than the client knows. Remembers the new ones.
    pub(crate) fn counts_differ(&mut self, before: &Self, lists: &BTreeMap<String, ListAnswer>) -> bool {
        self.counts = lists.iter().map(|(name, list)| (name.clone(), list.count)).collect();
        self.counts != before.counts
    }
}

/// A connection and the answers a client may still stand at: the last one, and the one before if the last was lost.
#[derive(Default)]
struct Kept {
    number: u64,
    states: BTreeMap<u64, Connection>,
}

/// All connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections {
    kept: Arc<Cache<Key, Arc<Mutex<Kept>>>>,
    /// Numbers begin here, so that a position of another life of this server is not taken for one of this.
    epoch: u64,
}

impl Connections {
    pub(crate) fn new(epoch: u64) -> Self {
        Self { kept: Arc::new(Cache::new(CONNECTIONS_MAX)), epoch }
    }

    /// Begins a connection anew.
    pub(crate) fn begin(&self, key: &Key) -> Connection {
        let number = self.kept.get(key).map_or(self.epoch, |kept| kept.lock().number);
        self.kept.insert(key.clone(), Arc::new(Mutex::new(Kept { number, states: BTreeMap::new() })));
        Connection::default()
    }

    /// The connection as it was with an answer. What came before that one is forgotten: the client has it.
    pub(crate) fn at(&self, key: &Key, pos: &str) -> Option<Connection> {
        let number: u64 = pos.split('/').next()?.parse().ok()?;
        let kept = self.kept.get(key)?;
        let mut kept = kept.lock();
        let state = kept.states.get(&number)?.clone();
        kept.states = kept.states.split_off(&number);
        Some(state)
    }

    /// Remembers a new state, and names it.
    pub(crate) fn advance(&self, key: &Key, state: Connection) -> String {
        let kept = match self.kept.get(key) {
            Some(kept) => kept,
            None => {
                let kept = Arc::new(Mutex::new(Kept { number: self.epoch, states: BTreeMap::new() }));
                self.kept.insert(key.clone(), kept.clone());
                kept
            }
        };
        let mut kept = kept.lock();
        kept.number += 1;
        let number = kept.number;
        let position = state.token.map_or(0, |token| token.position.0);
        kept.states.insert(number, state);
        format!("{number}/{position}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    #[test]
    fn an_answer_that_was_lost_can_be_asked_for_again_and_an_older_one_not() {
        let connections = Connections::new(1_000);
        let key = Key::new(user_id!("@a:x"), Some("D"), None);
        let first = connections.advance(&key, connections.begin(&key));
        let second = connections.advance(&key, connections.at(&key, &first).unwrap());
        assert!(connections.at(&key, &first).is_some(), "the second answer may have been lost");
        assert!(connections.at(&key, &second).is_some());
        assert!(connections.at(&key, &first).is_none(), "the client has shown that it has the second");
        assert!(connections.at(&key, "999/1").is_none());
        assert!(connections.at(&key, "nonsense").is_none());
    }
}
