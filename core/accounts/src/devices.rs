//! Devices as their owners see them: names, and when each was last seen.

use lyceum_storage::Batch;
use ruma::{DeviceId, OwnedDeviceId, UserId};
use std::net::IpAddr;

use crate::{
    AccountError, Accounts, Session,
    device_changes::Changed,
    error::Result,
    sign_in::check_device_name,
    tables::{DEVICES, DeviceRow, LAST_SEEN, LastSeenRow},
};

/// When a device was seen is written down this often at most.
const LAST_SEEN_EVERY_MS: u64 = 10 * 60_000;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: OwnedDeviceId,
    /// What its owner calls it.
    pub display_name: Option<String>,
    /// When it signed in first.
    pub created_ms: u64,
    /// When it was last seen.
    pub last_seen_ms: Option<u64>,
    /// From where.
    pub last_seen_ip: Option<String>,
    /// As what.
    pub user_agent: Option<String>,
}

impl Device {
    fn new(id: OwnedDeviceId, row: DeviceRow, seen: Option<LastSeenRow>) -> Self {
        let (last_seen_ms, last_seen_ip, user_agent) =
            seen.map_or((None, None, None), |seen| (Some(seen.at_ms), seen.ip, seen.user_agent));
        Self { id, display_name: row.display_name, created_ms: row.created_ms, last_seen_ms, last_seen_ip, user_agent }
    }
}

impl Accounts {
    /// A person's devices.
    pub async fn devices(&self, user: &UserId) -> Result<Vec<Device>> {
        let rows = self.store().scan(&DEVICES, DEVICES.prefix((user.as_str(),))).await?;
        let keys = rows.iter().map(|((user, device), _)| (user.as_str(), device.as_str()));
        let seen = self.store().get_many(&LAST_SEEN, keys).await?;
        Ok(rows.into_iter().zip(seen).map(|(((_, id), row), seen)| Device::new(id.into(), row, seen)).collect())
    }

    /// One device.
    pub async fn device(&self, user: &UserId, device: &DeviceId) -> Result<Device> {
        let key = (user.as_str(), device.as_str());
        let row = self.store().get(&DEVICES, key).await?.ok_or(AccountError::NotFound("device"))?;
        Ok(Device::new(device.to_owned(), row, self.store().get(&LAST_SEEN, key).await?))
    }

    /// Names a device.
    pub async fn rename_device(&self, user: &UserId, device: &DeviceId, name: Option<String>) -> Result<()> {
        check_device_name(name.as_deref())?;
        let _guard = self.lock(user.as_str()).await;
        let key = (user.as_str(), device.as_str());
        let before = self.store().get(&DEVICES, key).await?.ok_or(AccountError::NotFound("device"))?;
        let Some(name) = name else { return Ok(()) };
        let after = DeviceRow { display_name: Some(name), ..before.clone() };
        let mut batch = Batch::new();
        batch.expect(&DEVICES, key, Some(&before)).put(&DEVICES, key, &after);
        self.add_device_change(&mut batch, user, Changed::Device(device.as_str())).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Makes a device without signing in, as an application service does for its users (MSC4190).
    pub async fn create_device(&self, user: &UserId, device: &DeviceId, name: Option<String>) -> Result<()> {
        check_device_name(name.as_deref())?;
        let _guard = self.lock(user.as_str()).await;
        let row = DeviceRow { display_name: name, created_ms: self.now_ms() };
        let mut batch = Batch::new();
        let key = (user.as_str(), device.as_str());
        batch.expect(&DEVICES, key, None).put(&DEVICES, key, &row);
        self.touch_sessions(&mut batch, user);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Notes that a session was used. Seldom written, never waited for: it may be lost.
    pub fn note_seen(&self, session: &Session, ip: Option<IpAddr>, user_agent: Option<&str>) {
        let Some(device) = &session.device_id else { return };
        let now = self.now_ms();
        let key = format!("{} {device}", session.user_id);
        let due = self.seen().get(&key).is_none_or(|last| now.saturating_sub(last) >= LAST_SEEN_EVERY_MS);
        if !due {
            return;
        }
        self.seen().insert(key, now);
        let row = LastSeenRow {
            at_ms: now,
            ip: ip.map(|ip| ip.to_string()),
            user_agent: user_agent.map(|agent| agent.chars().take(200).collect()),
        };
        let mut batch = Batch::new();
        batch.put(&LAST_SEEN, (session.user_id.as_str(), device.as_str()), &row);
        drop(self.store().enqueue(batch));
    }
}
