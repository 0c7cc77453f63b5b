//! The two threads behind a commit: one decides a group and puts it into the tree while the other makes the group before it
//! durable.

use parking_lot::RwLock;
use sled::Db;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;

use super::{Before, Failure, State, durable::Durable, read};
use crate::{
    Batch, Position, StorageError,
    engine::Applied,
    group::{self, Changes},
};

/// A group to be written, and who waits for it.
pub(super) struct Work {
    pub(super) group: Vec<Batch>,
    pub(super) answer: Answer,
}

type Answer = oneshot::Sender<Result<Vec<Applied>, StorageError>>;

/// A group that is in the tree, to be made durable before it is answered and seen.
struct Written {
    applied: Vec<Applied>,
    /// Whether there was any row to write.
    rows: bool,
    answer: Answer,
}

/// Starts both threads. They end when the sender is dropped, or after a failure.
pub(super) fn start(
    db: Db,
    state: Arc<RwLock<State>>,
    last: Position,
    durable: Durable,
    failure: Failure,
) -> io::Result<(mpsc::Sender<Work>, [JoinHandle<()>; 2])> {
    let (groups, work) = mpsc::channel();
    let (written, to_sync) = mpsc::channel();
    let (flushed, seen, failed) = (db.clone(), state.clone(), failure.clone());
    let writing = thread::Builder::new()
        .name("store-write".to_owned())
        .spawn(move || write_groups(&db, &state, last, (&work, &written), &failure))?;
    let syncing = thread::Builder::new()
        .name("store-sync".to_owned())
        .spawn(move || sync_groups(&flushed, &seen, durable, &to_sync, &failed))?;
    Ok((groups, [writing, syncing]))
}

fn write_groups(
    db: &Db,
    state: &RwLock<State>,
    mut last: Position,
    (work, written): (&mpsc::Receiver<Work>, &mpsc::Sender<Written>),
    failure: &Failure,
) {
    while let Ok(Work { group, answer }) = work.recv() {
        let wrote = catch_unwind(AssertUnwindSafe(|| write_group(db, state, last, group)))
            .unwrap_or_else(|_| Err(StorageError::engine("sled panicked while writing")));
        match wrote {
            Ok((applied, rows, now)) => {
                last = now;
                if written.send(Written { applied, rows, answer }).is_err() {
                    return;
                }
            }
            Err(error) => {
                failure.tell(error.clone());
                // What readers are given is left as it is: the last durable rows.
                let _ = answer.send(Err(error));
                return;
            }
        }
    }
}

fn write_group(
    db: &Db,
    state: &RwLock<State>,
    last: Position,
    group: Vec<Batch>,
) -> Result<(Vec<Applied>, bool, Position), StorageError> {
    let decided = group::decide(group, last, |key| read(db, key))?;
    let rows = !decided.changes.is_empty();
    if rows {
        let batch = sled_batch(&decided.changes);
        // Read before the lock is taken: readers go on meanwhile.
        let before = Before::of(decided.changes, |key| read(db, key))?;
        state.write().keep(before);
        db.apply_batch(batch).map_err(StorageError::engine)?;
    }
    Ok((decided.applied, rows, decided.last))
}

fn sled_batch(changes: &Changes) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, change) in changes {
        match &change.to {
            Some(value) => batch.insert(key.as_slice(), value.as_ref()),
            None => batch.remove(key.as_slice()),
        }
    }
    batch
}

fn sync_groups(
    db: &Db,
    state: &RwLock<State>,
    mut durable: Durable,
    to_sync: &mpsc::Receiver<Written>,
    failure: &Failure,
) {
    while let Ok(Written { applied, rows, answer }) = to_sync.recv() {
        if rows {
            if let Err(error) = sync(db, &mut durable) {
                failure.tell(error.clone());
                let _ = answer.send(Err(error));
                return;
            }
            state.write().show();
        }
        let _ = answer.send(Ok(applied));
    }
}

/// Has sled write what it holds, then syncs the files.
fn sync(db: &Db, durable: &mut Durable) -> Result<(), StorageError> {
    let flushed = catch_unwind(AssertUnwindSafe(|| db.flush()))
        .map_err(|_| StorageError::engine("sled panicked while flushing"))?;
    flushed.map_err(StorageError::engine)?;
    durable.sync().map_err(StorageError::engine)
}
