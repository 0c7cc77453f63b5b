//! One-time keys: each is given out once, ever, in the order of upload; after them the fallback key, as often as needed.
//!
//! A key that was given out leaves its name behind: a device whose upload was answered too late sends the key again, and
//! must not get it given out a second time.

use lyceum_storage::{Batch, CommitError, Subject};
use parking_lot::Mutex;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{KEY_BYTES_MAX, Object};
use crate::{
    AccountError, Accounts,
    cached::ReadAt,
    error::Result,
    secret::hash,
    tables::{FALLBACK_KEYS, FallbackRow, KEY_NAMES, KeyNameRow, ONE_TIME_KEYS},
};

/// One-time keys a device may have waiting, of one algorithm.
const WAITING_MAX: usize = 20_000;

/// The longest name of a key, algorithm included.
const NAME_BYTES_MAX: usize = 255;

/// Keys looked at for one that nobody else is taking at this moment.
const CANDIDATES: usize = 64;

/// How a commit says that a person's one-time keys changed.
pub(crate) const ONE_TIME_SUBJECT: &str = "one-time-keys/";

/// How many one-time keys there are, by algorithm.
pub type KeyCounts = BTreeMap<String, u64>;

/// Keys that were claimed: by user and device, the key's name and its JSON.
pub type Claimed = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, (String, Value)>>;

/// What a device has left.
#[derive(Debug, Default, Clone)]
pub(crate) struct Left {
    counts: KeyCounts,
    unused_fallback: Vec<String>,
}

/// A one-time key's place.
type Place = (String, String, String, u64, String);

/// Places being claimed at this moment in this process.
#[derive(Default)]
pub(crate) struct Taking(Mutex<HashSet<Place>>);

/// A place being claimed, until dropped.
struct Taken<'a>(&'a Taking, Place);

impl Taking {
    fn take(&self, place: Place) -> Option<Taken<'_>> {
        let is_free = self.0.lock().insert(place.clone());
        // Only made when it is free: dropping one frees the place.
        is_free.then(|| Taken(self, place))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

impl Accounts {
    /// Adds one-time keys. A name that is there already must come with the same key.
    pub(crate) async fn add_one_time_keys(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
        keys: &Object,
    ) -> Result<()> {
        let mut new = Vec::new();
        for (name, key) in keys {
            let (algorithm, json) = checked_key(name, key)?;
            let row = (user.as_str(), device.as_str(), name.as_str());
            let digest = hash(&json).to_vec();
            match self.store().get(&KEY_NAMES, row).await? {
                Some(known) if known.digest == digest => {}
                Some(_) => {
                    return Err(AccountError::InvalidParam(format!(
                        "One time key {name} already exists with another value"
                    )));
                }
                None => {
                    batch.expect(&KEY_NAMES, row, None).put(&KEY_NAMES, row, &KeyNameRow { digest });
                    new.push((algorithm.to_owned(), name.clone(), json));
                }
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let counts = self.one_time_key_counts(user, device).await?;
        if counts.values().sum::<u64>() + new.len() as u64 > WAITING_MAX as u64 {
            return Err(AccountError::TooMany("one-time keys"));
        }
        let (user_name, device_name) = (user.to_string(), device.to_string());
        batch.at_position(move |position, writes| {
            for (algorithm, name, json) in &new {
                writes.put(&ONE_TIME_KEYS, (&user_name, &device_name, algorithm, position.0, name), json);
            }
        });
        touch(batch, user);
        Ok(())
    }

    /// Sets the fallback keys, one for each algorithm.
    pub(crate) async fn add_fallback_keys(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
        keys: &Object,
    ) -> Result<()> {
        let mut algorithms = HashSet::new();
        for (name, key) in keys {
            let (algorithm, json) = checked_key(name, key)?;
            if !algorithms.insert(algorithm) {
                return Err(AccountError::InvalidParam("there can be one fallback key for each algorithm".into()));
            }
            let row = (user.as_str(), device.as_str(), algorithm);
            let known = self.store().get(&FALLBACK_KEYS, row).await?;
            // The same key again, by a device that missed the answer, stays used if it was.
            if known.is_some_and(|known| known.name == *name && known.json == json) {
                continue;
            }
            batch.put(&FALLBACK_KEYS, row, &FallbackRow { name: name.clone(), json, used: false });
            touch(batch, user);
        }
        Ok(())
    }

    /// How many one-time keys a device has, by algorithm.
    pub async fn one_time_key_counts(&self, user: &UserId, device: &DeviceId) -> Result<KeyCounts> {
        Ok(self.keys_left(user, device).await?.counts.clone())
    }

    /// The algorithms whose fallback key was not given out yet.
    pub async fn unused_fallback_key_types(&self, user: &UserId, device: &DeviceId) -> Result<Vec<String>> {
        Ok(self.keys_left(user, device).await?.unused_fallback.clone())
    }

    /// What a device has left. From memory unless its owner's keys changed.
    async fn keys_left(&self, user: &UserId, device: &DeviceId) -> Result<Arc<Left>> {
        let key = (user.to_owned(), device.to_owned());
        let changed = self.changed().one_time_keys.at(user.as_str());
        if let Some(read) = self.keys_left_cache().get(&key)
            && changed <= read.at
        {
            return Ok(read.value);
        }
        let at = self.store().committed();
        let rows = (user.as_str(), device.as_str());
        let mut left = Left::default();
        let scan = ONE_TIME_KEYS.prefix(rows).limit(WAITING_MAX + 1);
        for ((_, _, algorithm, _, _), _) in self.store().scan(&ONE_TIME_KEYS, scan).await? {
            *left.counts.entry(algorithm).or_default() += 1;
        }
        for ((_, _, algorithm), row) in self.store().scan(&FALLBACK_KEYS, FALLBACK_KEYS.prefix(rows)).await? {
            if !row.used {
                left.unused_fallback.push(algorithm);
            }
        }
        let left = Arc::new(left);
        self.keys_left_cache().insert(key, ReadAt { at, value: left.clone() });
        Ok(left)
    }

    /// Claims one key of the wanted algorithm for each device. Devices that have none are left out.
    pub async fn claim_keys(&self, wanted: &BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>) -> Result<Claimed> {
        let mut claimed = Claimed::new();
        for (user, devices) in wanted {
            for (device, algorithm) in devices {
                if let Some(key) = self.claim_key(user, device, algorithm).await? {
                    claimed.entry(user.clone()).or_default().insert(device.clone(), key);
                }
            }
        }
        Ok(claimed)
    }

    async fn claim_key(&self, user: &UserId, device: &DeviceId, algorithm: &str) -> Result<Option<(String, Value)>> {
        loop {
            let scan = ONE_TIME_KEYS.prefix((user.as_str(), device.as_str(), algorithm)).limit(CANDIDATES);
            let rows = self.store().scan(&ONE_TIME_KEYS, scan).await?;
            if rows.is_empty() {
                return self.use_fallback(user, device, algorithm).await;
            }
            let free = rows.into_iter().find_map(|(place, json)| Some((self.taking().take(place)?, json)));
            let Some((taken, json)) = free else {
                // All those in sight are being taken; the next commit frees the view.
                tokio::task::yield_now().await;
                continue;
            };
            let (user_name, device_name, algorithm, order, name) = &taken.1;
            let key = (user_name.as_str(), device_name.as_str(), algorithm.as_str(), *order, name.as_str());
            let mut batch = Batch::new();
            batch.expect(&ONE_TIME_KEYS, key, Some(&json)).delete(&ONE_TIME_KEYS, key);
            touch(&mut batch, user);
            match self.store().commit(batch).await {
                Ok(_) => return Ok(Some((name.clone(), serde_json::from_str(&json).unwrap_or_default()))),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn use_fallback(&self, user: &UserId, device: &DeviceId, algorithm: &str) -> Result<Option<(String, Value)>> {
        let key = (user.as_str(), device.as_str(), algorithm);
        let Some(row) = self.store().get(&FALLBACK_KEYS, key).await? else { return Ok(None) };
        if !row.used {
            let mut batch = Batch::new();
            batch.expect(&FALLBACK_KEYS, key, Some(&row));
            batch.put(&FALLBACK_KEYS, key, &FallbackRow { used: true, ..row.clone() });
            touch(&mut batch, user);
            match self.store().commit(batch).await {
                // Somebody else marked it, or it was replaced: what was read was the key a moment ago.
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some((row.name, serde_json::from_str(&row.json).unwrap_or_default())))
    }

    /// Adds to `batch` that a device's one-time and fallback keys go.
    pub(crate) async fn add_one_time_keys_removal(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<()> {
        let rows = (user.as_str(), device.as_str());
        let scan = ONE_TIME_KEYS.prefix(rows).limit(usize::MAX);
        for ((user, device, algorithm, order, name), _) in self.store().scan(&ONE_TIME_KEYS, scan).await? {
            batch.delete(&ONE_TIME_KEYS, (&user, &device, &algorithm, order, &name));
        }
        for ((user, device, name), _) in self.store().scan(&KEY_NAMES, KEY_NAMES.prefix(rows).limit(usize::MAX)).await?
        {
            batch.delete(&KEY_NAMES, (&user, &device, &name));
        }
        for ((user, device, algorithm), _) in self.store().scan(&FALLBACK_KEYS, FALLBACK_KEYS.prefix(rows)).await? {
            batch.delete(&FALLBACK_KEYS, (&user, &device, &algorithm));
        }
        touch(batch, user);
        Ok(())
    }
}

fn touch(batch: &mut Batch, user: &UserId) {
    batch.touch(Subject::user(user)).touch(Subject::other(format!("{ONE_TIME_SUBJECT}{user}")));
}

/// The algorithm of a key's name, and the key as it is stored.
fn checked_key<'a>(name: &'a str, key: &Value) -> Result<(&'a str, String)> {
    let parts = name.split_once(':').filter(|(algorithm, id)| !algorithm.is_empty() && !id.is_empty());
    let Some((algorithm, _)) = parts.filter(|_| name.len() <= NAME_BYTES_MAX) else {
        return Err(AccountError::InvalidParam("a key's name is <algorithm>:<id>, of at most 255 bytes".into()));
    };
    if !key.is_string() && !key.is_object() {
        return Err(AccountError::BadJson(format!("the key {name} must be a string or an object")));
    }
    let json = key.to_string();
    if json.len() > KEY_BYTES_MAX {
        return Err(AccountError::TooLarge("a one-time key"));
    }
    Ok((algorithm, json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeysUpload, testing::Fixture};
    use ruma::{device_id, user_id};
    use serde_json::json;

    fn keys(range: std::ops::Range<u32>) -> Object {
        range.map(|n| (format!("signed_curve25519:{n:05}"), json!({ "key": n }))).collect()
    }

    fn wanted() -> BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>> {
        let device = BTreeMap::from([(device_id!("PHONE").to_owned(), "signed_curve25519".to_owned())]);
        BTreeMap::from([(user_id!("@anna:test").to_owned(), device)])
    }

    async fn upload(fixture: &Fixture, one_time_keys: Object, fallback_keys: Object) -> Result<KeyCounts> {
        let upload = KeysUpload { device_keys: None, one_time_keys, fallback_keys };
        fixture.accounts.upload_keys(user_id!("@anna:test"), device_id!("PHONE"), upload).await
    }

    #[tokio::test]
    async fn each_key_is_given_once_also_to_many_at_once() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let counts = upload(&fixture, keys(0..200), Object::new()).await.unwrap();
        assert_eq!(counts, KeyCounts::from([("signed_curve25519".into(), 200)]));
        let claims = (0..16).map(|_| {
            let accounts = fixture.accounts.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                while let Some(devices) = accounts.claim_keys(&wanted()).await.unwrap().pop_first() {
                    got.extend(devices.1.into_values().map(|(name, _)| name));
                }
                got
            })
        });
        let mut got = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            got.extend(claim.await.unwrap());
        }
        got.sort();
        assert_eq!(got, keys(0..200).keys().cloned().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_key_sent_again_counts_once_and_is_not_given_again() {
        let fixture = Fixture::with_people(&["anna"]).await;
        upload(&fixture, keys(0..2), Object::new()).await.unwrap();
        assert_eq!(upload(&fixture, keys(0..3), Object::new()).await.unwrap()["signed_curve25519"], 3);
        for _ in 0..3 {
            assert!(!fixture.accounts.claim_keys(&wanted()).await.unwrap().is_empty());
        }
        assert!(upload(&fixture, keys(0..3), Object::new()).await.unwrap().is_empty());
        assert!(fixture.accounts.claim_keys(&wanted()).await.unwrap().is_empty());
        let other = Object::from_iter([("signed_curve25519:00001".to_owned(), json!({ "key": "other" }))]);
        assert!(matches!(upload(&fixture, other, Object::new()).await, Err(AccountError::InvalidParam(_))));
    }

    #[tokio::test]
    async fn the_fallback_key_follows_and_is_told_as_used() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna, phone) = (&fixture.accounts, user_id!("@anna:test"), device_id!("PHONE"));
        upload(&fixture, keys(0..1), keys(9..10)).await.unwrap();
        assert_eq!(accounts.unused_fallback_key_types(anna, phone).await.unwrap(), ["signed_curve25519"]);
        let names = async || accounts.claim_keys(&wanted()).await.unwrap()[anna][phone].0.clone();
        assert_eq!(names().await, "signed_curve25519:00000");
        assert_eq!(names().await, "signed_curve25519:00009");
        assert_eq!(names().await, "signed_curve25519:00009");
        assert!(accounts.unused_fallback_key_types(anna, phone).await.unwrap().is_empty());
        upload(&fixture, Object::new(), keys(10..11)).await.unwrap();
        assert_eq!(accounts.unused_fallback_key_types(anna, phone).await.unwrap(), ["signed_curve25519"]);
    }

    #[tokio::test]
    async fn names_and_shapes_that_cannot_be_are_refused_whole() {
        let fixture = Fixture::with_people(&["anna"]).await;
        for (name, key) in [("nocolon", json!("k")), (":id", json!("k")), ("a:", json!("k")), ("a:b", json!(5))] {
            let mut bad = keys(0..1);
            bad.insert(name.to_owned(), key);
            assert!(upload(&fixture, bad, Object::new()).await.is_err(), "{name}");
        }
        assert!(upload(&fixture, Object::new(), keys(0..2)).await.is_err());
        assert!(upload(&fixture, Object::new(), Object::new()).await.unwrap().is_empty());
    }
}
