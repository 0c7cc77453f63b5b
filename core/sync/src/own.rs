//! What concerns the person and the device rather than a room: account data, messages to the device, keys, presence.

use lyceum_accounts::{AccountDatum, ToDevice};
use lyceum_rooms::receipts::ReceiptEvents;
use ruma::{OwnedUserId, RoomId, UserId};
use serde_json::{Value, json, value::RawValue, value::to_raw_value};
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Result, Sync,
    filter::{EventFilter, Facts},
    joined::Has,
    response::{DeviceLists, Events, Json, SyncResponse},
    v2::{Moved, Turn},
};

/// People whose presence one answer tells at most; the rest follow with the next.
const PRESENCE_MAX: usize = 500;

/// Messages to a device that one answer holds at most; the rest follow with the next.
const TO_DEVICE_MAX: usize = 100;

fn event(kind: &str, content: &RawValue) -> Option<Json> {
    to_raw_value(&json!({ "type": kind, "content": content })).ok()
}

/// A message to a device as its client is sent it.
pub(crate) fn to_device_event(message: &ToDevice) -> Option<Json> {
    let content: &RawValue = serde_json::from_str(&message.content).ok()?;
    to_raw_value(&json!({ "type": message.kind, "sender": message.sender, "content": content })).ok()
}

fn wanted(filter: &EventFilter, kind: &str) -> bool {
    filter.matches(Facts { kind, sender: None }, || false)
}

fn data_events<'a>(data: impl Iterator<Item = &'a AccountDatum>, filter: &EventFilter) -> Vec<Json> {
    data.filter(|datum| wanted(filter, &datum.kind))
        .filter_map(|datum| event(&datum.kind, serde_json::from_str(&datum.content).ok()?))
        .collect()
}

impl Sync {
    /// Everything of an answer but the rooms.
    pub(crate) async fn own_things(&self, turn: &Turn<'_>, moved: &Moved) -> Result<SyncResponse> {
        Ok(SyncResponse {
            account_data: self.account_data(turn).await?.into(),
            presence: self.presence(turn, moved).await?.into(),
            device_lists: self.device_lists(turn, moved).await?,
            to_device: self.to_device(turn).await?.into(),
            device_one_time_keys_count: self.one_time_key_counts(turn).await?,
            device_unused_fallback_key_types: self.fallback_key_types(turn).await?,
            ..SyncResponse::default()
        })
    }

    async fn to_device(&self, turn: &Turn<'_>) -> Result<Vec<Json>> {
        let Some(device) = turn.device() else { return Ok(Vec::new()) };
        let (since, to) = (turn.since_position(), turn.to.position);
        let messages = self.accounts().to_device(turn.request.user, device, since, to, TO_DEVICE_MAX).await?;
        Ok(messages.iter().filter_map(to_device_event).collect())
    }

    pub(crate) async fn one_time_key_counts(&self, turn: &Turn<'_>) -> Result<BTreeMap<String, u64>> {
        let Some(device) = turn.device() else { return Ok(BTreeMap::new()) };
        let mut counts = self.accounts().one_time_key_counts(turn.request.user, device).await?;
        // Told even when it is none: clients take a missing count for "unknown" and upload nothing.
        counts.entry("signed_curve25519".into()).or_default();
        Ok(counts)
    }

    pub(crate) async fn fallback_key_types(&self, turn: &Turn<'_>) -> Result<Vec<String>> {
        match turn.device() {
            Some(device) => Ok(self.accounts().unused_fallback_key_types(turn.request.user, device).await?),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) async fn account_data(&self, turn: &Turn<'_>) -> Result<Vec<Json>> {
        let user = turn.request.user;
        let data = match turn.since_position() {
            None => self.accounts().all_account_data(user, None).await?,
            Some(since) => self.accounts().account_data_since(user, since, turn.to.position).await?,
        };
        Ok(data_events(data.iter().filter(|datum| datum.room.is_none()), &turn.wanted.account_data))
    }

    pub(crate) async fn room_account_data(&self, turn: &Turn<'_>, room: &RoomId, has: Has) -> Result<Vec<Json>> {
        if !turn.wanted.account_data_of(room) {
            return Ok(Vec::new());
        }
        let user = turn.request.user;
        let data = match has {
            Has::Nothing => self.accounts().all_account_data(user, Some(room)).await?,
            Has::UpTo(since) => self.accounts().account_data_since(user, since, turn.to.position).await?,
        };
        let of_room = data.iter().filter(|datum| datum.room.as_deref() == Some(room.as_str()));
        Ok(data_events(of_room, &turn.wanted.room_account_data))
    }

    /// Typing and receipts of a room.
    pub(crate) async fn ephemeral(&self, turn: &Turn<'_>, room: &RoomId, has: Has) -> Result<Vec<Json>> {
        if !turn.wanted.ephemeral_of(room) {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        if wanted(&turn.wanted.ephemeral, "m.receipt") {
            let told = self.receipts_of(turn, room, has).await?;
            let contents = told.of_events.into_iter().chain(told.of_other_ids);
            events.extend(contents.filter_map(|content| event("m.receipt", &to_raw_value(&content).ok()?)));
        }
        if wanted(&turn.wanted.ephemeral, "m.typing") {
            let content = self.typing_of(turn, room, has).await?;
            events.extend(content.and_then(|content| event("m.typing", &to_raw_value(&content).ok()?)));
        }
        Ok(events)
    }

    /// The receipts of a room that the client was not told of.
    pub(crate) async fn receipts_of(&self, turn: &Turn<'_>, room: &RoomId, has: Has) -> Result<ReceiptEvents> {
        let (receipts, me) = (self.rooms().receipts(), turn.request.user);
        Ok(match has {
            Has::Nothing => receipts.all(room, me, turn.to.position).await?,
            Has::UpTo(since) => receipts.moved(room, me, since, turn.to.position).await?,
        })
    }

    /// The content of an `m.typing` event, if who types changed since the client was told.
    pub(crate) async fn typing_of(&self, turn: &Turn<'_>, room: &RoomId, has: Has) -> Result<Option<Value>> {
        let typing = self.rooms().typing();
        let ignored = self.accounts().privacy(turn.request.user).await?;
        let people: Vec<_> = typing.in_room(room).into_iter().filter(|user| !ignored.ignores(user)).collect();
        let since = turn.since.map_or(0, |since| since.typing);
        let is_news = match has {
            // Also that somebody stopped: a client that asks afresh may have been told elsewhere that they type.
            Has::Nothing => typing.is_remembered(room),
            Has::UpTo(_) => typing.changed_in(room, since, turn.to.typing),
        };
        Ok(is_news.then(|| json!({ "user_ids": people })))
    }

    /// Whether the person does not want to hear of somebody.
    pub(crate) async fn is_ignored(&self, user: &UserId, other: &UserId) -> Result<bool> {
        Ok(self.accounts().privacy(user).await?.ignores(other))
    }

    /// Whether a person is not to hear of an invite.
    pub(crate) async fn is_hidden_invite(&self, user: &UserId, inviter: &UserId) -> Result<bool> {
        Ok(self.accounts().privacy(user).await?.hides_invite_from(inviter))
    }

    async fn presence(&self, turn: &Turn<'_>, moved: &Moved) -> Result<Vec<Json>> {
        if turn.wanted.presence.is_closed() || !turn.wanted.presence.lets_kind_through("m.presence") {
            return Ok(Vec::new());
        }
        let book = self.accounts().presence();
        let since = turn.since.map_or(0, |since| since.presence);
        let mut people: BTreeSet<OwnedUserId> = book.since(since, PRESENCE_MAX).0.into_iter().collect();
        people.extend(moved.came.iter().cloned());
        let mut events = Vec::new();
        for user in people {
            let sees = user == turn.request.user || self.rooms().share_a_room(turn.request.user, &user).await?;
            let facts = Facts { kind: "m.presence", sender: Some(user.as_str()) };
            if !sees
                || !turn.wanted.presence.matches(facts, || false)
                || self.is_ignored(turn.request.user, &user).await?
            {
                continue;
            }
            let presence = book.of(&user);
            if presence.version == 0 {
                continue;
            }
            let mut content = json!({ "presence": presence.state, "currently_active": book.is_active(&presence) });
            if let Some(ago) = book.active_ago(&presence) {
                content["last_active_ago"] = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX).into();
            }
            if let Some(message) = &presence.status_message {
                content["status_msg"] = message.as_str().into();
            }
            events.extend(to_raw_value(&json!({ "type": "m.presence", "sender": user, "content": content })).ok());
        }
        Ok(events)
    }

    /// Whose keys are to be asked for anew, and whose need not be kept.
    pub(crate) async fn device_lists(&self, turn: &Turn<'_>, moved: &Moved) -> Result<DeviceLists> {
        let Some(since) = turn.since_position() else { return Ok(DeviceLists::default()) };
        let me = turn.request.user;
        let mut changed: BTreeSet<OwnedUserId> = moved.came.clone();
        for (user, _) in self.accounts().device_changes(since, turn.to.position).await? {
            if user == me || self.rooms().share_a_room(me, &user).await? {
                changed.insert(user);
            }
        }
        if moved.is_told_elsewhere {
            // The person's devices check among themselves what others now see of them.
            changed.insert(me.to_owned());
        }
        changed.extend(self.accounts().signed_since(me, since, turn.to.position).await?);
        let mut left = Vec::new();
        for user in &moved.went {
            if user != me && !self.rooms().share_a_room(me, user).await? {
                left.push(user.to_string());
                changed.remove(user);
            }
        }
        Ok(DeviceLists { changed: changed.iter().map(ToString::to_string).collect(), left })
    }
}

impl From<Vec<Json>> for Events {
    fn from(events: Vec<Json>) -> Self {
        Self { events }
    }
}
