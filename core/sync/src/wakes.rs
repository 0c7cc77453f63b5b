//! Waking the people who wait: a commit names rooms and persons, a waiting client waits for its person.
//!
//! Waiting on each of one's rooms would cost a client work for every room it is in. Here the commit is spread to those of
//! the room's local members who wait, which is work that has to be done anyway: each of them gets the event.

use lyceum_accounts::Accounts;
use lyceum_rooms::Rooms;
use lyceum_storage::{Store, Subject};
use parking_lot::Mutex;
use ruma::{RoomId, UserId};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{Notify, broadcast::error::RecvError, futures::Notified};

/// The prefix of the subject that is touched when a person's devices change: whoever shares a room is concerned.
pub(crate) const DEVICES_OF: &str = "devices:";

/// Changes of presence within this time ring once.
const PRESENCE_PAUSE: Duration = Duration::from_millis(200);

/// Who waits. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Wakes {
    waiting: Arc<Mutex<HashMap<Arc<str>, Weak<Notify>>>>,
}

/// Rings when something of interest to a person happens. All of a person's waits share one.
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    /// Resolves at the next ring; counts from when it is first polled or enabled.
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.0.notified()
    }
}

impl Wakes {
    /// The bell of a person.
    pub(crate) fn of(&self, user: &str) -> Bell {
        let mut waiting = self.waiting.lock();
        if let Some(bell) = waiting.get(user).and_then(Weak::upgrade) {
            return Bell(bell);
        }
        let bell = Arc::new(Notify::new());
        waiting.insert(user.into(), Arc::downgrade(&bell));
        Bell(bell)
    }

    /// Rings for one person.
    pub(crate) fn ring(&self, user: &str) {
        let bell = self.waiting.lock().get(user).and_then(Weak::upgrade);
        if let Some(bell) = bell {
            bell.notify_waiters();
        }
    }

    /// Rings for everybody: what changed cannot be told any more.
    pub(crate) fn ring_all(&self) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, bell| bell.upgrade().inspect(|bell| bell.notify_waiters()).is_some());
    }

    /// Rings for those who wait and are in a room.
    async fn ring_room(&self, rooms: &Rooms, room: &str) {
        let Ok(room) = <&RoomId>::try_from(room) else { return };
        let Ok(snapshot) = rooms.snapshot(room).await else { return };
        let bells: Vec<_> = {
            let mut waiting = self.waiting.lock();
            // Whichever is fewer is gone through: the waiting, or the room's people.
            if waiting.len() < snapshot.local_joined_count() {
                waiting.retain(|_, bell| bell.strong_count() > 0);
                let is_in = |user: &str| <&UserId>::try_from(user).is_ok_and(|user| snapshot.is_joined(user));
                waiting.iter().filter(|(user, _)| is_in(user)).filter_map(|(_, bell)| bell.upgrade()).collect()
            } else {
                snapshot.local_joined().filter_map(|user| waiting.get(user.as_str())?.upgrade()).collect()
            }
        };
        for bell in bells {
            bell.notify_waiters();
        }
    }

    async fn ring_for(&self, rooms: &Rooms, subject: &Subject) {
        match subject {
            Subject::User(user) | Subject::Own(user, _) => self.ring(user),
            Subject::Room(room) => self.ring_room(rooms, room).await,
            Subject::Other(name) => {
                let Some(user) = name.strip_prefix(DEVICES_OF).and_then(|user| <&UserId>::try_from(user).ok()) else {
                    return;
                };
                self.ring(user.as_str());
                for room in rooms.joined_rooms(user).await.unwrap_or_default() {
                    self.ring_room(rooms, room.as_str()).await;
                }
            }
        }
    }

    /// Rings after every commit, until the store is gone.
    pub(crate) async fn follow(self, store: Store, rooms: Rooms) {
        let mut tail = store.tail();
        loop {
            match tail.recv().await {
                Ok(commit) => {
                    for subject in commit.subjects.iter() {
                        self.ring_for(&rooms, subject).await;
                    }
                }
                Err(RecvError::Lagged(_)) => self.ring_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Rings after every change of who is typing.
    pub(crate) async fn follow_typing(self, rooms: Rooms) {
        let mut changes = rooms.typing().listen();
        loop {
            match changes.recv().await {
                Ok(change) => self.ring_room(&rooms, change.room.as_str()).await,
                Err(RecvError::Lagged(_)) => self.ring_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Rings after changes of presence. Who shares rooms with whom is found by those who wait, so a burst of changes rings
    /// once.
    pub(crate) async fn follow_presence(self, accounts: Accounts) {
        let mut changes = accounts.presence().listen();
        loop {
            match changes.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    tokio::time::sleep(PRESENCE_PAUSE).await;
                    while changes.try_recv().is_ok() {}
                    self.ring_all();
                }
                Err(RecvError::Closed) => return,
            }
        }
    }
}
