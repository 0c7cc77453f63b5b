//! A batch: everything one act implies, committed whole or not at all.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Key, Op, Subject, Table};

/// A place in the one stream of commits. Every change a client or peer can ask "since when" about has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// The position `n` after this one.
    #[must_use]
    pub fn plus(self, n: u64) -> Self {
        Self(self.0 + n)
    }
}

/// Rows to be written together.
#[derive(Debug, Default)]
pub struct Writes {
    pub(crate) ops: Vec<Op>,
}

impl Writes {
    /// Sets a row.
    pub fn put<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: K::Borrowed<'_>,
        value: &V,
    ) {
        self.ops.push(Op::Put(table.encode_key(&key), table.encode_value(value)));
    }

    /// Sets a row where there certainly is none yet, which spares the engine to look what readers are to see until this one
    /// is durable. Never where there may be one after all: readers, and a backup under way, would see none for so long.
    pub fn add<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: K::Borrowed<'_>,
        value: &V,
    ) {
        self.ops.push(Op::Add(table.encode_key(&key), table.encode_value(value)));
    }

    /// Removes a row; no error if there is none.
    pub fn delete<K: Key, V>(&mut self, table: &Table<K, V>, key: K::Borrowed<'_>) {
        self.ops.push(Op::Delete(table.encode_key(&key)));
    }
}

type AtPosition = Box<dyn FnOnce(Position, &mut Writes) + Send>;
type AfterCommit = Box<dyn FnOnce(Position) + Send>;

/// An expectation: the row under this key is exactly this.
pub(crate) struct Expectation {
    pub(crate) table: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Bytes>,
}

/// Everything one act implies. Built by plain code, handed to [`crate::Store::commit`] once.
pub struct Batch {
    pub(crate) writes: Writes,
    pub(crate) expects: Vec<Expectation>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) positions: u64,
    at_position: Vec<AtPosition>,
    after_commit: Vec<AfterCommit>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            writes: Writes::default(),
            expects: Vec::new(),
            subjects: Vec::new(),
            positions: 1,
            at_position: Vec::new(),
            after_commit: Vec::new(),
        }
    }
}

impl Batch {
    /// An empty batch that takes one position.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    pub fn put<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: K::Borrowed<'_>,
        value: &V,
    ) -> &mut Self {
        self.writes.put(table, key, value);
        self
    }

    /// Sets a row where there certainly is none yet: see [`Writes::add`].
    pub fn add<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: K::Borrowed<'_>,
        value: &V,
    ) -> &mut Self {
        self.writes.add(table, key, value);
        self
    }

    /// Removes a row; no error if there is none.
    pub fn delete<K: Key, V>(&mut self, table: &Table<K, V>, key: K::Borrowed<'_>) -> &mut Self {
        self.writes.delete(table, key);
        self
    }

    /// Commits only if the row is exactly `value` (`None`: absent) just before.
    pub fn expect<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: K::Borrowed<'_>,
        value: Option<&V>,
    ) -> &mut Self {
        self.expects.push(Expectation {
            table: table.name(),
            key: table.encode_key(&key),
            value: value.map(|value| table.encode_value(value)),
        });
        self
    }

    /// Names what this batch changes, for whoever watches it.
    pub fn touch(&mut self, subject: Subject) -> &mut Self {
        if !self.subjects.contains(&subject) {
            self.subjects.push(subject);
        }
        self
    }

    /// Says how many positions the batch takes, when it carries several ordered things (default 1).
    pub fn positions(&mut self, count: u64) -> &mut Self {
        self.positions = count.max(1);
        self
    }

    /// Adds rows that depend on the (first) position the batch gets.
    pub fn at_position(&mut self, write: impl FnOnce(Position, &mut Writes) + Send + 'static) -> &mut Self {
        self.at_position.push(Box::new(write));
        self
    }

    /// Runs once the batch is durable, in commit order, before anybody is woken: the place to advance caches. Must be
    /// quick and must not block: every other commit waits for it.
    pub fn after_commit(&mut self, run: impl FnOnce(Position) + Send + 'static) -> &mut Self {
        self.after_commit.push(Box::new(run));
        self
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.ops.is_empty() && self.at_position.is_empty()
    }

    /// Fixes the position and makes the rows that depend on it.
    pub(crate) fn settle(&mut self, first: Position) {
        for write in self.at_position.drain(..) {
            write(first, &mut self.writes);
        }
    }

    pub(crate) fn run_after_commit(&mut self, first: Position) {
        for run in self.after_commit.drain(..) {
            run(first);
        }
    }
}
