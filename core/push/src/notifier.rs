//! The notifier: follows the stream of commits and tells gateways what it says to those who have pushers.
//!
//! One task reads the stream and puts notices into lines, one for each pusher; a line is worked off by a task of its own
//! as long as there is something in it, so a gateway that stalls delays nobody else. The place in the stream is durable only
//! together with a note of what gateways have not taken up to there: after a crash nothing is missing, and what was taken in
//! the last second may come twice, with the same event id.

mod follow;
mod keep;
mod line;
mod tell;
mod work;

use lyceum_storage::{Follower, Position};
use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, Semaphore, watch};

use crate::{Push, PusherKey, error::Result, tables::PUSHERS};
use line::Line;
pub(crate) use line::StoredLine;

/// Notifications on their way at the same time.
const ON_THEIR_WAY_MAX: usize = 64;
/// Pushers read at a time when the server starts.
const PAGE_ROWS: usize = 10_000;
/// The name of the notifier's place in the stream.
const FOLLOWER: &str = "push";

/// The notifier. Cheap to clone; runs until it is stopped.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    push: Push,
    /// Who has pushers.
    owners: Mutex<HashSet<OwnedUserId>>,
    /// The pushers that have something waiting.
    lines: Mutex<HashMap<PusherKey, Arc<Line>>>,
    follower: tokio::sync::Mutex<Follower>,
    /// Everything up to here is in the lines.
    routed: AtomicU64,
    /// Whether anything changed since the last time things were kept.
    is_changed: AtomicBool,
    has_changed: Notify,
    permits: Semaphore,
    stopping: watch::Sender<bool>,
}

impl Notifier {
    /// Starts notifying from where the last run ended. The first run begins now: nobody is told of what is long past.
    pub async fn start(push: &Push) -> Result<Self> {
        let follower = Follower::new(push.store(), FOLLOWER).await?;
        let begins = if follower.cursor() == Position(0) { push.store().committed() } else { follower.cursor() };
        let notifier = Self(Arc::new(Inner {
            push: push.clone(),
            owners: Mutex::default(),
            lines: Mutex::default(),
            follower: tokio::sync::Mutex::new(follower),
            routed: AtomicU64::new(begins.0),
            is_changed: AtomicBool::new(true),
            has_changed: Notify::new(),
            permits: Semaphore::new(ON_THEIR_WAY_MAX),
            stopping: watch::Sender::new(false),
        }));
        notifier.find_owners().await?;
        notifier.recall().await?;
        notifier.keep().await?;
        notifier.spawn(|notifier| async move { notifier.follow().await });
        notifier.spawn(|notifier| async move { notifier.keep_up().await });
        Ok(notifier)
    }

    /// Stops: what gateways have not taken is noted.
    pub async fn stop(&self) {
        self.crash();
        if let Err(error) = self.keep().await {
            tracing::error!(%error, "what gateways have not taken could not be noted; it will be read from the stream again");
        }
    }

    /// Ends as if the process were killed: nothing more is noted.
    pub fn crash(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Whether everything that was committed has been told, or waits for a gateway that failed.
    pub fn is_settled(&self) -> bool {
        self.routed() >= self.push().store().committed() && self.0.lines.lock().values().all(|line| line.is_settled())
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(Self) -> F) {
        let mut stopping = self.0.stopping.subscribe();
        let task = task(self.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                // An error says that the notifier is gone, which ends its tasks as well.
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
    }

    async fn find_owners(&self) -> Result<()> {
        let mut next = PUSHERS.all().limit(PAGE_ROWS);
        loop {
            let rows = self.push().store().scan(&PUSHERS, next).await?;
            let Some(((user, app_id, pushkey), _)) = rows.last() else { return Ok(()) };
            next = PUSHERS.all().after(&PUSHERS, (user, app_id, pushkey)).limit(PAGE_ROWS);
            let users = rows.iter().filter_map(|((user, ..), _)| UserId::parse(user).ok());
            self.0.owners.lock().extend(users);
        }
    }

    fn push(&self) -> &Push {
        &self.0.push
    }

    fn has_pushers(&self, user: &UserId) -> bool {
        self.0.owners.lock().contains(user)
    }

    fn routed(&self) -> Position {
        Position(self.0.routed.load(Ordering::Acquire))
    }

    fn changed(&self) {
        self.0.is_changed.store(true, Ordering::Release);
        self.0.has_changed.notify_one();
    }

    /// The line of a pusher, made if it is new.
    fn line(&self, key: &PusherKey) -> Arc<Line> {
        let mut lines = self.0.lines.lock();
        lines.entry(key.clone()).or_insert_with(|| Arc::new(Line::new(key.clone()))).clone()
    }
}
