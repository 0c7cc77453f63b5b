//! What stood under the keys of the groups that are on their way, so that readers see it until each is durable.

use bytes::Bytes;
use sled::IVec;
use std::{
    collections::{BTreeMap, VecDeque, btree_map},
    iter::Peekable,
    ops::Bound,
};

use super::bytes_of;
use crate::{
    RawRange, StorageError,
    group::{Changes, Rows},
};

/// Rows as they were before one group.
pub(super) struct Before {
    rows: Rows,
}

type SledRow = sled::Result<(IVec, IVec)>;

impl Before {
    /// The rows as they were before all of `groups`.
    pub(super) fn all(groups: &VecDeque<Before>) -> Self {
        let mut rows = Rows::new();
        for group in groups.iter().rev() {
            rows.extend(group.rows.iter().map(|(key, row)| (key.clone(), row.clone())));
        }
        Self { rows }
    }

    /// Adds the rows after `from` that a later group changes, unless an earlier one did.
    pub(super) fn add(&mut self, later: &Before, from: &[u8]) {
        for (key, row) in later.rows.range::<[u8], _>((Bound::Excluded(from), Bound::Unbounded)) {
            if !self.rows.contains_key(key) {
                self.rows.insert(key.clone(), row.clone());
            }
        }
    }

    /// Forgets the rows up to `key`.
    pub(super) fn forget_through(&mut self, key: &[u8]) {
        self.rows = self.rows.split_off(key);
    }

    /// The rows as they are now under the keys that are about to be written.
    pub(super) fn of(
        changes: Changes,
        read: impl Fn(&[u8]) -> Result<Option<Bytes>, StorageError>,
    ) -> Result<Self, StorageError> {
        let rows = changes.into_iter().map(|(key, change)| {
            let row = match change.from {
                Some(row) => row,
                None => read(&key)?,
            };
            Ok((key, row))
        });
        Ok(Self { rows: rows.collect::<Result<_, StorageError>>()? })
    }
}

/// The row as it was before the oldest group that writes it. `None`: nobody is writing it.
pub(super) fn row(groups: &VecDeque<Before>, key: &[u8]) -> Option<Option<Bytes>> {
    groups.iter().find_map(|group| group.rows.get(key).cloned())
}

/// A page of what `now` walks through (in the direction of `range`), with the rows being written as they were.
pub(super) fn page<'a>(
    groups: impl DoubleEndedIterator<Item = &'a Before>,
    now: impl Iterator<Item = SledRow>,
    range: &RawRange,
) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
    let mut then = BTreeMap::new();
    for group in groups.rev() {
        then.extend(group.rows.range::<Vec<u8>, _>((range.start.as_ref(), range.end.as_ref())));
    }
    if then.is_empty() {
        return now.take(range.limit).map(|row| row.map(owned).map_err(StorageError::engine)).collect();
    }
    let mut page = Vec::new();
    let then = Then { rows: then.into_iter(), reversed: range.reversed };
    let mut merged = Merged { now: now.peekable(), then: then.peekable() };
    while page.len() < range.limit {
        let Some(row) = merged.next(range.reversed)? else { break };
        page.extend(row);
    }
    Ok(page)
}

fn owned((key, value): (IVec, IVec)) -> (Vec<u8>, Bytes) {
    (key.to_vec(), bytes_of(&value))
}

/// The kept rows of a range, in its direction.
struct Then<'a> {
    rows: btree_map::IntoIter<&'a Vec<u8>, &'a Option<Bytes>>,
    reversed: bool,
}

impl<'a> Iterator for Then<'a> {
    type Item = (&'a Vec<u8>, &'a Option<Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.reversed { self.rows.next_back() } else { self.rows.next() }
    }
}

/// Two ordered walks as one; where both have a key, the kept row counts.
struct Merged<'a, I: Iterator<Item = SledRow>> {
    now: Peekable<I>,
    then: Peekable<Then<'a>>,
}

impl<I: Iterator<Item = SledRow>> Merged<'_, I> {
    /// The next step: `None` at the end, `Some(None)` for a key that had no row.
    #[expect(clippy::type_complexity, reason = "an iterator step that may yield nothing, used once above")]
    fn next(&mut self, reversed: bool) -> Result<Option<Option<(Vec<u8>, Bytes)>>, StorageError> {
        let now = match self.now.peek() {
            Some(Err(error)) => return Err(StorageError::engine(error)),
            Some(Ok((key, _))) => Some(key),
            None => None,
        };
        let order = match (now, self.then.peek()) {
            (None, None) => return Ok(None),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(now), Some((then, _))) => {
                let order = now.as_ref().cmp(then.as_slice());
                if reversed { order.reverse() } else { order }
            }
        };
        if order.is_le() {
            let row = self.now.next().transpose().map_err(StorageError::engine)?;
            if order.is_lt() {
                return Ok(Some(row.map(owned)));
            }
        }
        let kept = self.then.next();
        Ok(Some(kept.and_then(|(key, row)| Some((key.clone(), row.clone()?)))))
    }
}
