//! The store: the handle that every crate reads and writes through.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    Batch, Commit, CommitError, Engine, Key, Position, Scan, StorageError, Subject, Table, Tail, Watch,
    committer::{self, Queued, Request, Shared},
    memory::Memory,
    upkeep,
    watch::{self, Watchers},
};

/// Batches that may wait for the committer. At a full queue something is very slow, and waiting longer helps nobody.
const QUEUE_BATCHES_MAX: usize = 50_000;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    queue: mpsc::UnboundedSender<Request>,
    shared: Arc<Shared>,
}

impl Store {
    /// A store that forgets everything when dropped, for tests. Must be called within a tokio runtime.
    pub async fn memory() -> Result<Self, StorageError> {
        Self::over(Arc::new(Memory::default())).await
    }

    /// A store over an engine. Starts the committer, so it must be called within a tokio runtime.
    pub async fn over(engine: Arc<dyn Engine>) -> Result<Self, StorageError> {
        let last = engine.last_position().await?;
        let shared = Arc::new(Shared {
            committed: AtomicU64::new(last.0),
            watchers: Watchers::default(),
            tail: watch::tail(),
            observers: parking_lot::RwLock::default(),
            failure: tokio::sync::watch::Sender::new(None),
            ended: tokio::sync::watch::Sender::new(false),
            upkeep: Notify::new(),
            queued: AtomicUsize::new(0),
        });
        let (queue, queued) = mpsc::unbounded_channel();
        tokio::spawn(committer::run(engine.clone(), queued, shared.clone()));
        let store = Self { engine, queue, shared };
        tokio::spawn(upkeep::run(store.downgrade()));
        Ok(store)
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// A handle that does not keep the store open.
    fn downgrade(&self) -> WeakStore {
        WeakStore { engine: Arc::downgrade(&self.engine), queue: self.queue.downgrade(), shared: self.shared.clone() }
    }

    /// Reads one row.
    pub async fn get<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        key: K::Borrowed<'_>,
    ) -> Result<Option<V>, StorageError> {
        let key = [table.encode_key(&key)];
        let row = self.engine.get(&key).await?.pop().flatten();
        row.map(|bytes| table.decode_value(&bytes)).transpose()
    }

    /// Reads many rows of a table at once; the answers stand in the order of the keys.
    pub async fn get_many<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        keys: impl IntoIterator<Item = K::Borrowed<'_>>,
    ) -> Result<Vec<Option<V>>, StorageError> {
        let keys: Vec<_> = keys.into_iter().map(|key| table.encode_key(&key)).collect();
        let rows = self.engine.get(&keys).await?;
        rows.into_iter().map(|row| row.map(|bytes| table.decode_value(&bytes)).transpose()).collect()
    }

    /// Reads one bounded page of a table.
    pub async fn scan<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        scan: Scan<K, V>,
    ) -> Result<Vec<(K, V)>, StorageError> {
        let rows = self.engine.scan(scan.range).await?;
        rows.iter().map(|(key, value)| table.decode_row(key, value)).collect()
    }

    /// Commits a batch and waits until it is durable. Answers with the first position it took.
    pub async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        self.enqueue(batch).await
    }

    /// Queues a batch: it will be committed after all those queued before it. Await the answer for durability.
    pub fn enqueue(&self, batch: Batch) -> Pending {
        let (answer, answered) = oneshot::channel();
        if self.shared.queued.fetch_add(1, Ordering::Relaxed) >= QUEUE_BATCHES_MAX {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            let full = StorageError::engine("too many commits are waiting for the disk");
            // The receiver is still in hand.
            let _ = answer.send(Err(full.into()));
            return Pending { answered };
        }
        // When the committer is gone the sender is dropped here, and the answer is `Closed`.
        if self.queue.send(Request::Commit(Queued { batch, answer })).is_err() {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        }
        Pending { answered }
    }

    /// The last position that is durable and visible.
    pub fn committed(&self) -> Position {
        Position(self.shared.committed.load(Ordering::Acquire))
    }

    /// Puts what readers may see back to a position, as it stands while a group becomes visible.
    #[cfg(test)]
    pub(crate) fn stand_at(&self, position: Position) {
        self.shared.committed.store(position.0, Ordering::Release);
    }

    /// Waits for commits that touch one of `subjects`, from now on.
    pub fn watch(&self, subjects: &[Subject]) -> Watch {
        self.shared.watchers.watch(subjects)
    }

    /// Every commit from now on, with its subjects.
    pub fn tail(&self) -> Tail {
        self.shared.tail.subscribe()
    }

    /// Shows every later commit to `observe`, in order, durable but not yet visible to readers: for indexes in memory that
    /// must never be behind [`Store::committed`]. Must be quick: every other commit waits for it.
    pub fn observe(&self, observe: impl Fn(&Commit) + Send + Sync + 'static) {
        self.shared.observers.write().push(Box::new(observe));
    }

    /// Commits what is queued, refuses what comes after, and lets go of the engine's files or connections, so that the
    /// store can be opened again although clones of this handle are still about.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        let _ = self.queue.send(Request::Close(answer));
        // A committer that is gone already has nothing queued.
        let _ = answered.await;
        self.engine.close().await;
    }

    /// Resolves when nothing more will be committed: after [`Store::close`], or after a failure.
    pub async fn ended(&self) {
        // The sender lives as long as this handle.
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.shared.ended.borrow()
    }

    /// Resolves when the engine has failed and the store is closed; the server must then stop.
    pub async fn failed(&self) -> StorageError {
        let mut failure = self.shared.failure.subscribe();
        tokio::select! {
            told = failure.wait_for(Option::is_some) => match told {
                Ok(error) => error.clone().unwrap_or_else(|| StorageError::engine("unknown")),
                Err(_) => StorageError::engine("the committer is gone"),
            },
            // Heard from itself, too: reads that wait for a failed disk can keep the committer from being heard.
            error = self.engine.failed() => error,
        }
    }
}

/// A store that is closed when everybody else has let go of it.
pub(crate) struct WeakStore {
    engine: Weak<dyn Engine>,
    queue: mpsc::WeakUnboundedSender<Request>,
    pub(crate) shared: Arc<Shared>,
}

impl WeakStore {
    pub(crate) fn upgrade(&self) -> Option<Store> {
        Some(Store { engine: self.engine.upgrade()?, queue: self.queue.upgrade()?, shared: self.shared.clone() })
    }
}

/// A queued batch. Resolves once it is durable (or refused); dropping it does not take the batch back.
pub struct Pending {
    answered: oneshot::Receiver<Result<Position, CommitError>>,
}

impl Future for Pending {
    type Output = Result<Position, CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answered).poll(context).map(|answer| answer.unwrap_or(Err(CommitError::Closed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Table<(String, u64), String> = Table::new("t.names", "tests");
    const STREAM: Table<u64, String> = Table::new("t.stream", "tests");

    #[tokio::test]
    async fn a_batch_is_read_back_by_key_and_by_page() {
        let store = Store::memory().await.unwrap();
        let mut batch = Batch::new();
        for n in 0..5 {
            batch.put(&NAMES, ("a", n), &format!("a{n}"));
            batch.put(&NAMES, ("b", n), &format!("b{n}"));
        }
        batch.at_position(|first, writes| writes.put(&STREAM, first.0, &"here".to_owned()));
        let position = store.commit(batch).await.unwrap();

        assert_eq!(store.committed(), position);
        assert_eq!(store.get(&STREAM, position.0).await.unwrap().as_deref(), Some("here"));
        let page = store.scan(&NAMES, NAMES.prefix(("b",)).before(&NAMES, ("b", 4)).reversed().limit(2)).await.unwrap();
        assert_eq!(page, [(("b".to_owned(), 3), "b3".to_owned()), (("b".to_owned(), 2), "b2".to_owned())]);
    }

    #[tokio::test]
    async fn of_two_writers_with_one_expectation_one_wins() {
        let store = Store::memory().await.unwrap();
        let claim = |value: &str| {
            let mut batch = Batch::new();
            batch.expect(&STREAM, 1, None).put(&STREAM, 1, &value.to_owned());
            store.enqueue(batch)
        };
        let (first, second) = (claim("first"), claim("second"));
        assert!(first.await.is_ok());
        assert!(matches!(second.await, Err(CommitError::Conflict("t.stream"))));
        assert_eq!(store.get(&STREAM, 1).await.unwrap().as_deref(), Some("first"));
    }

    #[tokio::test]
    async fn a_queue_that_does_not_move_takes_no_more() {
        let engine = crate::conformance::staged::Staged::held(Arc::new(Memory::default()));
        let store = Store::over(engine).await.unwrap();
        let queued: Vec<_> = (0..QUEUE_BATCHES_MAX).map(|_| store.enqueue(Batch::new())).collect();
        let refused = store.commit(Batch::new()).await;
        assert!(matches!(refused, Err(CommitError::Storage(_))), "{refused:?}");
        drop(queued);
    }

    #[tokio::test]
    async fn a_watch_wakes_for_its_subject_only() {
        let store = Store::memory().await.unwrap();
        let (room, user) = (store.watch(&[Subject::room("!r")]), store.watch(&[Subject::user("@u")]));
        let mut batch = Batch::new();
        batch.put(&STREAM, 1, &String::new()).touch(Subject::room("!r"));
        store.commit(batch).await.unwrap();

        room.changed().await;
        assert!(futures_util::FutureExt::now_or_never(user.changed()).is_none());
    }
}
