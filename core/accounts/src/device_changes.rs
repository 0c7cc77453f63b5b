//! What changed of a local person's devices, change by change: each names the one before it, so that another server can
//! tell whether it has heard of all of them ([spec](https://spec.matrix.org/v1.19/server-server-api/#device-management)).

use lyceum_storage::{Batch, Position};
use ruma::UserId;

use crate::{
    Accounts,
    error::Result,
    tables::{DEVICE_CHANGES, DeviceChangeRow},
};

/// Changes kept of each person. Who missed more asks for the whole list.
const KEPT_MAX: usize = 32;

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Changed<'a> {
    /// A device, its name, its keys or their signatures.
    Device(&'a str),
    /// The cross-signing keys. They have no place in the chain of changes of devices.
    SigningKeys,
}

/// A change of one person's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChange {
    /// Where it stands in the stream: its `stream_id`. Devices that changed together share it.
    pub stream_id: u64,
    /// The change of devices before it.
    pub before: Option<u64>,
    /// The device; `None` where the cross-signing keys changed.
    pub device: Option<String>,
}

impl Accounts {
    /// Adds to a batch what of a local person's devices and keys changes with it.
    pub(crate) async fn add_device_change(&self, batch: &mut Batch, user: &UserId, changed: Changed<'_>) -> Result<()> {
        let known = self.device_changes_of(user, 0).await?;
        for old in known.iter().rev().skip(KEPT_MAX - 1) {
            let device = old.device.as_deref().unwrap_or_default();
            batch.delete(&DEVICE_CHANGES, (user.as_str(), old.stream_id, device));
        }
        let device = match changed {
            Changed::Device(device) => device.to_owned(),
            Changed::SigningKeys => String::new(),
        };
        let row = DeviceChangeRow {
            before: self.last_device_change(user, &known).await?,
            signing_keys: changed == Changed::SigningKeys,
        };
        let name = user.to_string();
        batch.at_position(move |position, writes| {
            writes.put(&DEVICE_CHANGES, (&name, position.0, &device), &row);
        });
        self.add_device_list_change(batch, user).await
    }

    /// What is still known of a local person's changes from a position on, oldest first.
    pub async fn device_changes_of(&self, user: &UserId, from: u64) -> Result<Vec<DeviceChange>> {
        let scan = DEVICE_CHANGES.prefix((user.as_str(),)).from(&DEVICE_CHANGES, (user.as_str(), from, ""));
        let rows = self.store().scan(&DEVICE_CHANGES, scan.limit(usize::MAX)).await?;
        let change = |((_, stream_id, device), row): (_, DeviceChangeRow)| DeviceChange {
            stream_id,
            before: row.before,
            device: (!row.signing_keys).then_some(device),
        };
        Ok(rows.into_iter().map(change).collect())
    }

    /// The last change of a local person's devices, which is the `stream_id` of their list.
    pub async fn device_stream_id(&self, user: &UserId) -> Result<Option<u64>> {
        self.last_device_change(user, &self.device_changes_of(user, 0).await?).await
    }

    async fn last_device_change(&self, user: &UserId, known: &[DeviceChange]) -> Result<Option<u64>> {
        match known.iter().rev().find(|change| change.device.is_some()) {
            Some(last) => Ok(Some(last.stream_id)),
            // None is kept: the signing keys changed very often, or the list is from before changes were kept one by one.
            None => Ok(self.device_list_changed_at(user).await?.map(|Position(position)| position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::user_id;

    fn ann() -> &'static UserId {
        user_id!("@ann:test")
    }

    async fn change(accounts: &Accounts, changed: &[Changed<'_>]) -> u64 {
        let mut batch = Batch::new();
        for one in changed {
            accounts.add_device_change(&mut batch, ann(), *one).await.unwrap();
        }
        accounts.store().commit(batch).await.unwrap().0
    }

    #[tokio::test]
    async fn each_change_of_devices_names_the_one_before() {
        let accounts = Fixture::with_people(&[]).await.accounts;
        let first = change(&accounts, &[Changed::Device("A")]).await;
        change(&accounts, &[Changed::SigningKeys]).await;
        assert_eq!(accounts.device_stream_id(ann()).await.unwrap(), Some(first));
        let both = change(&accounts, &[Changed::Device("A"), Changed::Device("B")]).await;
        let last = change(&accounts, &[Changed::Device("C")]).await;
        let from_both: Vec<_> = accounts.device_changes_of(ann(), both).await.unwrap();
        let of = |stream_id, before, device: &str| DeviceChange {
            stream_id,
            before: Some(before),
            device: Some(device.to_owned()),
        };
        assert_eq!(from_both, [of(both, first, "A"), of(both, first, "B"), of(last, both, "C")]);
        assert_eq!(accounts.device_stream_id(ann()).await.unwrap(), Some(last));
    }

    #[tokio::test]
    async fn only_so_many_changes_are_kept() {
        let accounts = Fixture::with_people(&[]).await.accounts;
        for _ in 0..KEPT_MAX * 2 {
            change(&accounts, &[Changed::Device("A")]).await;
        }
        assert_eq!(accounts.device_changes_of(ann(), 0).await.unwrap().len(), KEPT_MAX);
        let device = accounts.device_stream_id(ann()).await.unwrap();
        let mut signing = 0;
        for _ in 0..KEPT_MAX {
            signing = change(&accounts, &[Changed::SigningKeys]).await;
        }
        assert!(device < Some(signing));
        assert_eq!(accounts.device_stream_id(ann()).await.unwrap(), Some(signing), "the one that is left to be known");
    }
}
