//! Looking keys up: for a person's clients, and for other servers.

use ruma::{DeviceId, OwnedUserId, UserId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::{MASTER, Object, SELF_SIGNING, USER_SIGNING, object, signing::only_key};
use crate::{
    Accounts,
    error::Result,
    tables::{DEVICE_KEYS, DEVICES},
};

/// Keys that were asked for.
#[derive(Debug, Clone, Default)]
pub struct QueriedKeys {
    /// Identity keys by person and device.
    pub device_keys: BTreeMap<OwnedUserId, BTreeMap<String, Object>>,
    /// Master keys.
    pub master_keys: BTreeMap<OwnedUserId, Object>,
    /// Self-signing keys.
    pub self_signing_keys: BTreeMap<OwnedUserId, Object>,
    /// The asking person's own user-signing key.
    pub user_signing_keys: BTreeMap<OwnedUserId, Object>,
}

/// Everything other servers are told of a person's devices.
#[derive(Debug, Clone)]
pub struct UserDevices {
    /// The last change.
    pub stream_id: u64,
    /// The devices: id, keys where there are any, name.
    pub devices: Vec<(String, Option<Object>, Option<String>)>,
    /// The master key.
    pub master_key: Option<Object>,
    /// The self-signing key.
    pub self_signing_key: Option<Object>,
}

impl Accounts {
    /// Looks up the keys that are stored here of `user`: of the devices named, or of all when none is. `viewer` is who
    /// asks: a local person, or `None` for another server.
    pub async fn query_keys(
        &self,
        viewer: Option<&UserId>,
        user: &UserId,
        devices: &[impl AsRef<DeviceId>],
        into: &mut QueriedKeys,
    ) -> Result<()> {
        let mut found = BTreeMap::new();
        for (device, keys) in self.stored_device_keys(user, devices).await? {
            let mut keys = self.with_signatures(keys, user, &device, viewer).await?;
            if self.is_local(user) {
                let row = self.store().get(&DEVICES, (user.as_str(), &device)).await?;
                let name = row.and_then(|row| row.display_name);
                // There also when it has nothing to say: some clients read it without looking.
                keys.insert("unsigned".into(), name.map_or(json!({}), |name| json!({ "device_display_name": name })));
            }
            found.insert(device, keys);
        }
        into.device_keys.insert(user.to_owned(), found);
        if let Some(key) = self.shown_cross_signing_key(viewer, user, MASTER).await? {
            into.master_keys.insert(user.to_owned(), key);
        }
        if let Some(key) = self.shown_cross_signing_key(viewer, user, SELF_SIGNING).await? {
            into.self_signing_keys.insert(user.to_owned(), key);
        }
        if viewer == Some(user)
            && let Some(key) = self.shown_cross_signing_key(viewer, user, USER_SIGNING).await?
        {
            into.user_signing_keys.insert(user.to_owned(), key);
        }
        Ok(())
    }

    async fn stored_device_keys(
        &self,
        user: &UserId,
        devices: &[impl AsRef<DeviceId>],
    ) -> Result<Vec<(String, Object)>> {
        if devices.is_empty() {
            let rows = self.store().scan(&DEVICE_KEYS, DEVICE_KEYS.prefix((user.as_str(),)).limit(usize::MAX)).await?;
            return Ok(rows.into_iter().map(|((_, device), json)| (device, object(&json))).collect());
        }
        let keys = devices.iter().map(|device| (user.as_str(), device.as_ref().as_str()));
        let rows = self.store().get_many(&DEVICE_KEYS, keys).await?;
        let found =
            devices.iter().zip(rows).filter_map(|(device, json)| Some((device.as_ref().to_string(), object(&json?))));
        Ok(found.collect())
    }

    async fn shown_cross_signing_key(
        &self,
        viewer: Option<&UserId>,
        user: &UserId,
        usage: &str,
    ) -> Result<Option<Object>> {
        let Some(key) = self.cross_signing_key(user, usage).await? else { return Ok(None) };
        let Some(public) = only_key(&key).map(|(_, public)| public.to_owned()) else { return Ok(Some(key)) };
        self.with_signatures(key, user, &public, viewer).await.map(Some)
    }

    /// Everything other servers are told of a local person's devices.
    pub async fn user_devices(&self, user: &UserId) -> Result<UserDevices> {
        let mut queried = QueriedKeys::default();
        let none: [&DeviceId; 0] = [];
        self.query_keys(None, user, &none, &mut queried).await?;
        let mut keys = queried.device_keys.remove(user).unwrap_or_default();
        let stream_id = self.device_stream_id(user).await?.unwrap_or_default();
        let devices = self.devices(user).await?.into_iter();
        let mut devices: Vec<_> = devices
            .map(|device| (device.id.to_string(), keys.remove(device.id.as_str()), device.display_name))
            .collect();
        // Keys of a device that is no session, such as a dehydrated one.
        devices.extend(keys.into_iter().map(|(device, keys)| {
            let name = keys.get("unsigned").and_then(|unsigned| unsigned.get("device_display_name"));
            let name = name.and_then(Value::as_str).map(ToOwned::to_owned);
            (device, Some(keys), name)
        }));
        Ok(UserDevices {
            stream_id,
            devices,
            master_key: queried.master_keys.remove(user),
            self_signing_key: queried.self_signing_keys.remove(user),
        })
    }
}
