//! Walking over everything, for `lyceum check` and for whoever wonders what takes the space.

use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, ops::Bound};

use crate::{Key, RawRange, StorageError, Store, Table};

/// Rows looked at in one go.
const WALK_ROWS: usize = 1000;

/// Broken rows described at most.
const BROKEN_MAX: usize = 100;

/// How much a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// The table's name. Keys that belong to no table are counted under the empty name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// Bytes of keys and values, without what the engine adds.
    pub bytes: u64,
}

/// What a table's rows turned out to be.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// How many rows were read.
    pub rows: u64,
    /// How many of them do not have the form the table says.
    pub broken: u64,
    /// The first of those, described.
    pub examples: Vec<String>,
}

impl Store {
    /// How much each table holds, by name.
    pub async fn survey(&self) -> Result<Vec<TableSize>, StorageError> {
        let mut tables: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
        let mut after = Vec::new();
        loop {
            let page = self.raw_page(Bound::Excluded(after), Bound::Unbounded).await?;
            for (key, value) in &page {
                let name = key.iter().position(|byte| *byte == 0).map_or(&[][..], |end| &key[..end]);
                let size = tables.entry(name.to_vec()).or_default();
                *size = (size.0 + 1, size.1 + (key.len() + value.len()) as u64);
            }
            let Some((last, _)) = page.into_iter().next_back() else { break };
            after = last;
        }
        let named = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
        Ok(tables.into_iter().map(|(name, (rows, bytes))| TableSize { name: named(name), rows, bytes }).collect())
    }

    /// Reads every row of a table, gives the good ones to `look`, which may object to them, and counts the bad ones.
    pub async fn verify<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        mut look: impl FnMut(K, V) -> Result<(), String>,
    ) -> Result<Verified, StorageError> {
        let mut verified = Verified::default();
        let RawRange { mut start, end, .. } = table.all().range;
        loop {
            let page = self.raw_page(start, end.clone()).await?;
            for (key, value) in &page {
                verified.rows += 1;
                let row = table.decode_row(key, value).map_err(|error| error.to_string());
                if let Err(why) = row.and_then(|(key, value)| look(key, value)) {
                    verified.broken += 1;
                    if verified.examples.len() < BROKEN_MAX {
                        verified.examples.push(format!("{}: {why}", key.escape_ascii()));
                    }
                }
            }
            let Some((last, _)) = page.into_iter().next_back() else { return Ok(verified) };
            start = Bound::Excluded(last);
        }
    }

    async fn raw_page(
        &self,
        start: Bound<Vec<u8>>,
        end: Bound<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, bytes::Bytes)>, StorageError> {
        self.engine().scan(RawRange { start, end, reversed: false, limit: WALK_ROWS }).await
    }
}
