//! Knowing whether something read earlier is still true, without reading again.

use lyceum_storage::Position;
use parking_lot::RwLock;
use std::{collections::HashMap, sync::Arc};

/// When each key (a user, mostly) last changed. What did not change since the server started is said to have changed at
/// its start. Bounded by how many keys change in a process's life.
#[derive(Default)]
pub(crate) struct ChangedAt {
    start: Position,
    by_key: RwLock<HashMap<Arc<str>, Position>>,
}

impl ChangedAt {
    pub(crate) fn since(start: Position) -> Self {
        Self { start, by_key: RwLock::default() }
    }

    /// Notes a commit about `key`.
    pub(crate) fn note(&self, key: &str, position: Position) {
        let mut by_key = self.by_key.write();
        match by_key.get_mut(key) {
            Some(last) => *last = position,
            None => {
                by_key.insert(key.into(), position);
            }
        }
    }

    /// The last commit about `key`.
    pub(crate) fn at(&self, key: &str) -> Position {
        self.by_key.read().get(key).copied().unwrap_or(self.start)
    }
}

/// Something read from the store, with how far the store was then: true as long as nothing about its key changed since.
#[derive(Clone)]
pub(crate) struct ReadAt<T> {
    pub(crate) at: Position,
    pub(crate) value: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_changed_counts_from_the_start() {
        let changed = ChangedAt::since(Position(7));
        changed.note("@a:b", Position(9));
        assert_eq!((changed.at("@a:b"), changed.at("@c:d")), (Position(9), Position(7)));
    }
}
