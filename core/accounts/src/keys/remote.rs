//! Devices and keys of people on other servers, as their servers told us: kept while somebody here shares a room with
//! them, so that encrypting to them asks nobody.

use lyceum_storage::{Batch, Position};
use ruma::UserId;
use serde_json::Value;

use super::{MASTER, Object, SELF_SIGNING};
use crate::{
    Accounts,
    error::Result,
    tables::{CROSS_SIGNING_KEYS, DEVICE_KEYS, REMOTE_LISTS, RemoteListRow},
};

/// Devices kept of one remote person at most.
const REMOTE_DEVICES_MAX: usize = 2_000;

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

    /// Keeps a remote person's devices, all of them, as their server just told.
    pub async fn keep_remote_devices(&self, user: &UserId, told: RemoteDevices) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        let before = self.add_remote_removal(&mut batch, user).await?;
        for device in told.devices.iter().take(REMOTE_DEVICES_MAX) {
            add_remote_device(&mut batch, user, device);
        }
        for (usage, key) in [(MASTER, &told.master_key), (SELF_SIGNING, &told.self_signing_key)] {
            if let Some(key) = key {
                batch.put(&CROSS_SIGNING_KEYS, (user.as_str(), usage), &Value::Object(key.clone()).to_string());
            }
        }
        let (name, stream_id) = (user.to_string(), told.stream_id);
        batch.at_position(move |position, writes| {
            let row = RemoteListRow { stream_id, stale: false, told_at: position.0 };
            writes.put(&REMOTE_LISTS, &name, &row);
        });
        // The first time nobody here has seen other keys: whoever asked is being answered.
        if before {
            self.add_device_list_change(&mut batch, user).await?;
        }
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Takes one change. Answers whether the whole list must be asked for, because a change before this one is missing.
    pub async fn take_remote_change(&self, user: &UserId, change: RemoteChange) -> Result<bool> {
        let _guard = self.lock(user.as_str()).await;
        let Some(known) = self.store().get(&REMOTE_LISTS, user.as_str()).await? else {
            // Nobody here asked for these devices yet; who shares a room is told that they changed.
            let mut batch = Batch::new();
            self.add_device_list_change(&mut batch, user).await?;
            self.store().commit(batch).await?;
            return Ok(false);
        };
        if change.stream_id <= known.stream_id && !known.stale {
            return Ok(false);
        }
        // One that follows nothing says nothing of what came before it.
        let is_next = !change.prev_ids.is_empty() && change.prev_ids.iter().all(|prev| *prev <= known.stream_id);
        let follows = !known.stale && is_next;
        let mut batch = Batch::new();
        if follows {
            if change.deleted {
                batch.delete(&DEVICE_KEYS, (user.as_str(), change.device.id.as_str()));
            } else {
                add_remote_device(&mut batch, user, &change.device);
            }
        }
        let after = RemoteListRow { stream_id: change.stream_id, stale: !follows, told_at: known.told_at };
        batch.put(&REMOTE_LISTS, user.as_str(), &after);
        self.add_device_list_change(&mut batch, user).await?;
        self.store().commit(batch).await?;
        Ok(!follows)
    }

    /// Takes a remote person's new cross-signing keys (`m.signing_key_update`).
    pub async fn take_remote_signing_keys(
        &self,
        user: &UserId,
        master: Option<Object>,
        self_signing: Option<Object>,
    ) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        for (usage, key) in [(MASTER, master), (SELF_SIGNING, self_signing)] {
            if let Some(key) = key {
                batch.put(&CROSS_SIGNING_KEYS, (user.as_str(), usage), &Value::Object(key).to_string());
            }
        }
        self.add_device_list_change(&mut batch, user).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Adds the removal of everything kept; answers whether there was a list.
    async fn add_remote_removal(&self, batch: &mut Batch, user: &UserId) -> Result<bool> {
        let scan = DEVICE_KEYS.prefix((user.as_str(),)).limit(usize::MAX);
        for ((user, device), _) in self.store().scan(&DEVICE_KEYS, scan).await? {
            batch.delete(&DEVICE_KEYS, (&user, &device));
        }
        for usage in [MASTER, SELF_SIGNING] {
            batch.delete(&CROSS_SIGNING_KEYS, (user.as_str(), usage));
        }
        Ok(self.store().get(&REMOTE_LISTS, user.as_str()).await?.is_some())
    }
}

fn add_remote_device(batch: &mut Batch, user: &UserId, device: &RemoteDevice) {
    let key = (user.as_str(), device.id.as_str());
    let Some(mut keys) = device.keys.clone() else {
        batch.delete(&DEVICE_KEYS, key);
        return;
    };
    if let Some(name) = &device.display_name {
        keys.insert("unsigned".into(), serde_json::json!({ "device_display_name": name }));
    }
    batch.put(&DEVICE_KEYS, key, &Value::Object(keys).to_string());
}
