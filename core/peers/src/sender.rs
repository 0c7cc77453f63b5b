//! The sender: tells other servers what happened here, in order for each, and loses nothing over a restart.
//!
//! One task reads the stream of commits and puts what each says to other servers into their queues. A queue is worked off
//! by a task of its own as long as there is something in it and the server answers; so a slow server delays no other. One
//! that fails, or falls too far behind, loses its queue: what is kept is which rooms (and whose device lists) it has missed
//! something of, and from which position; when it is back, it is sent what is still of use of each.
//!
//! Told are the events of this server's people, and the joins, leaves and knocks of others that came in by this server's
//! door, which marks them by its signature.
//!
//! What must not be lost is durable in one of three ways: by the sender's place in the stream, which is written only
//! together with a note of everything not yet delivered up to there; by those notes (`p.behind`); and, for what has no
//! place in any room, by the outbox (`p.outbox`), written in the batch of the act itself. Typing, presence and receipts are
//! told while they are news and dropped for a server that fails.

mod destination;
mod edu;
mod follow;
mod keep;
mod member;
mod outbox;
mod rooms;
mod source;
mod status;
mod tidy;
mod transaction;
mod work;

use lyceum_storage::{Batch, Follower, Position, Store};
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, Semaphore, watch};

use crate::{Peers, StartError, tables::SENDER_STARTS};
pub(crate) use destination::Destination;
pub use edu::Edu;
pub(crate) use outbox::OutboxRow;
pub use rooms::RoomsSource;
pub use source::{Missed, Piece, Source, Telling, What};
pub use status::DestinationStatus;

#[cfg(test)]
mod tests;

/// Transactions on their way at the same time.
const TRANSACTIONS_MAX: usize = 512;

/// Destinations in memory above which those with nothing to do are forgotten.
const DESTINATIONS_KEPT: usize = 10_000;

/// The name of the sender's place in the stream.
const FOLLOWER: &str = "federation";

/// The sender. Cheap to clone; runs until it is stopped.
#[derive(Clone)]
pub struct Sender {
    inner: Arc<Inner>,
}

struct Inner {
    peers: Peers,
    store: Store,
    source: Arc<dyn Source>,
    destinations: Mutex<HashMap<OwnedServerName, Arc<Destination>>>,
    /// When which failing server is to be tried again.
    alarms: Mutex<BTreeSet<(Duration, OwnedServerName)>>,
    follower: tokio::sync::Mutex<Follower>,
    /// Everything up to here is in the queues.
    routed: AtomicU64,
    /// Whether anything changed since the last time things were kept.
    is_changed: AtomicBool,
    has_changed: Notify,
    alarm_set: Notify,
    permits: Semaphore,
    /// What makes this start's transaction ids unlike those of any other.
    run: String,
    transactions: AtomicU64,
    /// The day that was last begun, since 1970.
    day: AtomicU64,
    stopping: watch::Sender<bool>,
}

impl Sender {
    /// Starts sending from where the last run ended.
    pub async fn start(peers: &Peers, store: &Store, source: impl Source) -> Result<Self, StartError> {
        let follower = Follower::new(store, FOLLOWER).await?;
        let run = new_run(peers, store).await?;
        let inner = Inner {
            peers: peers.clone(),
            store: store.clone(),
            source: Arc::new(source),
            destinations: Mutex::default(),
            alarms: Mutex::default(),
            routed: AtomicU64::new(follower.cursor().0),
            follower: tokio::sync::Mutex::new(follower),
            is_changed: AtomicBool::new(false),
            has_changed: Notify::new(),
            alarm_set: Notify::new(),
            permits: Semaphore::new(TRANSACTIONS_MAX),
            run,
            transactions: AtomicU64::default(),
            day: AtomicU64::default(),
            stopping: watch::Sender::new(false),
        };
        let sender = Self { inner: Arc::new(inner) };
        sender.recall().await?;
        let weak = Arc::downgrade(&sender.inner);
        peers.on_life(move |server| {
            if let Some(inner) = weak.upgrade() {
                Self { inner }.is_alive(server);
            }
        });
        sender.spawn_followers();
        Ok(sender)
    }

    /// Stops: what is on its way may still arrive, and everything not delivered is noted.
    pub async fn stop(&self) {
        self.inner.stopping.send_replace(true);
        if let Err(error) = self.keep().await {
            tracing::error!(%error, "what is yet to be sent could not be noted; it will be read from the stream again");
        }
    }

    /// Ends as if the process were killed: nothing more is noted.
    pub fn crash(&self) {
        self.inner.stopping.send_replace(true);
    }

    /// Tries a server now, however long it has failed. Answers whether anything waits for it.
    pub fn retry(&self, server: &ServerName) -> bool {
        let Some(destination) = self.known(server) else { return false };
        let mut state = destination.state.lock();
        state.forget_failure();
        let waits = state.has_work();
        drop(state);
        self.work_soon(&destination);
        waits
    }

    /// The destination, made if it is new.
    fn destination(&self, server: &ServerName) -> Arc<Destination> {
        let mut destinations = self.inner.destinations.lock();
        if let Some(destination) = destinations.get(server) {
            return destination.clone();
        }
        if destinations.len() >= DESTINATIONS_KEPT {
            destinations.retain(|_, one| Arc::strong_count(one) > 1 || !one.state.lock().is_idle());
        }
        let destination = Arc::new(Destination::new(server.to_owned()));
        destinations.insert(server.to_owned(), destination.clone());
        destination
    }

    fn known(&self, server: &ServerName) -> Option<Arc<Destination>> {
        self.inner.destinations.lock().get(server).cloned()
    }

    fn now(&self) -> Duration {
        self.inner.peers.shared.clock.monotonic()
    }

    fn changed(&self) {
        self.inner.is_changed.store(true, Ordering::Release);
        self.inner.has_changed.notify_one();
    }

    fn routed(&self) -> Position {
        Position(self.inner.routed.load(Ordering::Acquire))
    }

    fn is_stopping(&self) -> bool {
        *self.inner.stopping.borrow()
    }

    /// An id no transaction of this server ever had.
    fn transaction_id(&self) -> String {
        format!("{}-{}", self.inner.run, self.inner.transactions.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names this run: by a count of runs, and by the time in case a backup took the count back.
async fn new_run(peers: &Peers, store: &Store) -> Result<String, StartError> {
    let starts = store.get(&SENDER_STARTS, ()).await?.unwrap_or_default() + 1;
    let mut batch = Batch::new();
    batch.put(&SENDER_STARTS, (), &starts);
    store.commit(batch).await?;
    Ok(format!("{}-{starts}", peers.shared.clock.now().get()))
}
