//! What a group of batches comes to: which hold, which positions they get, and the rows to write for all of them.
//!
//! Pure apart from the closures that callers put into their batches; every engine decides with it and then only writes.

use bytes::Bytes;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    Batch, CommitError, Op, Position, StorageError, Writes,
    engine::Applied,
    log::{COMMITS, LoggedCommit},
    meta::LAST_POSITION,
};

/// The longest key that every engine can index. Keys are made of identifiers, each limited to 255 bytes by the
/// specification.
const KEY_BYTES_MAX: usize = 2048;

/// New rows by key; `None` removes the row.
pub(crate) type Rows = BTreeMap<Vec<u8>, Option<Bytes>>;

/// A group, decided and ready to be written in one go.
pub(crate) struct Decided {
    /// What became of each batch, in order.
    pub(crate) applied: Vec<Applied>,
    /// Everything to write, the last position and the log of commits included. Empty when no batch held.
    pub(crate) rows: Rows,
    /// The last position given.
    pub(crate) last: Position,
}

/// Decides a group on top of `last`, with the rows before it as `read` sees them.
pub(crate) fn decide(
    group: Vec<Batch>,
    last: Position,
    read: impl Fn(&[u8]) -> Result<Option<Bytes>, StorageError>,
) -> Result<Decided, StorageError> {
    let mut decided = Decided { applied: Vec::with_capacity(group.len()), rows: Rows::new(), last };
    let mut log = Vec::new();
    for mut batch in group {
        let result = match decided.broken_expectation(&batch, &read)? {
            Some(table) => Err(CommitError::Conflict(table)),
            None => decided.take(&mut batch, &mut log),
        };
        decided.applied.push((result, batch));
    }
    decided.close(log);
    Ok(decided)
}

impl Decided {
    fn broken_expectation(
        &self,
        batch: &Batch,
        read: impl Fn(&[u8]) -> Result<Option<Bytes>, StorageError>,
    ) -> Result<Option<&'static str>, StorageError> {
        for expected in &batch.expects {
            let held = match self.rows.get(&expected.key) {
                Some(row) => *row == expected.value,
                None => read(&expected.key)? == expected.value,
            };
            if !held {
                return Ok(Some(expected.table));
            }
        }
        Ok(None)
    }

    /// Gives the batch its positions and takes over its rows.
    fn take(&mut self, batch: &mut Batch, log: &mut Vec<LoggedCommit>) -> Result<Position, CommitError> {
        let first = self.last.plus(1);
        // A caller's closure that panics costs that caller its batch, not everybody the store.
        catch_unwind(AssertUnwindSafe(|| batch.settle(first)))
            .map_err(|_| StorageError::engine("a batch panicked while making its rows"))?;
        if batch.writes.ops.iter().any(|op| op.key().len() > KEY_BYTES_MAX) {
            return Err(StorageError::engine(format!("a key is longer than {KEY_BYTES_MAX} bytes")).into());
        }
        for op in batch.writes.ops.drain(..) {
            match op {
                Op::Put(key, value) => self.rows.insert(key, Some(value)),
                Op::Delete(key) => self.rows.insert(key, None),
            };
        }
        self.last = first.plus(batch.positions - 1);
        if !batch.subjects.is_empty() {
            log.push(LoggedCommit { first, last: self.last, subjects: batch.subjects.clone() });
        }
        Ok(first)
    }

    /// Adds the rows that belong to the group as a whole.
    fn close(&mut self, log: Vec<LoggedCommit>) {
        if self.applied.iter().all(|(result, _)| result.is_err()) {
            return;
        }
        let mut own = Writes::default();
        own.put(&LAST_POSITION, (), &self.last.0);
        if !log.is_empty() {
            own.put(&COMMITS, self.last.0, &log);
        }
        for op in own.ops {
            if let Op::Put(key, value) = op {
                self.rows.insert(key, Some(value));
            }
        }
    }
}
