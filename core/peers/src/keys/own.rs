//! This server's own keys: the record of those it had, and the document in which they are published.

use lyceum_events::{Clock, EventError, ServerKey};
use lyceum_storage::{Batch, Store};
use parking_lot::Mutex;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, ServerName};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

use super::document::{PublicKey, encoded};
use crate::{error::StartError, tables::OWN_KEYS};

/// How long a published document says it holds. Its signature is renewed when half of that is over.
const VALID_FOR: Duration = Duration::from_secs(24 * 3600);

/// A key this server has or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnKey {
    public: PublicKey,
    first_used_ms: u64,
    /// When another key took its place.
    retired_ms: Option<u64>,
}

/// This server's keys.
pub(crate) struct OwnKeys {
    key: ServerKey,
    clock: Arc<dyn Clock>,
    retired: Vec<(String, PublicKey, u64)>,
    published: Mutex<Option<(u64, CanonicalJsonObject)>>,
}

impl OwnKeys {
    /// Takes note of the key in use. Every other key this server had is retired from now on: that is all there is to
    /// rotation beside putting a new key in place.
    pub(crate) async fn start(store: &Store, key: ServerKey, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let now = u64::from(clock.now().get());
        let mut known = store.scan(&OWN_KEYS, OWN_KEYS.all()).await?;
        let mut batch = Batch::new();
        for (id, own) in known.iter_mut().filter(|(id, _)| *id != key.id()) {
            if own.retired_ms.is_none() {
                own.retired_ms = Some(now);
                batch.put(&OWN_KEYS, id, own);
            }
        }
        match known.iter_mut().find(|(id, _)| *id == key.id()) {
            Some((id, own)) if own.public != key.public_key() => return Err(StartError::KeyNameTaken(id.clone())),
            // Back in use, as after a restored backup.
            Some((id, own)) if own.retired_ms.is_some() => {
                own.retired_ms = None;
                batch.put(&OWN_KEYS, id, own);
            }
            Some(_) => {}
            None => {
                let own = OwnKey { public: key.public_key(), first_used_ms: now, retired_ms: None };
                batch.put(&OWN_KEYS, &key.id(), &own);
            }
        }
        if !batch.is_empty() {
            store.commit(batch).await?;
        }
        let retired = known.into_iter().filter_map(|(id, own)| Some((id, own.public, own.retired_ms?))).collect();
        Ok(Self { key, clock, retired, published: Mutex::default() })
    }

    pub(crate) fn server(&self) -> &ServerName {
        self.key.server()
    }

    /// A key by its name, with when it ended.
    pub(crate) fn get(&self, id: &str) -> Option<(PublicKey, Option<u64>)> {
        if id == self.key.id() {
            return Some((self.key.public_key(), None));
        }
        self.retired.iter().find(|(one, ..)| one == id).map(|(_, key, ended)| (*key, Some(*ended)))
    }

    /// All keys this server has and had, by their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (String, PublicKey)> {
        let retired = self.retired.iter().map(|(id, key, _)| (id.clone(), *key));
        std::iter::once((self.key.id(), self.key.public_key())).chain(retired)
    }

    /// The signed document.
    pub(crate) fn document(&self) -> Result<CanonicalJsonObject, EventError> {
        let now = u64::from(self.clock.now().get());
        let valid_for = u64::try_from(VALID_FOR.as_millis()).unwrap_or(u64::MAX);
        let mut published = self.published.lock();
        if let Some((_, document)) = published.as_ref().filter(|(until, _)| *until > now + valid_for / 2) {
            return Ok(document.clone());
        }
        let until = now + valid_for;
        let document = self.sign(until)?;
        *published = Some((until, document.clone()));
        Ok(document)
    }

    fn sign(&self, valid_until_ms: u64) -> Result<CanonicalJsonObject, EventError> {
        let time = |ms: u64| CanonicalJsonValue::Integer(js_int(ms));
        let entry = |key: &PublicKey| CanonicalJsonObject::from([("key".to_owned(), encoded(key).into())]);
        let current = CanonicalJsonObject::from([(self.key.id(), entry(&self.key.public_key()).into())]);
        let old: CanonicalJsonObject = self
            .retired
            .iter()
            .map(|(id, key, ended)| {
                let mut entry = entry(key);
                entry.insert("expired_ts".to_owned(), time(*ended));
                (id.clone(), entry.into())
            })
            .collect();
        let mut document = CanonicalJsonObject::from([
            ("server_name".to_owned(), self.key.server().as_str().into()),
            ("verify_keys".to_owned(), current.into()),
            ("old_verify_keys".to_owned(), old.into()),
            ("valid_until_ts".to_owned(), time(valid_until_ms)),
        ]);
        self.key.sign_json(&mut document)?;
        Ok(document)
    }

    /// Adds this server's signature to another server's document.
    pub(crate) fn witness(&self, document: &mut CanonicalJsonObject) -> Result<(), EventError> {
        self.key.sign_json(document)
    }
}

fn js_int(ms: u64) -> ruma::Int {
    ruma::Int::new_saturating(i64::try_from(ms).unwrap_or(i64::MAX))
}
