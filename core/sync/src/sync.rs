//! The handle: what sync is built from, and what it keeps in memory.

use lyceum_accounts::Accounts;
use lyceum_events::Clock;
use lyceum_rooms::{Known, Looker, Rooms, Unreads};
use lyceum_storage::Store;
use quick_cache::sync::Cache;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomId};
use std::sync::Arc;
use tokio::sync::watch;

use crate::{
    Result, activity::Activity, lazy::LazyMembers, response::Json, sliding::Connections, token::SyncToken, wakes::Wakes,
};

/// Rooms whose place in people's orders is remembered.
const BUMPS_MAX: usize = 50_000;

/// What the handle is built from.
pub struct SyncParts {
    /// Where everything is kept.
    pub store: Store,
    /// People.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// How much is unread.
    pub unreads: Unreads,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What clients see. Cheap to clone.
#[derive(Clone)]
pub struct Sync(Arc<Inner>);

struct Inner {
    parts: SyncParts,
    activity: Activity,
    lazy_members: LazyMembers,
    wakes: Wakes,
    connections: Connections,
    /// By room: its last event that was looked at, and the last that lifted the room.
    bumps: Cache<OwnedRoomId, (i64, Option<u64>)>,
    closing: watch::Sender<bool>,
}

impl Sync {
    /// Begins to follow the store. Must be called within a tokio runtime.
    pub fn new(parts: SyncParts) -> Self {
        let wakes = Wakes::default();
        tokio::spawn(wakes.clone().follow(parts.store.clone(), parts.rooms.clone()));
        tokio::spawn(wakes.clone().follow_typing(parts.rooms.clone()));
        tokio::spawn(wakes.clone().follow_presence(parts.accounts.clone()));
        Self(Arc::new(Inner {
            activity: Activity::of(&parts.store),
            lazy_members: LazyMembers::default(),
            connections: Connections::new(u64::from(parts.clock.now().get())),
            bumps: Cache::new(BUMPS_MAX),
            closing: watch::Sender::new(false),
            wakes,
            parts,
        }))
    }

    /// Answers all who wait at once: the server is about to stop.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    pub(crate) async fn closing(&self) {
        let mut closing = self.0.closing.subscribe();
        // The sender lives as long as `self`.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Where the stream is now.
    pub fn token(&self) -> SyncToken {
        self.rooms().typing().sweep();
        SyncToken {
            position: self.0.parts.store.committed(),
            typing: self.rooms().typing().version(),
            presence: self.accounts().presence().version(),
        }
    }

    pub(crate) fn rooms(&self) -> &Rooms {
        &self.0.parts.rooms
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.parts.accounts
    }

    pub(crate) fn activity(&self) -> &Activity {
        &self.0.activity
    }

    pub(crate) fn lazy_members(&self) -> &LazyMembers {
        &self.0.lazy_members
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    pub(crate) fn bumps(&self) -> &Cache<OwnedRoomId, (i64, Option<u64>)> {
        &self.0.bumps
    }

    pub(crate) fn unreads(&self) -> &Unreads {
        &self.0.parts.unreads
    }

    pub(crate) fn wakes(&self) -> &Wakes {
        &self.0.wakes
    }

    pub(crate) fn now(&self) -> MilliSecondsSinceUnixEpoch {
        self.0.parts.clock.now()
    }

    /// Events as a client is shown them, without their rooms' ids, which the answer names already.
    pub(crate) async fn forms(&self, looker: Looker<'_>, events: &[Arc<Known>]) -> Result<Vec<Json>> {
        Ok(self.rooms().client_forms(looker, events).await?)
    }
}
