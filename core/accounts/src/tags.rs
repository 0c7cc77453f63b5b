//! Room tags: room account data of the type `m.tag`, changed one tag at a time.

use lyceum_storage::Batch;
use ruma::{RoomId, UserId};
use serde_json::{Map, Value};

use crate::{AccountError, Accounts, error::Result};

/// The longest name of a tag (spec: "255 bytes").
const TAG_BYTES_MAX: usize = 255;

/// Tags one room may have.
const TAGS_MAX: usize = 100;

const TAG_TYPE: &str = "m.tag";

impl Accounts {
    /// A room's tags: their names and what clients keep with them.
    pub async fn tags(&self, user: &UserId, room: &RoomId) -> Result<Map<String, Value>> {
        let content = self.account_data(user, Some(room), TAG_TYPE).await?;
        let content = content.and_then(|content| serde_json::from_str::<Map<String, Value>>(&content).ok());
        Ok(match content.and_then(|mut content| content.remove("tags")) {
            Some(Value::Object(tags)) => tags,
            _ => Map::new(),
        })
    }

    /// Gives a room a tag.
    pub async fn add_tag(&self, user: &UserId, room: &RoomId, tag: &str, info: Map<String, Value>) -> Result<()> {
        if tag.is_empty() || tag.len() > TAG_BYTES_MAX {
            return Err(AccountError::InvalidParam("a tag has 1 to 255 bytes".into()));
        }
        let order_fits = match info.get("order") {
            None | Some(Value::Null | Value::Number(_)) => true,
            // Older clients send the number as text.
            Some(Value::String(text)) => text.parse::<f64>().is_ok(),
            Some(_) => false,
        };
        if !order_fits {
            return Err(AccountError::InvalidParam("order must be a number".into()));
        }
        self.change_tags(user, room, |tags| {
            tags.insert(tag.to_owned(), Value::Object(info));
            tags.len() <= TAGS_MAX
        })
        .await
    }

    /// Takes a tag from a room. Taking one that is not there is no error.
    pub async fn remove_tag(&self, user: &UserId, room: &RoomId, tag: &str) -> Result<()> {
        self.change_tags(user, room, |tags| {
            tags.remove(tag);
            true
        })
        .await
    }

    async fn change_tags(
        &self,
        user: &UserId,
        room: &RoomId,
        change: impl FnOnce(&mut Map<String, Value>) -> bool,
    ) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let mut tags = self.tags(user, room).await?;
        if !change(&mut tags) {
            return Err(AccountError::TooMany("tags"));
        }
        let content = serde_json::json!({ "tags": tags }).to_string();
        let mut batch = Batch::new();
        self.add_account_data(&mut batch, user, Some(room), TAG_TYPE, Some(content)).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Copies the tags and the direct-chat mark of a room to the one that replaces it, as an upgrade does.
    pub async fn carry_over_room(&self, user: &UserId, old: &RoomId, new: &RoomId) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        if let Some(tags) = self.account_data(user, Some(old), TAG_TYPE).await? {
            self.add_account_data(&mut batch, user, Some(new), TAG_TYPE, Some(tags)).await?;
        }
        if let Some(direct) = self.account_data(user, None, "m.direct").await?
            && let Some(changed) = with_room_beside(&direct, old, new)
        {
            self.add_account_data(&mut batch, user, None, "m.direct", Some(changed)).await?;
        }
        if !batch.is_empty() {
            self.store().commit(batch).await?;
        }
        Ok(())
    }
}

/// `m.direct` with `new` wherever `old` stands; `None` if it stands nowhere.
fn with_room_beside(direct: &str, old: &RoomId, new: &RoomId) -> Option<String> {
    let mut direct: Map<String, Value> = serde_json::from_str(direct).ok()?;
    let mut found = false;
    for rooms in direct.values_mut().filter_map(Value::as_array_mut) {
        let has = |rooms: &[Value], room: &RoomId| rooms.iter().any(|one| one.as_str() == Some(room.as_str()));
        if has(rooms, old) && !has(rooms, new) {
            rooms.push(new.as_str().into());
            found = true;
        }
    }
    found.then(|| Value::Object(direct).to_string())
}
