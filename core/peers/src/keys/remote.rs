//! What is known of another server's keys, and how new documents are taken in. Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::document::{KeyDocument, PublicKey};

/// No document holds longer than this after it was fetched, whatever it says (spec, "Publishing Keys").
const HELD_MAX_MS: u64 = 7 * 24 * 3600 * 1000;

/// Keys of one server that are kept; of more, those that ended first are dropped.
pub(crate) const KEYS_OF_SERVER_MAX: usize = 500;

/// Who told of a server's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// The server they belong to, just now.
    Itself,
    /// Another, from its memory.
    Another,
}

/// One key of another server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteKey {
    pub(crate) public: PublicKey,
    /// Until when it holds; of an old key, when it ended.
    pub(crate) valid_until_ms: u64,
    /// Whether the server still signs with it.
    pub(crate) is_current: bool,
}

/// Everything known of another server's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteKeys {
    pub(crate) keys: BTreeMap<String, RemoteKey>,
    /// The newest document, as the server signed it.
    pub(crate) document: Box<str>,
    /// Until when that holds by its own word.
    pub(crate) document_valid_until_ms: u64,
    pub(crate) fetched_ms: u64,
}

impl RemoteKeys {
    /// Takes a document in that was fetched now. What the server itself says is the newest there is; of what others
    /// remember, an older one than the newest adds only keys that were not known. A key never changes under its name.
    pub(crate) fn take(&mut self, document: &KeyDocument, by: ToldBy, now_ms: u64) {
        let held_max = now_ms.saturating_add(HELD_MAX_MS);
        let is_newest = by == ToldBy::Itself || document.valid_until_ms >= self.document_valid_until_ms;
        let current = document.current.iter().map(|(id, public)| {
            let valid_until_ms = document.valid_until_ms.min(held_max);
            (id, RemoteKey { public: *public, valid_until_ms, is_current: true })
        });
        let old = document.old.iter().map(|(id, (public, ended))| {
            (id, RemoteKey { public: *public, valid_until_ms: *ended, is_current: false })
        });
        for (id, key) in current.chain(old) {
            match self.keys.get_mut(id) {
                Some(known) if known.public != key.public || !is_newest => {}
                Some(known) => *known = key,
                None => drop(self.keys.insert(id.clone(), key)),
            }
        }
        while self.keys.len() > KEYS_OF_SERVER_MAX {
            let first = self.keys.iter().min_by_key(|(_, key)| (key.is_current, key.valid_until_ms));
            let Some(id) = first.map(|(id, _)| id.clone()) else { break };
            self.keys.remove(&id);
        }
        if is_newest {
            self.document = serde_json::to_string(&document.object).unwrap_or_default().into();
            self.document_valid_until_ms = document.valid_until_ms;
            self.fetched_ms = now_ms;
        }
    }

    /// The key of this name if it held at the time.
    pub(crate) fn valid_at(&self, id: &str, at_ms: u64) -> Option<PublicKey> {
        self.keys.get(id).filter(|key| key.valid_until_ms >= at_ms).map(|key| key.public)
    }

    /// The key of this name if the server signs with it now.
    pub(crate) fn in_use(&self, id: &str, now_ms: u64) -> Option<PublicKey> {
        self.keys.get(id).filter(|key| key.is_current && key.valid_until_ms >= now_ms).map(|key| key.public)
    }

    /// The key of this name, whenever it held.
    pub(crate) fn ever(&self, id: &str) -> Option<PublicKey> {
        self.keys.get(id).map(|key| key.public)
    }

    /// Whether more than half of the time is over for which the newest document holds here, so that it should be fetched again.
    pub(crate) fn is_ageing(&self, now_ms: u64) -> bool {
        let held = self.document_valid_until_ms.saturating_sub(self.fetched_ms).min(HELD_MAX_MS);
        now_ms > self.fetched_ms.saturating_add(held / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ToldBy::{Another, Itself},
        *,
    };
    use ruma::{CanonicalJsonObject, owned_server_name};

    const WEEK_MS: u64 = 7 * 24 * 3600 * 1000;

    fn document(current: &[(&str, u8)], old: &[(&str, u8, u64)], valid_until_ms: u64) -> KeyDocument {
        KeyDocument {
            server: owned_server_name!("a"),
            current: current.iter().map(|(id, byte)| ((*id).to_owned(), [*byte; 32])).collect(),
            old: old.iter().map(|(id, byte, ended)| ((*id).to_owned(), ([*byte; 32], *ended))).collect(),
            valid_until_ms,
            object: CanonicalJsonObject::new(),
        }
    }

    #[test]
    fn validity_is_cut_to_a_week_and_rotation_ends_a_key() {
        let mut keys = RemoteKeys::default();
        keys.take(&document(&[("1", 1)], &[], u64::MAX), Itself, 1000);
        assert!(keys.valid_at("1", 1000 + WEEK_MS).is_some() && keys.valid_at("1", 1001 + WEEK_MS).is_none());
        assert!(keys.ever("1").is_some() && keys.in_use("1", 1000).is_some());
        keys.take(&document(&[("2", 2)], &[("1", 1, 5000)], u64::MAX), Itself, 6000);
        assert!(keys.in_use("1", 4000).is_none(), "an old key signs no requests");
        assert!(keys.valid_at("1", 5000).is_some() && keys.valid_at("1", 5001).is_none());
        assert!(keys.in_use("2", 6000).is_some());
    }

    #[test]
    fn what_others_remember_changes_nothing_that_is_newer_and_keys_keep_their_names() {
        let mut keys = RemoteKeys::default();
        keys.take(&document(&[("1", 1)], &[], 10_000), Itself, 1000);
        keys.take(&document(&[("1", 9), ("3", 3)], &[], 20_000), Another, 1000);
        assert_eq!(keys.ever("1"), Some([1; 32]));
        keys.take(&document(&[("2", 2)], &[("3", 3, 1)], 5_000), Another, 2000);
        assert!(keys.valid_at("3", 20_000).is_some() && keys.ever("2").is_some());
        assert_eq!(keys.fetched_ms, 1000);
        assert!(!keys.is_ageing(1000) && keys.is_ageing(15_000));
    }

    #[test]
    fn what_the_server_itself_says_holds_even_if_it_said_more_before() {
        let mut keys = RemoteKeys::default();
        let far = 100 * WEEK_MS;
        keys.take(&document(&[("1", 1)], &[], far), Itself, 1000);
        assert!(!keys.is_ageing(1000 + WEEK_MS / 3) && keys.is_ageing(1001 + WEEK_MS / 2), "it holds for a week here");
        keys.take(&document(&[("1", 1)], &[], 2 * WEEK_MS), Itself, 1000 + WEEK_MS);
        assert!(keys.in_use("1", 1001 + WEEK_MS).is_some(), "its clock may have been wrong");
    }
}
