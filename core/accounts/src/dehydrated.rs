//! Dehydrated devices (MSC3814): a device without a session that takes messages until its owner's next sign-in reads them.

use lyceum_storage::{Batch, Position};
use ruma::{DeviceId, OwnedDeviceId, UserId};

use crate::{
    AccountError, Accounts, KeysUpload, ToDevice,
    error::Result,
    keys::device::checked_device_keys,
    tables::{DEHYDRATED, DEVICES, DehydratedRow},
};

/// The largest data a dehydrated device is made again from.
const DATA_BYTES_MAX: usize = 128 * 1024;

impl Accounts {
    /// The id of a person's dehydrated device.
    pub async fn dehydrated_device_id(&self, user: &UserId) -> Result<Option<String>> {
        Ok(self.store().get(&DEHYDRATED, user.as_str()).await?.map(|row| row.device))
    }

    /// A person's dehydrated device: its id, and the JSON it is made again from.
    pub async fn dehydrated_device(&self, user: &UserId) -> Result<(OwnedDeviceId, String)> {
        let row = self.store().get(&DEHYDRATED, user.as_str()).await?;
        let row = row.ok_or(AccountError::NotFound("dehydrated device"))?;
        Ok((row.device.into(), row.data))
    }

    /// Keeps a dehydrated device with its keys, in the place of an earlier one.
    pub async fn put_dehydrated_device(
        &self,
        user: &UserId,
        device: &DeviceId,
        data: String,
        mut upload: KeysUpload,
    ) -> Result<()> {
        if data.len() > DATA_BYTES_MAX {
            return Err(AccountError::TooLarge("device_data"));
        }
        let keys = upload.device_keys.take().ok_or(AccountError::MissingParam("device_keys"))?;
        let keys = checked_device_keys(user, device, keys)?;
        let _guard = self.lock(user.as_str()).await;
        if self.store().get(&DEVICES, (user.as_str(), device.as_str())).await?.is_some() {
            return Err(AccountError::InvalidParam("this device id belongs to a device that is signed in".into()));
        }
        let mut batch = Batch::new();
        if let Some(earlier) = self.dehydrated_device_id(user).await?
            && earlier != device.as_str()
        {
            self.add_device_removal(&mut batch, user, <&DeviceId>::from(earlier.as_str())).await?;
        }
        self.add_device_keys(&mut batch, user, device, &keys).await?;
        self.add_one_time_keys(&mut batch, user, device, &upload.one_time_keys).await?;
        self.add_fallback_keys(&mut batch, user, device, &upload.fallback_keys).await?;
        batch.put(&DEHYDRATED, user.as_str(), &DehydratedRow { device: device.to_string(), data });
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Removes a person's dehydrated device and answers its id.
    pub async fn delete_dehydrated_device(&self, user: &UserId) -> Result<OwnedDeviceId> {
        let _guard = self.lock(user.as_str()).await;
        let (device, _) = self.dehydrated_device(user).await?;
        let mut batch = Batch::new();
        batch.delete(&DEHYDRATED, user.as_str());
        self.add_device_removal(&mut batch, user, &device).await?;
        self.store().commit(batch).await?;
        Ok(device)
    }

    /// Messages that the dehydrated device took, after `after`. They stay until the device is removed.
    pub async fn dehydrated_events(
        &self,
        user: &UserId,
        device: &DeviceId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<ToDevice>> {
        if self.dehydrated_device_id(user).await?.as_deref() != Some(device.as_str()) {
            return Err(AccountError::Forbidden("this is not your dehydrated device"));
        }
        self.inbox_page(user, device, after, self.store().committed(), limit).await
    }
}
