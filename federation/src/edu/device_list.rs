//! `m.device_list_update`: a device of somebody on another server is new, changed or gone. When a change before it is
//! missing, the whole list is asked for.

use lyceum_accounts::{RemoteChange, RemoteDevice, RemoteDevices};
use lyceum_peers::calls::DeviceList;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::Hearing;
use crate::intake::Trouble;

/// A key or device as JSON.
type Object = Map<String, Value>;

/// Changes that one may say to follow; one that follows more is taken as if some were missing.
const PREV_MAX: usize = 100;

#[derive(Deserialize)]
pub(super) struct Update {
    user_id: OwnedUserId,
    device_id: String,
    device_display_name: Option<String>,
    stream_id: u64,
    prev_id: Option<Vec<u64>>,
    deleted: Option<bool>,
    keys: Option<Object>,
}

impl Hearing<'_> {
    pub(super) async fn device_list(self, content: Result<Update, Trouble>) -> Result<(), Trouble> {
        let Update { user_id: user, device_id, device_display_name, stream_id, prev_id, deleted, keys } = content?;
        self.check_own(&user)?;
        self.check_company(&user).await?;
        let prev_id = prev_id.filter(|prev| prev.len() <= PREV_MAX).unwrap_or_default();
        let deleted = deleted.unwrap_or_default();
        if prev_id.is_empty() && self.rooms.joined_rooms(&user).await?.is_empty() {
            // Somebody in a room of which part of the state is still to come: who is told of it then is to ask.
            self.accounts.note_remote_devices(&user).await?;
        }
        let device = RemoteDevice { id: device_id, keys, display_name: device_display_name };
        check_device(&user, &device)?;
        let change = RemoteChange { stream_id, prev_ids: prev_id, device, deleted };
        if self.accounts.take_remote_change(&user, change).await? {
            self.ask_for_devices(&user).await?;
        }
        Ok(())
    }

    /// Asks for all devices of somebody. If that fails they are asked for again when somebody wants to encrypt to them.
    async fn ask_for_devices(&self, user: &UserId) -> Result<(), Trouble> {
        let list = self.peers.user_devices(self.origin, user).await?;
        let told = told(user, list)?;
        self.accounts.keep_remote_devices(user, told).await?;
        Ok(())
    }
}

fn told(user: &UserId, list: DeviceList) -> Result<RemoteDevices, Trouble> {
    if list.user_id != user {
        return Err(Trouble::there("the devices of somebody else were told"));
    }
    let text = |device: &Object, name: &str| device.get(name).and_then(|value| value.as_str()).map(ToOwned::to_owned);
    let devices = list.devices.into_iter().filter_map(|mut device| {
        let (id, display_name) = (text(&device, "device_id")?, text(&device, "device_display_name"));
        let keys = match device.remove("keys") {
            Some(Value::Object(keys)) => Some(keys),
            _ => None,
        };
        let device = RemoteDevice { id, keys, display_name };
        check_device(user, &device).is_ok().then_some(device)
    });
    Ok(RemoteDevices {
        stream_id: list.stream_id,
        devices: devices.collect(),
        master_key: signing_key(user, list.master_key.as_deref())?,
        self_signing_key: signing_key(user, list.self_signing_key.as_deref())?,
    })
}

/// The keys of a device must say that they are this person's and this device's.
fn check_device(user: &UserId, device: &RemoteDevice) -> Result<(), Trouble> {
    let Some(keys) = &device.keys else { return Ok(()) };
    let says = |name: &str, value: &str| keys.get(name).and_then(|found| found.as_str()) == Some(value);
    let fits = says("user_id", user.as_str()) && says("device_id", &device.id);
    fits.then_some(()).ok_or_else(|| Trouble::there("the keys are of another device"))
}

/// A cross-signing key, which must say that it is this person's.
pub(super) fn signing_key(user: &UserId, key: Option<&RawValue>) -> Result<Option<Object>, Trouble> {
    let Some(key) = key else { return Ok(None) };
    let key: Object = serde_json::from_str(key.get())?;
    if key.get("user_id").and_then(|found| found.as_str()) != Some(user.as_str()) {
        return Err(Trouble::there("the signing key is of somebody else"));
    }
    Ok(Some(key))
}
