//! What a commit says to a service.

use lyceum_rooms::{Direction, Known, Looker, Membership, RoomError, Snapshot, typing::TypingChange};
use lyceum_storage::{Commit, Position, Subject};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::TimelineEventType};
use serde_json::{Map, Value, json, value::RawValue};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Registration,
    feed::{Feed, named},
};
use crate::error::Result;

/// Messages to one device that one transaction carries.
const TO_DEVICE_MAX: usize = 1_000;
/// Rooms whose concern is remembered.
const CONCERNED_MAX: usize = 10_000;
/// How commits say what changed of a person.
const INBOX_SUBJECT: &str = "inbox/";
const DEVICES_SUBJECT: &str = "devices:";
const ONE_TIME_SUBJECT: &str = "one-time-keys/";

/// Whether rooms concern a service, each with the state that was looked at.
pub(super) type Concerned = HashMap<OwnedRoomId, (Option<u64>, bool)>;

/// The parts of a transaction.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) events: Vec<Box<RawValue>>,
    pub(super) ephemeral: Vec<Value>,
    to_device: Vec<Value>,
    /// Whose devices those are.
    pub(super) inboxes: BTreeSet<OwnedUserId>,
    changed: BTreeSet<OwnedUserId>,
    /// By user and device: how many keys are left, and the fallback keys that are unused.
    key_counts: BTreeMap<String, Map<String, Value>>,
    fallback_keys: BTreeMap<String, Map<String, Value>>,
}

impl Gathered {
    /// Something that is in no commit.
    pub(super) fn passing(event: Value) -> Self {
        Self { ephemeral: vec![event], ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.ephemeral.is_empty()
            && self.to_device.is_empty()
            && self.changed.is_empty()
            && self.key_counts.is_empty()
    }

    /// The transaction's body, by the names of the specification and, where services still know them by those alone, of the
    /// proposals.
    pub(super) fn into_body(self, registration: &Registration) -> Value {
        let mut body = json!({ "events": self.events });
        if registration.receives_ephemeral {
            body["de.sorunome.msc2409.ephemeral"] = self.ephemeral.clone().into();
            body["ephemeral"] = self.ephemeral.into();
            body["de.sorunome.msc2409.to_device"] = self.to_device.clone().into();
            body["to_device"] = self.to_device.into();
        }
        if registration.receives_devices {
            let changed: Vec<_> = self.changed.iter().map(|user| Value::from(user.as_str())).collect();
            body["org.matrix.msc3202.device_lists"] = json!({ "changed": changed, "left": [] });
            // The two names by which it is known.
            body["org.matrix.msc3202.device_one_time_key_counts"] = json!(self.key_counts);
            body["org.matrix.msc3202.device_one_time_keys_count"] = json!(self.key_counts);
            body["org.matrix.msc3202.device_unused_fallback_key_types"] = json!(self.fallback_keys);
        }
        body
    }
}

impl Feed {
    /// Adds what a commit says to the service.
    pub(super) async fn gather(&mut self, commit: &Commit, gathered: &mut Gathered) -> Result<()> {
        for subject in commit.subjects.iter() {
            match subject {
                Subject::Room(room) => {
                    if let Ok(room) = <&RoomId>::try_from(&**room) {
                        self.gather_room(room, commit, gathered).await?;
                    }
                }
                Subject::User(user) => {
                    if let Some(user) = <&UserId>::try_from(&**user).ok().filter(|user| self.service.has_user(user)) {
                        self.gather_outside_invites(user, commit, gathered).await?;
                    }
                }
                Subject::Own(..) => {}
                Subject::Other(_) => self.gather_devices(subject, commit, gathered).await?,
            }
        }
        Ok(())
    }

    async fn gather_room(&mut self, room: &RoomId, commit: &Commit, gathered: &mut Gathered) -> Result<()> {
        let snapshot = match self.push.rooms().snapshot(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(()),
            found => found?,
        };
        let concerned = self.is_concerned(&snapshot).await?;
        let rooms = self.push.rooms().clone();
        let (before, to) = (commit.first.0.cast_signed() - 1, commit.last.0.cast_signed());
        let page = rooms.page(room, Direction::Forward, before, Some(to), usize::MAX).await?;
        for known in page.events.iter().filter(|known| concerned || self.is_about_its_user(known)) {
            let looker = Looker { user: &self.service.sender, device: None, now: known.event().ts(), federated: false };
            gathered.events.push(known.client_form(&rooms.unsigned(known, looker).await?));
        }
        if page.events.is_empty() && concerned && self.service.registration.receives_ephemeral {
            for position in commit.first.0..=commit.last.0 {
                let moved = rooms.receipts().moved_at(room, Position(position)).await?;
                gathered.ephemeral.extend(moved.map(|receipt| {
                    let mut data = json!({ "ts": receipt.ts });
                    if let Some(thread) = &receipt.thread {
                        data["thread_id"] = thread.as_str().into();
                    }
                    let content = json!({ receipt.event.as_str(): { "m.read": { receipt.user.as_str(): data } } });
                    json!({ "type": "m.receipt", "room_id": room, "content": content })
                }));
            }
        }
        Ok(())
    }

    /// Whether the service has asked for what happens in a room: it is named, or one of its users is there.
    async fn is_concerned(&mut self, snapshot: &Snapshot) -> Result<bool> {
        let room = snapshot.room_id();
        if self.service.has_room(room) {
            return Ok(true);
        }
        if !self.service.registration.namespaces.aliases.is_empty() {
            let aliases = self.push.rooms().aliases_of(room).await?;
            if aliases.iter().any(|alias| self.service.has_alias(alias.as_str())) {
                return Ok(true);
            }
        }
        if let Some((group, concerned)) = self.concerned.get(room)
            && *group == snapshot.group()
        {
            return Ok(*concerned);
        }
        let concerned = snapshot.local_joined().any(|user| self.service.has_user(user));
        if self.concerned.len() >= CONCERNED_MAX {
            self.concerned.clear();
        }
        self.concerned.insert(room.clone(), (snapshot.group(), concerned));
        Ok(concerned)
    }

    fn is_about_its_user(&self, known: &Known) -> bool {
        let event = known.event();
        let target = event.state_key().filter(|_| *event.kind() == TimelineEventType::RoomMember);
        target.and_then(|user| <&UserId>::try_from(user).ok()).is_some_and(|user| self.service.has_user(user))
    }

    /// Invites of its users into rooms that this server is not in.
    async fn gather_outside_invites(&self, user: &UserId, commit: &Commit, gathered: &mut Gathered) -> Result<()> {
        let rooms = self.push.rooms();
        let before = Position(commit.first.0.saturating_sub(1));
        for (_, room) in rooms.membership_changes(user, before, commit.last).await? {
            let Some(row) = rooms.membership(user, &room).await? else { continue };
            let is_here = rooms.snapshot(&room).await.is_ok_and(|snapshot| snapshot.is_local());
            if is_here || row.membership != Membership::Invite {
                continue;
            }
            let stripped = rooms.stripped_state(user, &room).await?;
            let stripped: Vec<Value> = stripped.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
            let invite = json!({
                "type": "m.room.member", "room_id": room, "sender": row.sender, "state_key": user,
                "event_id": row.event_id, "origin_server_ts": self.push.now_ms(),
                "content": { "membership": "invite" }, "unsigned": { "invite_room_state": stripped },
            });
            gathered.events.extend(serde_json::value::to_raw_value(&invite).ok());
        }
        Ok(())
    }

    async fn gather_devices(&mut self, subject: &Subject, commit: &Commit, gathered: &mut Gathered) -> Result<()> {
        let service = self.service.clone();
        let registration = &service.registration;
        if let Some(user) = named(subject, INBOX_SUBJECT)
            && registration.receives_ephemeral
            && self.service.has_user(user)
        {
            self.gather_inbox(user, commit, gathered).await?;
        } else if let Some(user) = named(subject, DEVICES_SUBJECT)
            && registration.receives_devices
            && (self.service.has_user(user) || self.meets(user).await?)
        {
            gathered.changed.insert(user.to_owned());
        } else if let Some(user) = named(subject, ONE_TIME_SUBJECT)
            && registration.receives_devices
            && self.service.has_user(user)
        {
            self.gather_keys(user, gathered).await?;
        }
        Ok(())
    }

    async fn gather_inbox(&self, user: &UserId, commit: &Commit, gathered: &mut Gathered) -> Result<()> {
        let accounts = self.push.accounts();
        gathered.inboxes.insert(user.to_owned());
        let before = Position(commit.first.0.saturating_sub(1));
        for device in accounts.device_ids(user).await? {
            let page = accounts.inbox_page(user, &device, before, commit.last, TO_DEVICE_MAX).await?;
            gathered.to_device.extend(page.into_iter().filter_map(|message| {
                let content: Value = serde_json::from_str(&message.content).ok()?;
                Some(json!({
                    "type": message.kind, "sender": message.sender, "content": content,
                    "to_user_id": user, "to_device_id": device,
                }))
            }));
        }
        if self.service.registration.receives_devices {
            self.gather_keys(user, gathered).await?;
        }
        Ok(())
    }

    async fn gather_keys(&self, user: &UserId, gathered: &mut Gathered) -> Result<()> {
        let accounts = self.push.accounts();
        for device in accounts.device_ids(user).await? {
            let counts = accounts.one_time_key_counts(user, &device).await?;
            let unused = accounts.unused_fallback_key_types(user, &device).await?;
            gathered.key_counts.entry(user.to_string()).or_default().insert(device.to_string(), json!(counts));
            gathered.fallback_keys.entry(user.to_string()).or_default().insert(device.to_string(), json!(unused));
        }
        Ok(())
    }

    /// Whether somebody is in a room that concerns the service.
    async fn meets(&mut self, user: &UserId) -> Result<bool> {
        for room in self.push.rooms().joined_rooms(user).await? {
            let snapshot = match self.push.rooms().snapshot(&room).await {
                Err(RoomError::UnknownRoom(_)) => continue,
                found => found?,
            };
            if self.is_concerned(&snapshot).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the messages to devices that the service has by now.
    pub(super) async fn acknowledge(&self, users: BTreeSet<OwnedUserId>, through: Position) -> Result<()> {
        for user in users {
            for device in self.push.accounts().device_ids(&user).await? {
                self.push.accounts().acknowledge_to_device(&user, &device, through).await?;
            }
        }
        Ok(())
    }

    /// Who is typing in a room that concerns the service.
    pub(super) async fn typing_news(&mut self, change: Option<TypingChange>) -> Option<Value> {
        let room = change?.room;
        let snapshot = self.push.rooms().snapshot(&room).await.ok()?;
        if !self.is_concerned(&snapshot).await.ok()? {
            return None;
        }
        let typing = self.push.rooms().typing().in_room(&room);
        Some(json!({ "type": "m.typing", "room_id": room, "content": { "user_ids": typing } }))
    }

    /// That somebody is there, if the service has to do with them.
    pub(super) async fn presence_news(&mut self, user: Option<OwnedUserId>) -> Option<Value> {
        let user = user?;
        if !self.service.has_user(&user) && !self.meets(&user).await.ok()? {
            return None;
        }
        let book = self.push.accounts().presence();
        let presence = book.of(&user);
        let mut content = json!({ "presence": presence.state, "currently_active": book.is_active(&presence) });
        if let Some(ago) = book.active_ago(&presence) {
            content["last_active_ago"] = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX).into();
        }
        if let Some(message) = &presence.status_message {
            content["status_msg"] = message.as_str().into();
        }
        Some(json!({ "type": "m.presence", "sender": user, "content": content }))
    }
}
