//! A snapshot of the files: read page by page while writing goes on, each row as it was at the beginning.
//!
//! sled keeps no old versions. So, from the beginning of the snapshot on, what every group changes is kept aside for the part
//! of the keys that has not been read yet.

use bytes::Bytes;
use parking_lot::RwLock;
use std::{ops::Bound, sync::Arc};

use super::{Before, State, before};
use crate::{RawRange, Snapshot, StorageError, engine::SNAPSHOT_ROWS};

/// What changed since the snapshot began, beyond what has been read.
pub(super) struct Still {
    before: Before,
    /// The last key read. Begins with the empty key, which no row has.
    read: Vec<u8>,
}

impl Still {
    pub(super) fn keep(&mut self, later: &Before) {
        self.before.add(later, &self.read);
    }
}

/// The reader of the snapshot.
pub(super) struct Walk {
    state: Arc<RwLock<State>>,
}

impl Walk {
    pub(super) fn begin(state: Arc<RwLock<State>>) -> Result<Self, StorageError> {
        {
            let mut state = state.write();
            state.db()?;
            if state.still.is_some() {
                return Err(StorageError::engine("another backup is being made"));
            }
            state.still = Some(Still { before: Before::all(&state.before), read: Vec::new() });
        }
        Ok(Self { state })
    }

    fn page(&self) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        let state = self.state.read();
        let Some(still) = &state.still else { return Ok(Vec::new()) };
        let (start, end) = (Bound::Excluded(still.read.clone()), Bound::Unbounded);
        let range = RawRange { start, end, reversed: false, limit: SNAPSHOT_ROWS };
        let rows = state.db()?.range((range.start.clone(), range.end.clone()));
        before::page(std::iter::once(&still.before), rows, &range)
    }
}

#[async_trait::async_trait]
impl Snapshot for Walk {
    async fn next(&mut self) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        let page = self.page()?;
        let mut state = self.state.write();
        if let (Some((last, _)), Some(still)) = (page.last(), &mut state.still) {
            still.before.forget_through(last);
            still.read.clone_from(last);
        }
        Ok(page)
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.state.write().still = None;
    }
}
