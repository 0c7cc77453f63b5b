//! Typed tables: a name that is the key prefix, an order-preserving key, a postcard value.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, ops::Bound};

use crate::{Key, RawRange, StorageError, ToKey};

/// Rows a scan returns unless it says otherwise.
const PAGE_ROWS: usize = 1000;

/// A table of the store. Declared once as a constant in its owner's `tables.rs`.
pub struct Table<K, V> {
    name: &'static str,
    about: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// A table named `name` (its key prefix, unique in the whole server), with who writes it, who reads it, and what
    /// bounds its growth.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, types: PhantomData }
    }

    /// The name, which is also the key prefix.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Who writes it, who reads it, what bounds its growth.
    pub const fn about(&self) -> &'static str {
        self.about
    }

    fn key_prefix(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.name.len() + 64);
        out.extend(self.name.as_bytes());
        out.push(0);
        out
    }

    fn encode_with_prefix(&self, key: &impl ToKey) -> Vec<u8> {
        let mut out = self.key_prefix();
        key.encode(&mut out);
        out
    }
}

impl<K: Key, V> Table<K, V> {
    pub(crate) fn encode_key(&self, key: &K::Borrowed<'_>) -> Vec<u8> {
        self.encode_with_prefix(key)
    }

    fn decode_key(&self, bytes: &[u8]) -> Result<K, StorageError> {
        let mut input = bytes.get(self.name.len() + 1..).unwrap_or_default();
        K::decode(&mut input)
            .filter(|_| input.is_empty())
            .ok_or(StorageError::Corrupt { table: self.name, detail: "a key of another form".into() })
    }

    /// All rows.
    pub fn all(&self) -> Scan<K, V> {
        self.under(self.key_prefix())
    }

    /// The rows whose key begins with the given parts: `prefix(("!room",))` for a `(String, u64)` key.
    pub fn prefix(&self, parts: impl ToKey) -> Scan<K, V> {
        self.under(self.encode_with_prefix(&parts))
    }

    fn under(&self, prefix: Vec<u8>) -> Scan<K, V> {
        let end = successor(&prefix);
        Scan {
            range: RawRange { start: Bound::Included(prefix), end, reversed: false, limit: PAGE_ROWS },
            types: PhantomData,
        }
    }
}

impl<K, V: Serialize + DeserializeOwned> Table<K, V> {
    pub(crate) fn encode_value(&self, value: &V) -> Bytes {
        // Serialising plain data into memory has no failing case: a type that postcard cannot write (one without a
        // known length) fails at its first use in any test.
        postcard::to_stdvec(value).map(Bytes::from).unwrap_or_else(|error| {
            unreachable!("table {} has a value type that postcard cannot write: {error}", self.name)
        })
    }

    pub(crate) fn decode_value(&self, bytes: &[u8]) -> Result<V, StorageError> {
        postcard::from_bytes(bytes)
            .map_err(|error| StorageError::Corrupt { table: self.name, detail: error.to_string().into() })
    }
}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    pub(crate) fn decode_row(&self, key: &[u8], value: &[u8]) -> Result<(K, V), StorageError> {
        Ok((self.decode_key(key)?, self.decode_value(value)?))
    }
}

/// Where the keys that begin with `prefix` end.
fn successor(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// A bounded page of a table, to be narrowed and then given to [`crate::Store::scan`].
pub struct Scan<K, V> {
    pub(crate) range: RawRange,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V> Scan<K, V> {
    /// Only keys from `key` on.
    #[must_use]
    pub fn from(mut self, table: &Table<K, V>, key: K::Borrowed<'_>) -> Self {
        self.range.start = Bound::Included(table.encode_key(&key));
        self
    }

    /// Only keys after `key`.
    #[must_use]
    pub fn after(mut self, table: &Table<K, V>, key: K::Borrowed<'_>) -> Self {
        self.range.start = Bound::Excluded(table.encode_key(&key));
        self
    }

    /// Only keys up to and including `key`.
    #[must_use]
    pub fn through(mut self, table: &Table<K, V>, key: K::Borrowed<'_>) -> Self {
        self.range.end = Bound::Included(table.encode_key(&key));
        self
    }

    /// Only keys before `key`.
    #[must_use]
    pub fn before(mut self, table: &Table<K, V>, key: K::Borrowed<'_>) -> Self {
        self.range.end = Bound::Excluded(table.encode_key(&key));
        self
    }

    /// At most `rows` rows (default 1000).
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.range.limit = rows;
        self
    }

    /// From the last key to the first.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.range.reversed = true;
        self
    }
}
