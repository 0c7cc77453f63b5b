//! One room in memory: the writing end, and what readers see.
//!
//! The writing end may be ahead of the disk: the next event builds on one that is queued but not durable yet. What readers
//! see never is: commits advance it, in their order.

use futures_util::future::{BoxFuture, Shared};
use lyceum_events::Event;
use lyceum_storage::{CommitError, Position};
use parking_lot::{Mutex, RwLock};
use ruma::{OwnedEventId, OwnedRoomId};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{Known, Snapshot, forks::StateAt, groups::Chain, tables::StoredHead};

/// Events of a room's timeline that are kept at hand.
const RECENT_EVENTS: usize = 64;

/// A room in memory.
pub(crate) struct Room {
    pub(crate) id: OwnedRoomId,
    /// Held while an event is decided on, let go once it is queued.
    pub(crate) writer: Arc<tokio::sync::Mutex<Option<Head>>>,
    /// What is durable.
    pub(crate) live: RwLock<Option<Live>>,
    /// Events that are queued but perhaps not durable: later events build on them already.
    pub(crate) queued: Mutex<HashMap<OwnedEventId, Event>>,
    /// What is queued under a transaction id but perhaps not durable: a repeated request waits for the first.
    pub(crate) sending: Mutex<HashMap<TransactionKey, Sent>>,
}

/// An event on its way to the disk.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) event_id: OwnedEventId,
    pub(crate) durable: Shared<BoxFuture<'static, Result<Position, CommitError>>>,
}

/// User, device, endpoint, transaction id.
pub(crate) type TransactionKey = (String, String, String, String);

/// The writing end of a room.
#[derive(Clone)]
pub(crate) struct Head {
    /// Which loading of the head this is, so that of many conflicting writers only the first drops it.
    pub(crate) generation: u64,
    /// The row as the next batch will find it; `None`: there is no such room yet.
    pub(crate) stored: Option<StoredHead>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) chain: Chain,
    /// States beside the current one that were used last: those of other branches of the graph.
    pub(crate) sides: VecDeque<StateAt>,
}

/// What readers see of a room.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) snapshot: Arc<Snapshot>,
    /// The last events of the timeline, without a gap.
    pub(crate) recent: VecDeque<Arc<Known>>,
    /// No event after this order is missing from `recent`.
    pub(crate) floor: i64,
    /// The order of the last event.
    pub(crate) last: i64,
}

impl Room {
    pub(crate) fn new(id: OwnedRoomId) -> Self {
        Self {
            id,
            writer: Arc::default(),
            live: RwLock::default(),
            queued: Mutex::default(),
            sending: Mutex::default(),
        }
    }

    /// Drops what is in memory, if it still is that loading.
    pub(crate) async fn drop_head(&self, generation: u64) {
        let mut head = self.writer.lock().await;
        if head.as_ref().is_some_and(|head| head.generation == generation) {
            *head = None;
            *self.live.write() = None;
            self.queued.lock().clear();
            self.sending.lock().clear();
        }
    }
}

impl Live {
    pub(crate) fn new(snapshot: Arc<Snapshot>, recent: VecDeque<Arc<Known>>, floor: i64) -> Self {
        let last = recent.back().and_then(|known| known.order()).unwrap_or(floor);
        Self { snapshot, recent, floor, last }
    }

    /// Adds an event at the end.
    pub(crate) fn push(&mut self, known: Arc<Known>) {
        let Some(order) = known.order() else { return };
        self.last = order;
        self.recent.push_back(known);
        while self.recent.len() > RECENT_EVENTS {
            if let Some(order) = self.recent.pop_front().and_then(|known| known.order()) {
                self.floor = order;
            }
        }
    }

    /// Puts another form of an event in its place; takes it away if it has none any more.
    pub(crate) fn replace(&mut self, known: &Arc<Known>) {
        if known.order().is_none() {
            self.recent.retain(|one| one.id() != known.id());
        }
        for one in &mut self.recent {
            if one.id() == known.id() {
                *one = known.clone();
            }
        }
    }
}

/// How many events are read when a room is loaded.
pub(crate) const fn recent_events() -> usize {
    RECENT_EVENTS
}
