//! The engine for tests: an ordered map in memory, with the same promises but survival.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, btree_map},
    ops::Bound,
};

use crate::{
    Batch, Engine, Position, RawRange, Snapshot, StorageError,
    engine::{Applied, SNAPSHOT_ROWS},
    group::{self, Decided},
    meta::LAST_POSITION,
};

/// Ordered rows in memory.
#[derive(Default)]
pub(crate) struct Memory {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Vec<u8>, Bytes>,
    last: Position,
}

#[async_trait::async_trait]
impl Engine for Memory {
    async fn get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let state = self.state.read();
        Ok(keys.iter().map(|key| state.rows.get(key).cloned()).collect())
    }

    async fn scan(&self, range: RawRange) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        if is_empty(&range) {
            return Ok(Vec::new());
        }
        let state = self.state.read();
        let rows = state.rows.range((range.start, range.end)).map(|(key, value)| (key.clone(), value.clone()));
        Ok(if range.reversed { rows.rev().take(range.limit).collect() } else { rows.take(range.limit).collect() })
    }

    fn apply(&self, group: Vec<Batch>) -> BoxFuture<'_, Result<Vec<Applied>, StorageError>> {
        let applied = self.state.write().apply(group);
        Box::pin(std::future::ready(applied))
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        let rows = self.state.read().rows.clone();
        Ok(Box::new(Still { rows: rows.into_iter() }))
    }

    async fn load(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<(), StorageError> {
        let mut state = self.state.write();
        state.rows.extend(rows);
        let last = state.rows.get(&LAST_POSITION.encode_key(&()));
        state.last = Position(last.map_or(Ok(0), |bytes| LAST_POSITION.decode_value(bytes))?);
        Ok(())
    }

    async fn last_position(&self) -> Result<Position, StorageError> {
        Ok(self.state.read().last)
    }
}

/// A copy of the rows.
struct Still {
    rows: btree_map::IntoIter<Vec<u8>, Bytes>,
}

#[async_trait::async_trait]
impl Snapshot for Still {
    async fn next(&mut self) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        Ok(self.rows.by_ref().take(SNAPSHOT_ROWS).collect())
    }
}

impl State {
    fn apply(&mut self, group: Vec<Batch>) -> Result<Vec<Applied>, StorageError> {
        let Decided { applied, changes, last, .. } =
            group::decide(group, self.last, |key| Ok(self.rows.get(key).cloned()))?;
        self.last = last;
        for (key, change) in changes {
            match change.to {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
        Ok(applied)
    }
}

/// Whether a range cannot hold anything, which an ordered map refuses to be asked.
pub(crate) fn is_empty(range: &RawRange) -> bool {
    match (&range.start, &range.end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
    }
}
