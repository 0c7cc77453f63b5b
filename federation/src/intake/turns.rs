//! Whose turn it is: what one server sends of one room is worked on one after the other.

use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedServerName, RoomId, ServerName};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::sync::OwnedMutexGuard;

type Key = (OwnedServerName, OwnedRoomId);

/// The turns that are being taken or waited for.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn of a server's events of a room. It ends when what is answered is dropped.
    pub(crate) async fn take(&self, server: &ServerName, room: &RoomId) -> OwnedMutexGuard<()> {
        self.turn((server.to_owned(), room.to_owned())).lock_owned().await
    }

    fn turn(&self, key: Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }
}
