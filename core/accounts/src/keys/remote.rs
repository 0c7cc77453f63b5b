//! Devices and keys of people on other servers, as their servers told us: kept while somebody here shares a room with
//! them, so that encrypting to them asks nobody.

use lyceum_storage::{Batch, Position};
use ruma::UserId;
use serde_json::Value;
use std::collections::BTreeMap;

use super::{MASTER, Object, SELF_SIGNING};
use crate::{
    Accounts,
    error::Result,
    tables::{CROSS_SIGNING_KEYS, DEVICE_KEYS, HEARD_CHANGES, HeardChangesRow, REMOTE_LISTS, RemoteListRow},
};

/// Devices kept of one remote person at most.
const REMOTE_DEVICES_MAX: usize = 2_000;

/// Changes of one remote person that are remembered after their list was told. What follows an older one makes the list be
/// asked for.
const HEARD_MAX: usize = 100;

/// A remote device.
#[derive(Debug, Clone)]
pub struct RemoteDevice {
    /// Its id.
    pub id: String,
    /// Its keys; a device without encryption has none.
    pub keys: Option<Object>,
    /// What its owner calls it.
    pub display_name: Option<String>,
}

/// All of a remote person's devices.
#[derive(Debug, Clone, Default)]
pub struct RemoteDevices {
    /// Which change of theirs this is.
    pub stream_id: u64,
    /// The devices.
    pub devices: Vec<RemoteDevice>,
    /// The master key.
    pub master_key: Option<Object>,
    /// The self-signing key.
    pub self_signing_key: Option<Object>,
}

/// One change, as `m.device_list_update` tells it.
#[derive(Debug, Clone)]
pub struct RemoteChange {
    /// Which change.
    pub stream_id: u64,
    /// The changes it follows.
    pub prev_ids: Vec<u64>,
    /// The device; `None` for keys that mean it is gone.
    pub device: RemoteDevice,
    /// Whether the device is gone.
    pub deleted: bool,
}

impl Accounts {
    /// Since when what is kept of a remote person's devices is right, as far as their server has told of every change: it
    /// does so only for as long as a room is shared.
    pub async fn remote_devices_told_at(&self, user: &UserId) -> Result<Option<Position>> {
        let row = self.store().get(&REMOTE_LISTS, user.as_str()).await?;
        Ok(row.filter(|row| !row.stale).map(|row| Position(row.told_at)))
    }

    /// Notes that somebody here was told a remote person's keys without their list being kept: whatever their server says
    /// of it from now on is news.
    pub async fn note_remote_devices_asked(&self, user: &UserId) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        if self.store().get(&REMOTE_LISTS, user.as_str()).await?.is_none() {
            let mut batch = Batch::new();
            batch.put(&REMOTE_LISTS, user.as_str(), &RemoteListRow::never_told(0));
            self.store().commit(batch).await?;
        }
        Ok(())
    }

    /// Keeps a remote person's devices, all of them, as their server just told.
    pub async fn keep_remote_devices(&self, user: &UserId, told: RemoteDevices) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let known = self.store().get(&REMOTE_LISTS, user.as_str()).await?;
        // The answer was on its way when a change came.
        let overtaken_by = known.as_ref().filter(|known| known.stale && told.stream_id < known.stream_id);
        let (is_overtaken, stream_id) =
            (overtaken_by.is_some(), overtaken_by.map_or(told.stream_id, |by| by.stream_id));
        let mut batch = Batch::new();
        let differs = self.add_remote_list(&mut batch, user, told).await?;
        batch.delete(&HEARD_CHANGES, user.as_str());
        let name = user.to_string();
        batch.at_position(move |position, writes| {
            let row = RemoteListRow { stream_id, stale: is_overtaken, told_at: position.0 };
            writes.put(&REMOTE_LISTS, &name, &row);
        });
        // The first time nobody here has seen other keys: whoever asked is being answered, unless with what is old. And of
        // a list that is stale people heard when it became so.
        let was_told = known.as_ref().is_some_and(RemoteListRow::is_told);
        let was_relied_on = was_told && known.is_some_and(|known| !known.stale);
        if (is_overtaken && !was_told) || (was_relied_on && differs) {
            self.add_device_list_change(&mut batch, user).await?;
        }
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Takes one change. Answers whether the whole list must be asked for, because a change before this one is missing.
    pub async fn take_remote_change(&self, user: &UserId, change: RemoteChange) -> Result<bool> {
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        let Some(known) = self.store().get(&REMOTE_LISTS, user.as_str()).await? else {
            // Nobody here has asked for these devices. The first unit of a series introduces somebody who came into a room,
            // of which those in it have heard by that; one that follows others is news to them.
            batch.put(&REMOTE_LISTS, user.as_str(), &RemoteListRow::never_told(change.stream_id));
            if !change.prev_ids.is_empty() {
                self.add_device_list_change(&mut batch, user).await?;
            }
            self.store().commit(batch).await?;
            return Ok(false);
        };
        let was_told = known.is_told();
        let mut heard = self.heard_changes(user, &known).await?;
        if heard.has(change.stream_id) && !(known.stale && was_told) {
            // Some servers count nothing and mean by a unit that follows none that the list is to be looked at.
            return Ok(was_told && change.prev_ids.is_empty());
        }
        // One that follows nothing says nothing of what came before it; and one that was overtaken may be old.
        let is_next = !change.prev_ids.is_empty() && change.prev_ids.iter().all(|prev| heard.has(*prev));
        let follows = !known.stale && is_next && change.stream_id > known.stream_id;
        if follows {
            heard.note(change.stream_id);
            batch.put(&HEARD_CHANGES, user.as_str(), &heard);
            if change.deleted {
                batch.delete(&DEVICE_KEYS, (user.as_str(), change.device.id.as_str()));
            } else {
                add_remote_device(&mut batch, user, &change.device);
            }
        }
        let stream_id = change.stream_id.max(known.stream_id);
        batch.put(&REMOTE_LISTS, user.as_str(), &RemoteListRow { stream_id, stale: !follows, told_at: known.told_at });
        self.add_device_list_change(&mut batch, user).await?;
        self.store().commit(batch).await?;
        // What nobody has asked for yet is asked for when somebody does.
        Ok(!follows && was_told)
    }

    /// Which changes have been heard of. All up to the last one, when none came since the list was told.
    async fn heard_changes(&self, user: &UserId, known: &RemoteListRow) -> Result<HeardChangesRow> {
        let row = self.store().get(&HEARD_CHANGES, user.as_str()).await?;
        Ok(row.unwrap_or(HeardChangesRow { told: known.stream_id, since: Vec::new() }))
    }

    /// Takes a remote person's new cross-signing keys (`m.signing_key_update`). The same ones again are no news.
    pub async fn take_remote_signing_keys(
        &self,
        user: &UserId,
        master: Option<Object>,
        self_signing: Option<Object>,
    ) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        for (usage, key) in [(MASTER, master), (SELF_SIGNING, self_signing)] {
            let Some(key) = key else { continue };
            if self.cross_signing_key(user, usage).await?.as_ref() != Some(&key) {
                batch.put(&CROSS_SIGNING_KEYS, (user.as_str(), usage), &Value::Object(key).to_string());
            }
        }
        if !batch.is_empty() {
            self.add_device_list_change(&mut batch, user).await?;
            self.store().commit(batch).await?;
        }
        Ok(())
    }

    /// Adds a whole list in the place of what is kept. Answers whether it is another one.
    async fn add_remote_list(&self, batch: &mut Batch, user: &UserId, told: RemoteDevices) -> Result<bool> {
        let scan = DEVICE_KEYS.prefix((user.as_str(),)).limit(usize::MAX);
        let kept = self.store().scan(&DEVICE_KEYS, scan).await?;
        let kept: BTreeMap<_, _> = kept.into_iter().map(|((_, device), keys)| (device, keys)).collect();
        let devices = told.devices.into_iter().take(REMOTE_DEVICES_MAX);
        let devices: BTreeMap<_, _> =
            devices.filter_map(|device| Some((device.id.clone(), shown_keys(&device)?))).collect();
        for gone in kept.keys().filter(|device| !devices.contains_key(*device)) {
            batch.delete(&DEVICE_KEYS, (user.as_str(), gone));
        }
        for (device, keys) in devices.iter().filter(|(device, keys)| kept.get(*device) != Some(keys)) {
            batch.put(&DEVICE_KEYS, (user.as_str(), device), keys);
        }
        let mut differs = kept != devices;
        for (usage, key) in [(MASTER, told.master_key), (SELF_SIGNING, told.self_signing_key)] {
            differs |= self.cross_signing_key(user, usage).await? != key;
            match key {
                Some(key) => batch.put(&CROSS_SIGNING_KEYS, (user.as_str(), usage), &Value::Object(key).to_string()),
                None => batch.delete(&CROSS_SIGNING_KEYS, (user.as_str(), usage)),
            };
        }
        Ok(differs)
    }
}

impl RemoteListRow {
    /// Of somebody whose whole list nobody has asked for.
    fn never_told(stream_id: u64) -> Self {
        Self { stream_id, stale: true, told_at: 0 }
    }

    fn is_told(&self) -> bool {
        self.told_at > 0
    }
}

impl HeardChangesRow {
    /// Spec, "Device Management": the list is to be asked for when a `prev_id` is not recognised.
    fn has(&self, change: u64) -> bool {
        change <= self.told || self.since.contains(&change)
    }

    fn note(&mut self, change: u64) {
        self.since.push(change);
        let surplus = self.since.len().saturating_sub(HEARD_MAX);
        self.since.drain(..surplus);
    }
}

fn add_remote_device(batch: &mut Batch, user: &UserId, device: &RemoteDevice) {
    let key = (user.as_str(), device.id.as_str());
    match shown_keys(device) {
        Some(keys) => batch.put(&DEVICE_KEYS, key, &keys),
        None => batch.delete(&DEVICE_KEYS, key),
    };
}

/// The keys of a device as clients are shown them.
fn shown_keys(device: &RemoteDevice) -> Option<String> {
    let mut keys = device.keys.clone()?;
    if let Some(name) = &device.display_name {
        keys.insert("unsigned".into(), serde_json::json!({ "device_display_name": name }));
    }
    Some(Value::Object(keys).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::user_id;
    use serde_json::json;

    fn ben() -> &'static UserId {
        user_id!("@ben:elsewhere")
    }

    fn device(name: &str) -> RemoteDevice {
        let keys = json!({ "user_id": ben(), "device_id": "A" }).as_object().cloned();
        RemoteDevice { id: "A".into(), keys, display_name: Some(name.into()) }
    }

    fn change(stream_id: u64, prev_ids: &[u64]) -> RemoteChange {
        RemoteChange { stream_id, prev_ids: prev_ids.to_vec(), device: device("phone"), deleted: false }
    }

    fn list(stream_id: u64, name: &str) -> RemoteDevices {
        RemoteDevices { stream_id, devices: vec![device(name)], ..RemoteDevices::default() }
    }

    /// Whether people hear of a change since the last look.
    struct Ears(Accounts, Position);

    impl Ears {
        async fn hear(&mut self) -> bool {
            let (from, to) = (self.1, self.0.store().committed());
            self.1 = to;
            !self.0.device_changes(from, to).await.unwrap().is_empty()
        }
    }

    async fn ears() -> (Accounts, Ears) {
        let accounts = Fixture::with_people(&[]).await.accounts;
        let committed = accounts.store().committed();
        (accounts.clone(), Ears(accounts, committed))
    }

    #[tokio::test]
    async fn who_is_introduced_is_no_news_and_what_follows_is() {
        let (accounts, mut ears) = ears().await;
        assert!(!accounts.take_remote_change(ben(), change(5, &[])).await.unwrap());
        assert!(!ears.hear().await);
        assert!(!accounts.take_remote_change(ben(), change(5, &[])).await.unwrap(), "nobody has asked yet");
        assert!(!ears.hear().await);
        assert!(!accounts.take_remote_change(ben(), change(6, &[5])).await.unwrap());
        assert!(ears.hear().await);
        assert_eq!(accounts.remote_devices_told_at(ben()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_list_told_again_is_news_only_where_it_differs() {
        let (accounts, mut ears) = ears().await;
        accounts.keep_remote_devices(ben(), list(5, "phone")).await.unwrap();
        accounts.keep_remote_devices(ben(), list(5, "phone")).await.unwrap();
        assert!(!ears.hear().await);
        accounts.keep_remote_devices(ben(), list(6, "my phone")).await.unwrap();
        assert!(ears.hear().await);
        // A unit that follows nothing is a word to look, not news.
        assert!(accounts.take_remote_change(ben(), change(1, &[])).await.unwrap());
        assert!(!accounts.take_remote_change(ben(), change(1, &[0])).await.unwrap());
        assert!(!ears.hear().await);
        // After a gap people hear once, when it is noticed.
        assert!(accounts.take_remote_change(ben(), change(9, &[8])).await.unwrap());
        assert!(ears.hear().await);
        accounts.keep_remote_devices(ben(), list(9, "phone")).await.unwrap();
        assert!(!ears.hear().await);
        assert!(accounts.remote_devices_told_at(ben()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_list_is_asked_for_when_a_change_follows_one_that_was_not_heard() {
        let (accounts, _) = ears().await;
        accounts.keep_remote_devices(ben(), list(5, "phone")).await.unwrap();
        let asks =
            async |stream_id, prev: &[u64]| accounts.take_remote_change(ben(), change(stream_id, prev)).await.unwrap();
        assert!(!asks(8, &[3]).await, "what the list was told with is known");
        assert!(!asks(9, &[8]).await);
        assert!(!asks(8, &[3]).await, "nor is it news again");
        // Two were made at once, of which only one came.
        assert!(asks(12, &[9, 7]).await);
        accounts.keep_remote_devices(ben(), list(12, "phone")).await.unwrap();
        assert!(!asks(15, &[12]).await);
        assert!(asks(14, &[12]).await, "one that was overtaken may say what is old");
        accounts.keep_remote_devices(ben(), list(15, "phone")).await.unwrap();
        assert!(!asks(16, &[14]).await, "the list holds it by now");
    }

    #[tokio::test]
    async fn an_answer_overtaken_by_a_change_is_not_relied_on() {
        let (accounts, mut ears) = ears().await;
        accounts.take_remote_change(ben(), change(6, &[5])).await.unwrap();
        ears.hear().await;
        accounts.keep_remote_devices(ben(), list(5, "phone")).await.unwrap();
        assert!(ears.hear().await, "who asked got what is old");
        accounts.keep_remote_devices(ben(), list(5, "phone")).await.unwrap();
        assert!(!ears.hear().await, "and need not ask for ever of a server that counts otherwise");
        assert_eq!(accounts.remote_devices_told_at(ben()).await.unwrap(), None);
        accounts.keep_remote_devices(ben(), list(6, "phone")).await.unwrap();
        assert!(accounts.remote_devices_told_at(ben()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_same_signing_keys_are_no_news_and_keys_told_without_a_list_make_all_that_follows_news() {
        let (accounts, mut ears) = ears().await;
        let key = json!({ "user_id": ben() }).as_object().cloned();
        for is_news in [true, false] {
            accounts.take_remote_signing_keys(ben(), key.clone(), None).await.unwrap();
            assert_eq!(ears.hear().await, is_news);
        }
        accounts.note_remote_devices_asked(ben()).await.unwrap();
        accounts.take_remote_change(ben(), change(5, &[])).await.unwrap();
        assert!(ears.hear().await);
    }
}
