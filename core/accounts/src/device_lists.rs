//! Whose devices or keys changed when: one row for each person, in the order of their last changes. Sync and federation read
//! it from a position on and keep whom they share rooms with; nobody is told person by person.

use lyceum_storage::{Batch, Position, Subject};
use ruma::{OwnedUserId, UserId};
use std::sync::atomic::Ordering;

use crate::{
    Accounts,
    error::Result,
    tables::{DEVICE_LIST_LOG, DEVICE_LISTS},
};

/// How a commit says that a person's devices or keys changed; whoever shares a room with them is woken by it.
pub(crate) const DEVICES_SUBJECT: &str = "devices:";

impl Accounts {
    /// Adds to a batch that a person's devices, keys or signatures change with it. Remote people's too, when their server
    /// says so; what changes of local people other servers are told in particular ([`Self::add_device_change`]).
    pub(crate) async fn add_device_list_change(&self, batch: &mut Batch, user: &UserId) -> Result<()> {
        let before = self.store().get(&DEVICE_LISTS, user.as_str()).await?;
        let name = user.to_string();
        batch.at_position(move |position, writes| {
            if let Some(before) = before {
                writes.delete(&DEVICE_LIST_LOG, (before, &name));
            }
            writes.put(&DEVICE_LISTS, &name, &position.0);
            writes.put(&DEVICE_LIST_LOG, (position.0, &name), &());
        });
        batch.touch(Subject::user(user)).touch(Subject::other(format!("{DEVICES_SUBJECT}{user}")));
        Ok(())
    }

    /// Notes that the devices of somebody on another server are not what they were, whatever they were.
    pub async fn note_remote_devices(&self, user: &UserId) -> Result<()> {
        let mut batch = Batch::new();
        self.add_device_list_change(&mut batch, user).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Whose devices or keys changed after `from` up to `to`, whoever they are: the caller keeps whom it shares rooms with.
    /// Reads nothing when nobody's did.
    pub async fn device_changes(&self, from: Position, to: Position) -> Result<Vec<(OwnedUserId, Position)>> {
        if self.changed().device_lists.load(Ordering::Acquire) <= from.0 {
            return Ok(Vec::new());
        }
        let scan = DEVICE_LIST_LOG
            .all()
            .from(&DEVICE_LIST_LOG, (from.0 + 1, ""))
            .before(&DEVICE_LIST_LOG, (to.0 + 1, ""))
            .limit(usize::MAX);
        let rows = self.store().scan(&DEVICE_LIST_LOG, scan).await?;
        Ok(rows
            .into_iter()
            .filter_map(|((position, user), ())| Some((UserId::parse(user).ok()?, Position(position))))
            .collect())
    }

    /// When a person's devices or keys last changed.
    pub async fn device_list_changed_at(&self, user: &UserId) -> Result<Option<Position>> {
        Ok(self.store().get(&DEVICE_LISTS, user.as_str()).await?.map(Position))
    }
}
