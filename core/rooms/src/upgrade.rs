//! Upgrading a room: a new one that continues it, a tombstone that says so, and what moves from one to the other.

mod levels;

use levels::{Privileged, highest, passed_on};
use lyceum_events::{Draft, rules_of};
use lyceum_storage::{Batch, Subject};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId,
    events::{StateEventType, TimelineEventType, room::power_levels::UserPowerLevel},
    room_version_rules::RoomVersionRules,
};

use crate::{
    InitialState, Membership, NewRoom, Preset, Result, RoomError, Rooms, Sender, Snapshot,
    send::unknown_is_forbidden,
    tables::{ALIASES, LISTED, ROOM_ALIASES, StoredAlias},
};

/// State that moves to the new room. Power levels come last, so that they do not stand in the way of the rest.
const MOVING: [StateEventType; 8] = [
    StateEventType::RoomServerAcl,
    StateEventType::RoomEncryption,
    StateEventType::RoomName,
    StateEventType::RoomTopic,
    StateEventType::RoomAvatar,
    StateEventType::RoomGuestAccess,
    StateEventType::RoomHistoryVisibility,
    StateEventType::RoomJoinRules,
];
/// Bans that move to the new room.
const BANS_MAX: usize = 1_000;

impl Rooms {
    /// Replaces a room by one of another version. Answers with the new room.
    pub async fn upgrade(
        &self,
        user: &UserId,
        room: &RoomId,
        version: &RoomVersionId,
        creators: &[OwnedUserId],
    ) -> Result<OwnedRoomId> {
        let rules = rules_of(version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        let old = self.snapshot(room).await.map_err(unknown_is_forbidden)?;
        if !old.is_joined(user) || !old.power_levels().user_can_send_state(user, StateEventType::RoomTombstone) {
            return Err(RoomError::forbidden("you may not upgrade this room"));
        }
        let levels = Self::passed_on_levels(user, &old, &rules, creators);
        let new = NewRoom {
            version: Some(version.clone()),
            creation_content: self.continuing(&old, &rules, creators).await?,
            preset: Preset::PrivateChat,
            initial_state: self.moving_state(&old).await?,
            power_levels: levels.as_ref().and_then(|levels| first_levels(user, levels, &rules)),
            last_state: self.last_state(&old, levels).await?,
            ..NewRoom::default()
        };
        let successor = self.create(user, new).await?.room_id;
        let tombstone = CanonicalJsonObject::from([
            ("body".to_owned(), "This room has been replaced".into()),
            ("replacement_room".to_owned(), successor.to_string().into()),
        ]);
        let draft = Draft::state(TimelineEventType::RoomTombstone, "", tombstone);
        self.send(Sender::of(user), room, draft).await?;
        self.move_aliases(user, room, &successor).await?;
        self.quieten(user, &old).await?;
        Ok(successor)
    }

    /// The content of the create event of a room that continues another.
    async fn continuing(
        &self,
        old: &Snapshot,
        rules: &RoomVersionRules,
        creators: &[OwnedUserId],
    ) -> Result<CanonicalJsonObject> {
        let create = old.kept(&StateEventType::RoomCreate);
        let mut content: CanonicalJsonObject = create.and_then(|event| event.content_as()).unwrap_or_default();
        for field in ["creator", "room_version", "predecessor", "additional_creators"] {
            content.remove(field);
        }
        let mut predecessor = CanonicalJsonObject::from([("room_id".to_owned(), old.room_id().to_string().into())]);
        // Since version 12 the event is not named: the new room's id would depend on it.
        if !rules.authorization.room_create_event_id_as_room_id
            && let Some(last) = self.since(old.room_id(), i64::MIN, i64::MAX, 1).await?.0.pop()
        {
            predecessor.insert("event_id".to_owned(), last.id().to_string().into());
        }
        content.insert("predecessor".to_owned(), predecessor.into());
        if rules.authorization.additional_room_creators && !creators.is_empty() {
            let creators = creators.iter().map(|user| user.to_string().into()).collect();
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
        }
        Ok(content)
    }

    async fn moving_state(&self, old: &Snapshot) -> Result<Vec<InitialState>> {
        let mut moving: Vec<_> = MOVING
            .iter()
            .filter_map(|kind| {
                let content = old.kept(kind)?.content_as()?;
                Some(InitialState { kind: kind.clone(), state_key: String::new(), content })
            })
            .collect();
        if old.facts().is_space() {
            let ids: Vec<_> = old.state().of_type(&StateEventType::SpaceChild).map(|(_, id)| id.clone()).collect();
            for known in self.must_know_all(ids.iter()).await? {
                let content: CanonicalJsonObject = known.event().content_as().unwrap_or_default();
                if content.contains_key("via") {
                    let state_key = known.event().state_key().unwrap_or_default().to_owned();
                    moving.push(InitialState { kind: StateEventType::SpaceChild, state_key, content });
                }
            }
        }
        Ok(moving)
    }

    /// The power levels of the old room as the new version has them.
    fn passed_on_levels(
        user: &UserId,
        old: &Snapshot,
        rules: &RoomVersionRules,
        creators: &[OwnedUserId],
    ) -> Option<CanonicalJsonObject> {
        let levels = old.kept(&StateEventType::RoomPowerLevels)?.content_as()?;
        let before = match old.rules().authorization.explicitly_privilege_room_creators {
            true => old.facts().creators.as_slice(),
            false => &[],
        };
        let after: Vec<_> = match rules.authorization.explicitly_privilege_room_creators {
            true => std::iter::once(user).chain(creators.iter().map(|creator| &**creator)).collect(),
            false => Vec::new(),
        };
        Some(passed_on(levels, &Privileged { before, after: &after }))
    }

    /// Bans, and then the power levels.
    async fn last_state(&self, old: &Snapshot, levels: Option<CanonicalJsonObject>) -> Result<Vec<InitialState>> {
        let banned = old.state().members().filter(|(_, member)| member.membership == Membership::Ban);
        let ids: Vec<_> = banned.take(BANS_MAX).map(|(_, member)| member.event_id.clone()).collect();
        let mut state = Vec::new();
        for known in self.must_know_all(ids.iter()).await? {
            let mut content: CanonicalJsonObject = known.event().content_as().unwrap_or_default();
            content.retain(|field, _| field == "membership" || field == "reason");
            let state_key = known.event().state_key().unwrap_or_default().to_owned();
            state.push(InitialState { kind: StateEventType::RoomMember, state_key, content });
        }
        state.extend(levels.map(|content| InitialState {
            kind: StateEventType::RoomPowerLevels,
            state_key: String::new(),
            content,
        }));
        Ok(state)
    }

    /// Aliases of this server, and the place in the directory, go to the new room.
    async fn move_aliases(&self, user: &UserId, old: &RoomId, new: &RoomId) -> Result<()> {
        let mut batch = Batch::new();
        for alias in self.aliases_of(old).await? {
            let Some(row) = self.store().get(&ALIASES, alias.as_str()).await? else { continue };
            let moved = StoredAlias { room_id: new.to_string(), creator: row.creator.clone() };
            batch.expect(&ALIASES, alias.as_str(), Some(&row)).put(&ALIASES, alias.as_str(), &moved);
            batch.delete(&ROOM_ALIASES, (old.as_str(), alias.as_str()));
            batch.put(&ROOM_ALIASES, (new.as_str(), alias.as_str()), &());
        }
        if self.is_listed(old).await? {
            batch.delete(&LISTED, old.as_str()).put(&LISTED, new.as_str(), &());
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.touch(Subject::other("directory"));
        self.store().commit(batch).await?;
        self.move_canonical_alias(user, old, new).await
    }

    async fn move_canonical_alias(&self, user: &UserId, old: &RoomId, new: &RoomId) -> Result<()> {
        let kind = StateEventType::RoomCanonicalAlias;
        let snapshot = self.snapshot(old).await?;
        let Some(content) = snapshot.kept(&kind).and_then(|event| event.content_as()) else { return Ok(()) };
        allowed(self.set_state(Sender::of(user), new, (kind.clone(), ""), content).await)?;
        allowed(self.set_state(Sender::of(user), old, (kind, ""), CanonicalJsonObject::new()).await)
    }

    /// Nobody goes on talking in the old room (spec, "Server behaviour" of upgrades), if the upgrader may decide that.
    async fn quieten(&self, user: &UserId, old: &Snapshot) -> Result<()> {
        let levels = old.power_levels();
        let quiet = i64::from(levels.users_default).saturating_add(1).max(50);
        let may = match levels.for_user(user) {
            UserPowerLevel::Int(level) => i64::from(level) >= quiet,
            _ => true,
        };
        let Some(event) = old.kept(&StateEventType::RoomPowerLevels).filter(|_| may) else { return Ok(()) };
        let mut content: CanonicalJsonObject = event.content_as().unwrap_or_default();
        for field in ["events_default", "invite"] {
            let needed = js_int::Int::new_saturating(quiet);
            content.insert(field.to_owned(), CanonicalJsonValue::Integer(needed));
        }
        let key = (StateEventType::RoomPowerLevels, "");
        allowed(self.set_state(Sender::of(user), old.room_id(), key, content).await)
    }
}

/// What the new room's levels begin with, so that its creator may set the ones passed on: nobody sets a number above their own.
fn first_levels(user: &UserId, levels: &CanonicalJsonObject, rules: &RoomVersionRules) -> Option<CanonicalJsonObject> {
    if rules.authorization.explicitly_privilege_room_creators {
        return None;
    }
    let users = CanonicalJsonObject::from([(user.to_string(), CanonicalJsonValue::Integer(highest(levels)))]);
    Some(CanonicalJsonObject::from([("users".to_owned(), users.into())]))
}

/// A step that the room's rules may forbid without harm to the whole.
fn allowed<T>(done: Result<T>) -> Result<()> {
    match done {
        Ok(_) | Err(RoomError::Forbidden(_) | RoomError::Refused { .. } | RoomError::BadAlias(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
