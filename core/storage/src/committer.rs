//! The committer: one task that turns queued batches into groups, so that many share one flush.

use futures_util::{StreamExt, stream::FuturesOrdered};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

use crate::{
    Batch, Commit, CommitError, Engine, Position, StorageError,
    engine::Applied,
    log::{self, LOG_PRUNE_EVERY},
    watch::Watchers,
};

/// Batches in one group at most: bounds the time a single flush and its callbacks can take.
const GROUP_BATCHES: usize = 128;

/// What the committer is asked for.
pub(crate) enum Request {
    Commit(Queued),
    /// End, once everything asked for before has been done.
    Close(oneshot::Sender<()>),
}

/// A batch and whoever waits for it.
pub(crate) struct Queued {
    pub(crate) batch: Batch,
    pub(crate) answer: oneshot::Sender<Answer>,
}

type Answer = Result<Position, CommitError>;

/// Sees every commit before it becomes visible.
pub(crate) type Observer = Box<dyn Fn(&Commit) + Send + Sync>;

/// What the committer and the store's readers share.
pub(crate) struct Shared {
    pub(crate) committed: AtomicU64,
    /// Batches waiting to be committed.
    pub(crate) queued: AtomicUsize,
    pub(crate) watchers: Watchers,
    pub(crate) tail: broadcast::Sender<Commit>,
    pub(crate) observers: parking_lot::RwLock<Vec<Observer>>,
    pub(crate) failure: tokio::sync::watch::Sender<Option<StorageError>>,
    /// Whether the committer has ended.
    pub(crate) ended: tokio::sync::watch::Sender<bool>,
    /// Told when the log of commits has grown, and at the end.
    pub(crate) upkeep: Notify,
}

/// Drains the queue until it is closed or the engine fails.
pub(crate) async fn run(engine: Arc<dyn Engine>, queue: mpsc::UnboundedReceiver<Request>, shared: Arc<Shared>) {
    if let Err(error) = drain(&*engine, queue, &shared).await {
        tracing::error!(%error, "the store cannot be written; no further change will be accepted");
        shared.failure.send_replace(Some(error));
    }
    shared.ended.send_replace(true);
    shared.upkeep.notify_one();
}

async fn drain(
    engine: &dyn Engine,
    mut queue: mpsc::UnboundedReceiver<Request>,
    shared: &Shared,
) -> Result<(), StorageError> {
    let mut received = Vec::with_capacity(GROUP_BATCHES);
    let mut in_flight = FuturesOrdered::new();
    let (mut open, mut closing) = (true, None);
    let mut failed = engine.failed();
    while open || !in_flight.is_empty() {
        let (room, idle) = (open && in_flight.len() < engine.groups_in_flight(), in_flight.is_empty());
        tokio::select! {
            biased;
            Some(landed) = in_flight.next() => land(engine, shared, landed).await?,
            error = &mut failed => return Err(error),
            count = queue.recv_many(&mut received, GROUP_BATCHES), if room => {
                let group = Group::take(&mut received, shared);
                open = count > 0 && group.closing.is_none();
                closing = group.closing;
                if !group.batches.is_empty() {
                    let (landing, begun) = (engine.apply(group.batches), Instant::now());
                    in_flight.push_back(async move {
                        let landed = (landing.await, group.answers);
                        metrics::histogram!("lyceum_commit_group_seconds").record(begun.elapsed().as_secs_f64());
                        landed
                    });
                }
            }
            // Not while a group of our own is on its way: it would be told twice.
            () = others_committed(engine), if idle => catch_up(engine, shared, None).await?,
        }
    }
    drop(queue);
    if let Some(closed) = closing {
        // Whoever asked may have gone away, which is no fault.
        let _ = closed.send(());
    }
    Ok(())
}

fn counted(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What was received at once, sorted.
#[derive(Default)]
struct Group {
    batches: Vec<Batch>,
    answers: Vec<oneshot::Sender<Answer>>,
    closing: Option<oneshot::Sender<()>>,
}

impl Group {
    fn take(received: &mut Vec<Request>, shared: &Shared) -> Self {
        let mut group = Self::default();
        for request in received.drain(..) {
            match request {
                Request::Commit(one) if group.closing.is_none() => {
                    group.batches.push(one.batch);
                    group.answers.push(one.answer);
                }
                // Dropping the sender answers that the store is closed.
                Request::Commit(_) => {}
                Request::Close(closed) => group.closing = Some(closed),
            }
        }
        shared.queued.fetch_sub(group.batches.len(), Ordering::Relaxed);
        metrics::histogram!("lyceum_commit_group_batches").record(counted(group.batches.len()));
        group
    }
}

type Landed = (Result<Vec<Applied>, StorageError>, Vec<oneshot::Sender<Answer>>);

/// Publishes a group that was applied, after whatever other nodes committed before it; or refuses it.
async fn land(engine: &dyn Engine, shared: &Shared, (applied, answers): Landed) -> Result<(), StorageError> {
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.clone().into()));
            }
            return Err(error);
        }
    };
    if engine.others().is_some() {
        let first = applied.iter().find_map(|(result, _)| result.as_ref().ok().copied());
        catch_up(engine, shared, first).await?;
    }
    unless_panicked(|| publish(shared, applied, answers))
}

async fn others_committed(engine: &dyn Engine) {
    match engine.others() {
        Some(others) => others.notified().await,
        None => std::future::pending().await,
    }
}

/// Publishes what other nodes committed before `until`, or so far.
async fn catch_up(engine: &dyn Engine, shared: &Shared, until: Option<Position>) -> Result<(), StorageError> {
    let committed = Position(shared.committed.load(Ordering::Acquire));
    let through = match until {
        Some(until) => Position(until.0 - 1),
        None => engine.last_position().await?,
    };
    if through <= committed {
        return Ok(());
    }
    let commits = log::between(engine, committed, through).await?;
    unless_panicked(|| {
        for commit in commits {
            publish_one(shared, commit);
        }
        // Commits that touched nothing are not in the log.
        moved(shared, through);
    })
}

/// A cache that panicked while it followed a commit cannot be trusted any more.
fn unless_panicked(publish: impl FnOnce()) -> Result<(), StorageError> {
    catch_unwind(AssertUnwindSafe(publish))
        .map_err(|_| StorageError::engine("a cache panicked while it followed a commit, and may be behind the disk"))
}

/// In order: callbacks, observers, `committed`, watchers, answers.
fn publish(shared: &Shared, applied: Vec<Applied>, answers: Vec<oneshot::Sender<Answer>>) {
    for ((result, mut batch), answer) in applied.into_iter().zip(answers) {
        if let Ok(first) = result {
            let last = Position(first.0 + batch.positions - 1);
            batch.run_after_commit(first);
            publish_one(shared, Commit { first, last, subjects: std::mem::take(&mut batch.subjects).into() });
        }
        metrics::counter!("lyceum_commits_total", "result" => if result.is_ok() { "ok" } else { "refused" })
            .increment(1);
        let _ = answer.send(result);
    }
}

fn publish_one(shared: &Shared, commit: Commit) {
    for observe in shared.observers.read().iter() {
        observe(&commit);
    }
    moved(shared, commit.last);
    shared.watchers.wake(&commit.subjects);
    // Nobody may be listening, which is no fault.
    let _ = shared.tail.send(commit);
}

fn moved(shared: &Shared, last: Position) {
    let before = shared.committed.swap(last.0, Ordering::AcqRel);
    if before / LOG_PRUNE_EVERY != last.0 / LOG_PRUNE_EVERY {
        shared.upkeep.notify_one();
    }
}
