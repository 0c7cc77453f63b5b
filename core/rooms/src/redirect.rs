//! Where the names of a room that is being taken away lead.

use lyceum_storage::{Batch, Subject};
use ruma::{OwnedRoomAliasId, RoomId};

use crate::{
    Result, Rooms,
    tables::{ALIASES, LISTED, ROOM_ALIASES, StoredAlias},
};

impl Rooms {
    /// Lets this server's aliases of a room lead to another, or nowhere, and lists it no more. Answers which they were.
    pub async fn redirect_aliases(&self, from: &RoomId, to: Option<&RoomId>) -> Result<Vec<OwnedRoomAliasId>> {
        let (aliases, mut batch) = (self.aliases_of(from).await?, Batch::new());
        for alias in &aliases {
            let Some(row) = self.store().get(&ALIASES, alias.as_str()).await? else { continue };
            batch.expect(&ALIASES, alias.as_str(), Some(&row)).delete(&ROOM_ALIASES, (from.as_str(), alias.as_str()));
            match to {
                Some(to) => {
                    let moved = StoredAlias { room_id: to.to_string(), creator: row.creator };
                    batch.put(&ALIASES, alias.as_str(), &moved).put(&ROOM_ALIASES, (to.as_str(), alias.as_str()), &());
                }
                None => {
                    batch.delete(&ALIASES, alias.as_str());
                }
            }
        }
        batch.delete(&LISTED, from.as_str()).touch(Subject::other("directory")).touch(Subject::other("aliases"));
        self.store().commit(batch).await?;
        Ok(aliases)
    }
}
