//! Rooms that nobody of this server may come into, because an administrator said so; also ones that it does not know yet.

use lyceum_storage::Batch;
use ruma::{OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Result, RoomError, Rooms,
    tables::{BLOCKED, PURGING},
};

/// What people are told who want to come in.
const WHY: &str = "this room is blocked on this server";

/// Who keeps people out of a room, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredBlock {
    pub(crate) by: String,
    pub(crate) at_ms: u64,
}

impl Rooms {
    /// Lets nobody of this server come into a room any more.
    pub async fn block(&self, room: &RoomId, by: &UserId) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(&BLOCKED, room.as_str(), &self.new_block(by));
        self.store().commit(batch).await?;
        Ok(())
    }

    pub(crate) fn new_block(&self, by: &UserId) -> StoredBlock {
        StoredBlock { by: by.to_string(), at_ms: self.0.clock.now().get().into() }
    }

    /// Lets people come into a room again.
    pub async fn unblock(&self, room: &RoomId) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(&BLOCKED, room.as_str());
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Who blocked a room, if anybody did.
    pub async fn blocked_by(&self, room: &RoomId) -> Result<Option<OwnedUserId>> {
        let row = self.store().get(&BLOCKED, room.as_str()).await?;
        Ok(row.and_then(|row| OwnedUserId::try_from(row.by).ok()))
    }

    /// Refuses whoever of this server would come into a blocked room by this.
    pub(crate) async fn check_not_blocked(&self, who: &UserId, act: &Act<'_>) -> Result<()> {
        let (concerned, room) = match act {
            Act::Join { room_id, .. } | Act::Knock { room_id, .. } => (who, &**room_id),
            Act::Invite { room: Some(room), invitee } => (&**invitee, &**room.room_id()),
            Act::Invite { room: None, .. } | Act::Create { .. } | Act::Send { .. } => return Ok(()),
        };
        if self.is_local(concerned) { self.check_open(room).await } else { Ok(()) }
    }

    /// Refuses a blocked room, and one that is being forgotten.
    pub(crate) async fn check_open(&self, room: &RoomId) -> Result<()> {
        if self.store().get(&PURGING, room.as_str()).await?.is_some() {
            return Err(RoomError::forbidden("this room is being taken away"));
        }
        match self.store().get(&BLOCKED, room.as_str()).await? {
            Some(_) => Err(RoomError::forbidden(WHY)),
            None => Ok(()),
        }
    }
}
