//! Telling people things: moderators in their room, others in their room of server notices. What is to be told is a row,
//! written with the act that it tells of and removed once it was said; saying it twice says it once.

use lyceum_events::Draft;
use lyceum_rooms::{Sender, Transaction};
use lyceum_storage::{Batch, Subject};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Moderation, error::Result};
use crate::{campus::MODERATION_ROOM, tables::UNTOLD};

/// How a commit says that something is to be told.
pub(super) const SUBJECT: &str = "notices";
/// Notices read at once.
const PAGE: usize = 100;
/// The bytes of a message: with what else is in an event, it stays below the limit for events.
const TEXT_BYTES_MAX: usize = 20_000;
/// The server's own account has no device; its transaction ids have a place all the same.
const DEVICE: &str = "lyceum";

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// To whom; to those who moderate, if to nobody in particular.
    to: Option<String>,
    /// What.
    text: String,
}

impl Notice {
    pub(super) fn person(user: &UserId, text: &str) -> Self {
        Self { to: Some(user.to_string()), text: text.to_owned() }
    }

    pub(super) fn moderators(text: &str) -> Self {
        Self { to: None, text: text.to_owned() }
    }
}

/// Makes telling something part of a batch.
pub(super) fn tell(batch: &mut Batch, notices: Vec<Notice>) {
    if notices.is_empty() {
        return;
    }
    batch.touch(Subject::other(SUBJECT));
    batch.at_position(move |position, writes| {
        for (number, notice) in (0..).zip(&notices) {
            writes.put(&UNTOLD, (position.0, number), notice);
        }
    });
}

impl Moderation {
    /// Tells what is still to be told.
    pub(super) async fn tell_all(&self) -> Result<()> {
        loop {
            let page = self.store().scan(&UNTOLD, UNTOLD.all().limit(PAGE)).await?;
            if page.is_empty() {
                return Ok(());
            }
            for ((position, number), notice) in page {
                match self.tell_one(&format!("{position}-{number}"), &notice).await {
                    Err(error) if error.is_trouble() => return Err(error),
                    Err(error) => tracing::warn!(%error, "something could not be told, and is not tried again"),
                    Ok(()) => {}
                }
                let mut batch = Batch::new();
                batch.delete(&UNTOLD, (position, number));
                self.store().commit(batch).await?;
            }
        }
    }

    async fn tell_one(&self, id: &str, notice: &Notice) -> Result<()> {
        match &notice.to {
            None => match self.moderation_room().await? {
                Some(room) => self.say(&room, id, &notice.text).await,
                None => Ok(()),
            },
            Some(user) => match OwnedUserId::try_from(user.as_str()) {
                Ok(user) if self.is_here(&user).await? => {
                    self.parts().notices.send(&user, words(&notice.text), Some(transaction(id))).await?;
                    Ok(())
                }
                _ => Ok(()),
            },
        }
    }

    async fn is_here(&self, user: &UserId) -> Result<bool> {
        let local = user.server_name() == self.account().server_name();
        Ok(local && self.parts().accounts.user(user).await?.is_some_and(|user| user.deactivated_ms.is_none()))
    }

    /// The room of those who moderate, if there are any.
    pub(super) async fn moderation_room(&self) -> Result<Option<OwnedRoomId>> {
        if let Some(room) = self.parts().keeper.room_for(MODERATION_ROOM).await? {
            return Ok(Some(room));
        }
        self.parts().keeper.settle().await?;
        Ok(self.parts().keeper.room_for(MODERATION_ROOM).await?)
    }

    /// Tells one person something, and nobody else.
    pub(crate) async fn tell_alone(&self, user: &UserId, text: &str) -> Result<()> {
        let mut batch = Batch::new();
        tell(&mut batch, vec![Notice::person(user, text)]);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Says something in a room, once for each id.
    pub(super) async fn say(&self, room: &RoomId, id: &str, text: &str) -> Result<()> {
        let sender = Sender { transaction: Some(transaction(id)), ..Sender::of(self.account()) };
        self.parts().rooms.send(sender, room, words(text)).await?;
        Ok(())
    }
}

fn transaction(id: &str) -> Transaction<'_> {
    Transaction { device: DEVICE, endpoint: "notice", id }
}

fn words(text: &str) -> Draft {
    let content = json!({ "msgtype": "m.notice", "body": shortened(text), "m.mentions": {} });
    Draft::message("m.room.message", serde_json::from_value(content).unwrap_or_default())
}

/// As much of a text as fits into a message.
fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}\n… (this was longer)", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(shortened("é"), "é");
        let long = shortened(&"é".repeat(TEXT_BYTES_MAX));
        assert!(long.starts_with('é') && long.ends_with("(this was longer)") && long.len() < TEXT_BYTES_MAX + 40);
    }
}
