//! State groups: every state a room has been in, by number, stored as skip deltas.
//!
//! Each group has a depth, the number of groups on its chain. The group at depth `d` stores its difference to the group
//! at depth `d & (d - 1)` of its chain (to nothing, when that is 0). So any state is read in at most log2(d) rows, and a
//! chain of n changes is stored in at most n log2(n) changes. A fork starts at whichever group it forked from; a resolved
//! state is a group over one of the states it was resolved from.

use lyceum_storage::{StorageError, Store};
use ruma::{OwnedEventId, events::StateEventType};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};

use crate::{Change, Membership, Result, RoomError, RoomState, tables::STATE_GROUPS};

/// A group as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredGroup {
    /// How many groups its chain has, this one included.
    depth: u32,
    /// The group that this one is a difference to; `None`: to nothing.
    base: Option<u64>,
    /// The differences.
    changes: Vec<StoredChange>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredChange {
    kind: String,
    state_key: String,
    to: Option<(String, Option<Membership>)>,
}

/// One level of a chain: a group and its difference to the level below.
#[derive(Debug, Clone)]
struct Level {
    group: u64,
    depth: u32,
    changes: Arc<[Change]>,
}

/// A chain of groups ending in one state, from which the next group can be made without reading anything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    /// By increasing depth; each level is the difference to the one before it.
    levels: Vec<Level>,
}

impl Chain {
    /// Adds a group that differs from the end of the chain by `changes`. The row to store is returned.
    pub(crate) fn push(&mut self, group: u64, changes: Vec<Change>) -> StoredGroup {
        let depth = self.levels.last().map_or(0, |level| level.depth) + 1;
        let base_depth = depth & (depth - 1);
        let keep = self.levels.iter().take_while(|level| level.depth <= base_depth).count();
        let merged = merge(self.levels.drain(keep..).map(|level| level.changes), changes);
        let stored = StoredGroup {
            depth,
            base: self.levels.last().map(|level| level.group),
            changes: merged.iter().map(StoredChange::from).collect(),
        };
        self.levels.push(Level { group, depth, changes: merged.into() });
        stored
    }
}

/// The later of two changes to one place wins.
fn merge(earlier: impl Iterator<Item = Arc<[Change]>>, later: Vec<Change>) -> Vec<Change> {
    let mut earlier = earlier.peekable();
    if earlier.peek().is_none() {
        return later;
    }
    let mut at = HashMap::new();
    let mut merged: Vec<Change> = Vec::new();
    for change in earlier.flat_map(|changes| changes.to_vec()).chain(later) {
        match at.get(&change.key) {
            Some(&index) => {
                let place: &mut Change = &mut merged[index];
                *place = change;
            }
            None => {
                at.insert(change.key.clone(), merged.len());
                merged.push(change);
            }
        }
    }
    merged
}

/// Reads a chain and the state at its end.
pub(crate) async fn load(store: &Store, room: &str, group: u64) -> Result<(Chain, RoomState)> {
    let mut rows = Vec::new();
    let mut next = Some(group);
    while let Some(group) = next {
        let row = store.get(&STATE_GROUPS, (room, group)).await?;
        let row = row.ok_or_else(|| RoomError::Damaged(format!("state group {group} of {room} is missing")))?;
        next = row.base;
        rows.push((group, row));
    }
    let (mut chain, mut state) = (Chain::default(), RoomState::default());
    for (group, row) in rows.into_iter().rev() {
        let changes = row.changes.into_iter().map(Change::try_from).collect::<Result<Vec<_>, _>>()?;
        for change in &changes {
            state.apply(change);
        }
        chain.levels.push(Level { group, depth: row.depth, changes: changes.into() });
    }
    Ok((chain, state))
}

impl From<&Change> for StoredChange {
    fn from(change: &Change) -> Self {
        let (kind, state_key) = &change.key;
        let to = change.to.as_ref().map(|(id, membership)| (id.to_string(), *membership));
        Self { kind: kind.to_string(), state_key: state_key.clone(), to }
    }
}

impl TryFrom<StoredChange> for Change {
    type Error = RoomError;

    fn try_from(stored: StoredChange) -> Result<Self> {
        let parse = |(id, membership): (String, _)| Ok::<_, StorageError>((parse_event_id(id)?, membership));
        let to = stored.to.map(parse).transpose()?;
        Ok(Self { key: (StateEventType::from(stored.kind), stored.state_key), to })
    }
}

/// An event id that was stored as one.
pub(crate) fn parse_event_id(id: String) -> Result<OwnedEventId, StorageError> {
    OwnedEventId::try_from(id)
        .map_err(|error| StorageError::Corrupt { table: "r", detail: format!("not an event id: {error}").into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lyceum_storage::Batch;
    use proptest::prelude::*;

    fn change(n: u32) -> Change {
        let id = OwnedEventId::try_from(format!("$e{n}")).unwrap();
        Change { key: (StateEventType::from("k"), (n % 7).to_string()), to: Some((id, None)) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_group_is_read_back_as_it_was(length in 1_u64..70, fork_at in 0_u64..70, tail in 0_u64..20) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let store = Store::memory().await.unwrap();
                let (mut chain, mut state, mut seen) = (Chain::default(), RoomState::default(), Vec::new());
                let mut fork = None;
                let mut batch = Batch::new();
                for group in 0..length {
                    let change = change(group as u32);
                    state.apply(&change);
                    batch.put(&STATE_GROUPS, ("!r", group), &chain.push(group, vec![change]));
                    seen.push((group, state.clone()));
                    if group == fork_at.min(length - 1) {
                        fork = Some((chain.clone(), state.clone()));
                    }
                }
                let (mut chain, mut state) = fork.unwrap();
                for group in length..length + tail {
                    let change = change(group as u32 + 1000);
                    state.apply(&change);
                    batch.put(&STATE_GROUPS, ("!r", group), &chain.push(group, vec![change]));
                    seen.push((group, state.clone()));
                }
                store.commit(batch).await.unwrap();
                for (group, state) in seen {
                    let (loaded, read) = load(&store, "!r", group).await.unwrap();
                    assert!(state.changes_to(&read).is_empty(), "group {group}");
                    assert!(read.changes_to(&state).is_empty(), "group {group}");
                    assert!(loaded.levels.len() <= 8);
                }
            });
        }
    }
}
