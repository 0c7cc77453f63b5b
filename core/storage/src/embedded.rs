//! The sled engine: one tree of files in a directory, one thread that writes and one that syncs.
//!
//! sled shows a write to readers as soon as it is in its cache. Here nobody sees a row before it is durable: while a group
//! is on its way, what stood under its keys before is kept aside, and readers are given that.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use sled::{Db, IVec};
use std::{
    collections::VecDeque,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;

use crate::{
    Batch, Engine, Position, RawRange, Snapshot, StorageError, engine::Applied, memory::is_empty, meta::LAST_POSITION,
};

mod before;
mod durable;
mod failure;
mod open;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use before::Before;
use durable::Durable;
use failure::{Failure, Lookout, WATCH_EVERY};
use snapshot::{Still, Walk};
use writer::Work;

/// The engine over files.
pub(crate) struct Embedded {
    dir: PathBuf,
    state: Arc<RwLock<State>>,
    failure: Failure,
    writer: parking_lot::Mutex<Option<Writer>>,
}

/// What readers look at.
struct State {
    /// `None` once closed.
    db: Option<Db>,
    /// What stood before each group on its way, the oldest group first.
    before: VecDeque<Before>,
    /// A snapshot that is being read.
    still: Option<Still>,
}

struct Writer {
    groups: mpsc::Sender<Work>,
    threads: [JoinHandle<()>; 2],
    lookout: Lookout,
    /// Held by this process for as long as the files are open.
    _lock: File,
}

impl State {
    fn db(&self) -> Result<&Db, StorageError> {
        self.db.as_ref().ok_or_else(closed)
    }

    /// Hides the group that is about to be written from readers.
    fn keep(&mut self, before: Before) {
        if let Some(still) = &mut self.still {
            still.keep(&before);
        }
        self.before.push_back(before);
    }

    /// Shows the oldest hidden group: it is durable.
    fn show(&mut self) {
        self.before.pop_front();
    }
}

fn closed() -> StorageError {
    StorageError::engine("the store is closed")
}

fn stopped() -> StorageError {
    StorageError::engine("the writer has stopped after a failure")
}

#[async_trait::async_trait]
impl Engine for Embedded {
    async fn get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let state = self.state.read();
        let db = state.db()?;
        keys.iter().map(|key| before::row(&state.before, key).map_or_else(|| read(db, key), Ok)).collect()
    }

    async fn scan(&self, range: RawRange) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        if is_empty(&range) {
            return Ok(Vec::new());
        }
        let state = self.state.read();
        let rows = state.db()?.range((range.start.clone(), range.end.clone()));
        if range.reversed {
            before::page(state.before.iter(), rows.rev(), &range)
        } else {
            before::page(state.before.iter(), rows, &range)
        }
    }

    fn apply(&self, group: Vec<Batch>) -> BoxFuture<'_, Result<Vec<Applied>, StorageError>> {
        let (answer, answered) = oneshot::channel();
        let sent = match &*self.writer.lock() {
            Some(writer) => writer.groups.send(Work { group, answer }).map_err(|_| stopped()),
            None => Err(closed()),
        };
        Box::pin(async move {
            sent?;
            self.landed(answered).await
        })
    }

    fn groups_in_flight(&self) -> usize {
        // One being written while another is being synced.
        2
    }

    async fn last_position(&self) -> Result<Position, StorageError> {
        let key = LAST_POSITION.encode_key(&());
        let row = self.get(&[key]).await?.pop().flatten();
        row.map_or(Ok(Position(0)), |bytes| LAST_POSITION.decode_value(&bytes).map(Position))
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        Ok(Box::new(Walk::begin(self.state.clone())?))
    }

    async fn load(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<(), StorageError> {
        let (db, dir) = (self.state.read().db()?.clone(), self.dir.clone());
        let loading = tokio::task::spawn_blocking(move || {
            let mut batch = sled::Batch::default();
            rows.iter().for_each(|(key, value)| batch.insert(key.as_slice(), value.as_ref()));
            db.apply_batch(batch).map_err(StorageError::engine)?;
            db.flush().map_err(StorageError::engine)?;
            Durable::open(&dir).and_then(|mut durable| durable.sync()).map_err(StorageError::engine)
        });
        loading.await.map_err(StorageError::engine)?
    }

    async fn failed(&self) -> StorageError {
        self.failure.heard().await
    }

    async fn close(&self) {
        let writer = self.writer.lock().take();
        let (state, failure) = (self.state.clone(), self.failure.clone());
        // Joining the threads and sled's own closing both wait for the disk.
        let closed = tokio::task::spawn_blocking(move || shut(&state, &failure, writer)).await;
        if closed.is_err() {
            tracing::error!("the store's files could not be closed in order");
        }
    }
}

impl Embedded {
    async fn landed(
        &self,
        answered: oneshot::Receiver<Result<Vec<Applied>, StorageError>>,
    ) -> Result<Vec<Applied>, StorageError> {
        tokio::select! {
            biased;
            answer = answered => answer.map_err(|_| stopped())?,
            // sled can wait for ever on a write that failed in one of its threads.
            error = self.failure.heard() => Err(error),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        shut(&self.state, &self.failure, self.writer.lock().take());
    }
}

/// Ends the threads, then lets go of the files, then of the lock; if sled has failed, or fails at that, returns all the same.
fn shut(state: &Arc<RwLock<State>>, failure: &Failure, writer: Option<Writer>) {
    let Some(writer) = writer else { return };
    if !failure.is_told() && ends(state, failure, writer) {
        return;
    }
    // Dropped, sled would write out what it still holds, and wait for that without end where its error wakes nobody. What
    // was acknowledged is in the files. So it is never dropped: the process is about to end.
    std::mem::forget(state.clone());
    tracing::error!("the store has failed; its files are left as they are");
}

/// Closes on a thread of its own. Answers whether it came to its end before sled failed.
fn ends(state: &Arc<RwLock<State>>, failure: &Failure, writer: Writer) -> bool {
    let (done, waited) = mpsc::channel();
    let state = state.clone();
    let started = thread::Builder::new().name("store-close".to_owned()).spawn(move || {
        close(&state, writer);
        // Whoever waited may have given up.
        let _ = done.send(());
    });
    if let Err(error) = started {
        tracing::error!(%error, "no thread could be started to close the store");
    }
    loop {
        match waited.recv_timeout(WATCH_EVERY) {
            Ok(()) => return true,
            Err(RecvTimeoutError::Timeout) if !failure.is_told() => {}
            Err(_) => return false,
        }
    }
}

fn close(state: &RwLock<State>, Writer { groups, threads, lookout, _lock }: Writer) {
    drop(groups);
    for thread in threads {
        // One that panicked has said so; there is nothing to add.
        let _ = thread.join();
    }
    let db = state.write().db.take();
    if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
        tracing::error!("sled panicked while closing its files");
    }
    lookout.end();
}

fn read(db: &Db, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
    Ok(db.get(key).map_err(StorageError::engine)?.as_ref().map(bytes_of))
}

fn bytes_of(value: &IVec) -> Bytes {
    Bytes::copy_from_slice(value)
}
