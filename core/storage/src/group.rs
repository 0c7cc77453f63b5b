//! What a group of batches comes to: which hold, which positions they get, and the rows to write for all of them.
//!
//! Pure apart from the closures that callers put into their batches; every engine decides with it and then only writes.

use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap, btree_map, hash_map::Entry},
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

/// Rows by key; `None`: there is none.
pub(crate) type Rows = BTreeMap<Vec<u8>, Option<Bytes>>;

/// What becomes of a row.
pub(crate) struct Change {
    /// `None` removes it.
    pub(crate) to: Option<Bytes>,
    /// What there was before the group, where it is known without looking.
    pub(crate) from: Option<Option<Bytes>>,
}

/// What becomes of rows, by key.
pub(crate) type Changes = BTreeMap<Vec<u8>, Change>;

/// A group, decided and ready to be written in one go.
pub(crate) struct Decided {
    /// What became of each batch, in order.
    pub(crate) applied: Vec<Applied>,
    /// Everything to write, the last position and the log of commits included. Empty when no batch held.
    pub(crate) changes: Changes,
    /// What expectations were held against, and nothing has changed since.
    found: HashMap<Vec<u8>, Option<Bytes>>,
    /// The last position given.
    pub(crate) last: Position,
}

/// Decides a group on top of `last`, with the rows before it as `read` sees them.
pub(crate) fn decide(
    group: Vec<Batch>,
    last: Position,
    read: impl Fn(&[u8]) -> Result<Option<Bytes>, StorageError>,
) -> Result<Decided, StorageError> {
    let applied = Vec::with_capacity(group.len());
    let mut decided = Decided { applied, changes: Changes::new(), found: HashMap::new(), last };
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
        &mut self,
        batch: &Batch,
        read: impl Fn(&[u8]) -> Result<Option<Bytes>, StorageError>,
    ) -> Result<Option<&'static str>, StorageError> {
        for expected in &batch.expects {
            let held = match self.changes.get(&expected.key) {
                Some(change) => &change.to,
                None => match self.found.entry(expected.key.clone()) {
                    Entry::Occupied(found) => found.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(read(&expected.key)?),
                },
            };
            if *held != expected.value {
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
        self.take_over(std::mem::take(&mut batch.writes.ops));
        self.last = first.plus(batch.positions - 1);
        if !batch.subjects.is_empty() {
            log.push(LoggedCommit { first, last: self.last, subjects: batch.subjects.clone() });
        }
        Ok(first)
    }

    fn take_over(&mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Put(key, value) => self.change(key, Some(value), None),
                Op::Add(key, value) => self.change(key, Some(value), Some(None)),
                Op::Delete(key) => self.change(key, None, None),
            }
        }
    }

    fn change(&mut self, key: Vec<u8>, to: Option<Bytes>, from: Option<Option<Bytes>>) {
        match self.changes.entry(key) {
            btree_map::Entry::Occupied(mut change) => change.get_mut().to = to,
            btree_map::Entry::Vacant(unchanged) => {
                let from = self.found.remove(unchanged.key()).or(from);
                unchanged.insert(Change { to, from });
            }
        }
    }

    /// Adds the rows that belong to the group as a whole.
    fn close(&mut self, log: Vec<LoggedCommit>) {
        if self.applied.iter().all(|(result, _)| result.is_err()) {
            return;
        }
        let mut own = Writes::default();
        own.put(&LAST_POSITION, (), &self.last.0);
        if !log.is_empty() {
            own.add(&COMMITS, self.last.0, &log);
        }
        self.take_over(own.ops);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;
    use std::cell::RefCell;

    const ROWS: Table<u64, u64> = Table::new("t.group", "tests");

    /// What is known of what was there before, by row, and which rows were looked up.
    fn known(group: Vec<Batch>) -> (Vec<Option<Option<u64>>>, Vec<u64>) {
        let read = RefCell::new(Vec::new());
        let decided = decide(group, Position(0), |key| {
            let (row, _) = ROWS.decode_row(key, &ROWS.encode_value(&0)).expect("a key of this table");
            read.borrow_mut().push(row);
            // Rows below ten are there and hold their own number.
            Ok((row < 10).then(|| ROWS.encode_value(&row)))
        });
        let decided = decided.unwrap_or_else(|error| panic!("it cannot be decided: {error}"));
        let value = |bytes: Bytes| ROWS.decode_value(&bytes).expect("a value of this table");
        let own = decided.changes.iter().filter(|(key, _)| ROWS.decode_row(key, &ROWS.encode_value(&0)).is_ok());
        let known = own.map(|(_, change)| change.from.clone().map(|from| from.map(value))).collect();
        (known, read.into_inner())
    }

    #[test]
    fn what_was_there_is_known_where_it_was_expected_or_is_new() {
        let mut first = Batch::new();
        first.expect(&ROWS, 1, Some(&1)).put(&ROWS, 1, &7).put(&ROWS, 2, &7).add(&ROWS, 11, &7);
        first.expect(&ROWS, 12, None).put(&ROWS, 12, &7);
        let mut second = Batch::new();
        second.expect(&ROWS, 1, Some(&7)).put(&ROWS, 1, &8).delete(&ROWS, 11);
        let (known, read) = known(vec![first, second]);
        assert_eq!(known, [Some(Some(1)), None, Some(None), Some(None)], "what was before the group, not within it");
        assert_eq!(read, [1, 12]);
    }

    #[test]
    fn a_refused_batch_teaches_what_is_there() {
        let mut refused = Batch::new();
        refused.expect(&ROWS, 1, Some(&5)).put(&ROWS, 1, &6);
        let mut taken = Batch::new();
        taken.put(&ROWS, 1, &7);
        assert_eq!(known(vec![refused, taken]), (vec![Some(Some(1))], vec![1]));
    }
}
