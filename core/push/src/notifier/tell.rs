//! What there is to tell of an event when its turn comes.

use lyceum_rooms::{Known, Membership, RoomError};
use ruma::{EventId, RoomId, UserId, events::StateEventType};
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};
use std::sync::Arc;

use super::{Notifier, line::Notice};
use crate::{error::Result, notification::Told};

#[derive(Deserialize)]
struct Member {
    membership: Option<String>,
    displayname: Option<String>,
}

impl Notifier {
    /// What is told of an event; `None`: it was read, or redacted, or is gone.
    pub(super) async fn told(&self, user: &UserId, notice: &Notice) -> Result<Option<Told>> {
        let ids = (<&RoomId>::try_from(notice.room.as_str()), <&EventId>::try_from(notice.event.as_str()));
        let (Ok(room), Ok(event)) = ids else { return Ok(None) };
        let rooms = self.push().rooms();
        let known = match rooms.known(event).await? {
            Some(known) if known.order().is_some() => known,
            _ => return self.told_of_invite(user, room, notice).await,
        };
        if known.redacted_by().is_some() || self.has_read(user, room, &known).await? {
            return Ok(None);
        }
        let snapshot = match rooms.snapshot(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(None),
            found => found?,
        };
        let event = known.event();
        let is_own = event.state_key() == Some(user.as_str()) && event.kind().to_string() == "m.room.member";
        Ok(Some(Told {
            event_id: event.id().to_string(),
            room_id: room.to_string(),
            kind: event.kind().to_string(),
            sender: event.sender().to_string(),
            sender_display_name: self.name_in(&snapshot, event.sender()).await?,
            room_name: snapshot.facts().name.clone().filter(|name| !name.is_empty()),
            room_alias: snapshot.facts().canonical_alias.as_ref().map(ToString::to_string),
            content: Some(event.content().to_owned()),
            own_membership: is_own.then(|| event.content_as::<Member>()?.membership).flatten(),
        }))
    }

    async fn has_read(&self, user: &UserId, room: &RoomId, known: &Arc<Known>) -> Result<bool> {
        let rooms = self.push().rooms();
        let read = rooms.receipts().read_up_to(room, user).await?;
        let thread = rooms.thread_of(known).await?;
        Ok(read.covers(&thread, known.order().unwrap_or(i64::MAX)))
    }

    async fn name_in(&self, snapshot: &lyceum_rooms::Snapshot, user: &UserId) -> Result<Option<String>> {
        let Some(member) = snapshot.member(user) else { return Ok(None) };
        let known = self.push().rooms().known(&member.event_id).await?;
        Ok(known.and_then(|known| known.event().content_as::<Member>()?.displayname))
    }

    /// An invite into a room that this server is not in: told from what came with it.
    async fn told_of_invite(&self, user: &UserId, room: &RoomId, notice: &Notice) -> Result<Option<Told>> {
        let rooms = self.push().rooms();
        let row = rooms.membership(user, room).await?;
        let row = row.filter(|row| row.membership == Membership::Invite && row.event_id.as_str() == notice.event);
        let Some(row) = row else { return Ok(None) };
        let stripped = rooms.stripped_state(user, room).await?;
        Ok(Some(Told {
            event_id: notice.event.clone(),
            room_id: room.to_string(),
            kind: "m.room.member".to_owned(),
            sender: row.sender.to_string(),
            sender_display_name: None,
            room_name: stripped_text(&stripped, &StateEventType::RoomName, "name"),
            room_alias: stripped_text(&stripped, &StateEventType::RoomCanonicalAlias, "alias"),
            content: to_raw_value(&json!({ "membership": "invite" })).ok(),
            own_membership: Some("invite".to_owned()),
        }))
    }
}

/// A text of one of the state events that came with an invite.
fn stripped_text(stripped: &[String], kind: &StateEventType, field: &str) -> Option<String> {
    let events = stripped.iter().filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let mut found = events.filter(|event| event["type"] == kind.to_string().as_str());
    found.find_map(|event| event["content"][field].as_str().map(str::to_owned))
}
