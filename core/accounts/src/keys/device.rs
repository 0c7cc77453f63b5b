//! What a device publishes: its identity keys, and with them one-time and fallback keys.

use lyceum_storage::Batch;
use ruma::{DeviceId, UserId};
use serde_json::Value;

use super::{KEY_BYTES_MAX, Object, check_canonical, one_time::KeyCounts};
use crate::{
    AccountError, Accounts,
    device_changes::Changed,
    error::Result,
    tables::{DEVICE_KEYS, SIGNATURES},
};

/// What a device uploads at once.
#[derive(Debug, Default)]
pub struct KeysUpload {
    /// Its identity keys.
    pub device_keys: Option<Object>,
    /// One-time keys by `algorithm:id`.
    pub one_time_keys: Object,
    /// Fallback keys by `algorithm:id`.
    pub fallback_keys: Object,
}

impl Accounts {
    /// Publishes a device's keys, all of them or none. Answers how many one-time keys there are now.
    pub async fn upload_keys(&self, user: &UserId, device: &DeviceId, upload: KeysUpload) -> Result<KeyCounts> {
        let device_keys = upload.device_keys.map(|keys| checked_device_keys(user, device, keys)).transpose()?;
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        if let Some(keys) = device_keys {
            self.add_device_keys(&mut batch, user, device, &keys).await?;
        }
        self.add_one_time_keys(&mut batch, user, device, &upload.one_time_keys).await?;
        self.add_fallback_keys(&mut batch, user, device, &upload.fallback_keys).await?;
        if !batch.is_empty() {
            self.store().commit(batch).await?;
        }
        self.one_time_key_counts(user, device).await
    }

    /// Adds a device's identity keys; the same ones again change nothing and tell nobody.
    pub(crate) async fn add_device_keys(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
        keys: &Object,
    ) -> Result<()> {
        let key = (user.as_str(), device.as_str());
        let json = Value::Object(keys.clone()).to_string();
        let before = self.store().get(&DEVICE_KEYS, key).await?;
        if before.as_ref() == Some(&json) {
            return Ok(());
        }
        batch.expect(&DEVICE_KEYS, key, before.as_ref()).put(&DEVICE_KEYS, key, &json);
        self.add_device_change(batch, user, Changed::Device(device.as_str())).await
    }

    /// Adds to `batch` that a device's keys go, and what was signed of them.
    pub(crate) async fn add_device_keys_removal(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<()> {
        let key = (user.as_str(), device.as_str());
        for ((owner, device, signer, by), _) in self.store().scan(&SIGNATURES, SIGNATURES.prefix(key)).await? {
            batch.delete(&SIGNATURES, (&owner, &device, &signer, &by));
        }
        if self.store().get(&DEVICE_KEYS, key).await?.is_some() {
            batch.delete(&DEVICE_KEYS, key);
        }
        self.add_device_change(batch, user, Changed::Device(device.as_str())).await
    }
}

/// Refuses what cannot be this device's keys (spec: "DeviceKeys").
pub(crate) fn checked_device_keys(user: &UserId, device: &DeviceId, mut keys: Object) -> Result<Object> {
    let bad = |what: &str| AccountError::BadJson(format!("device_keys: {what}"));
    let text = |name: &str| keys.get(name).and_then(Value::as_str);
    if text("user_id").ok_or_else(|| bad("user_id is missing"))? != user.as_str() {
        return Err(AccountError::InvalidParam("the keys are of another user".into()));
    }
    if text("device_id").ok_or_else(|| bad("device_id is missing"))? != device.as_str() {
        return Err(AccountError::InvalidParam("the keys are of another device".into()));
    }
    let algorithms = keys.get("algorithms").and_then(Value::as_array);
    if !algorithms.is_some_and(|algorithms| algorithms.iter().all(Value::is_string)) {
        return Err(bad("algorithms must be a list of strings"));
    }
    let of_strings = |value: &Value| value.as_object().is_some_and(|object| object.values().all(Value::is_string));
    if !keys.get("keys").is_some_and(of_strings) {
        return Err(bad("keys must be an object of strings"));
    }
    let signatures = keys.get("signatures").and_then(Value::as_object);
    if !signatures.is_some_and(|signatures| signatures.values().all(of_strings)) {
        return Err(bad("signatures must be an object of objects of strings"));
    }
    keys.remove("unsigned");
    check_canonical(&keys)?;
    if serde_json::to_string(&keys).map_or(usize::MAX, |json| json.len()) > KEY_BYTES_MAX {
        return Err(AccountError::TooLarge("device_keys"));
    }
    Ok(keys)
}
