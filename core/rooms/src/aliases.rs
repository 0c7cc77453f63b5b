//! Room aliases of this server, and which rooms its directory lists.

use lyceum_events::Draft;
use lyceum_storage::{Batch, CommitError, Subject};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
};
use std::collections::BTreeSet;

use crate::{
    Result, RoomError, Rooms, Sender,
    tables::{ALIASES, LISTED, ROOM_ALIASES, StoredAlias},
    write::Writing,
};

/// Aliases that one room may have here.
const ROOM_ALIASES_MAX: usize = 500;

impl Rooms {
    /// The room an alias of this server points at.
    pub async fn resolve_alias(&self, alias: &RoomAliasId) -> Result<Option<OwnedRoomId>> {
        let row = self.store().get(&ALIASES, alias.as_str()).await?;
        Ok(row.and_then(|row| OwnedRoomId::try_from(row.room_id).ok()))
    }

    /// The aliases of this server that point at a room.
    pub async fn aliases_of(&self, room: &RoomId) -> Result<Vec<OwnedRoomAliasId>> {
        let scan = ROOM_ALIASES.prefix((room.as_str(),)).limit(ROOM_ALIASES_MAX);
        let rows = self.store().scan(&ROOM_ALIASES, scan).await?;
        Ok(rows.into_iter().filter_map(|((_, alias), ())| alias.try_into().ok()).collect())
    }

    pub(crate) async fn check_alias_is_free(&self, alias: &RoomAliasId) -> Result<()> {
        if alias.server_name() != self.server() {
            return Err(RoomError::InvalidParam("an alias made here has to end in this server's name".to_owned()));
        }
        match self.store().get(&ALIASES, alias.as_str()).await? {
            Some(_) => Err(RoomError::RoomInUse(format!("the alias {alias} is taken"))),
            None => Ok(()),
        }
    }

    /// Points an alias at a room.
    pub async fn make_alias(&self, user: &UserId, alias: &RoomAliasId, room: &RoomId) -> Result<()> {
        self.check_alias_is_free(alias).await?;
        if self.aliases_of(room).await?.len() >= ROOM_ALIASES_MAX {
            return Err(RoomError::Limit(format!("a room has at most {ROOM_ALIASES_MAX} aliases here")));
        }
        let mut batch = Batch::new();
        put_alias(&mut batch, alias, room, user);
        match self.store().commit(batch).await {
            Err(CommitError::Conflict(_)) => Err(RoomError::RoomInUse(format!("the alias {alias} is taken"))),
            done => done.map(drop).map_err(Into::into),
        }
    }

    /// Takes an alias away: whoever made it may, and whoever may name the room.
    pub async fn remove_alias(&self, user: &UserId, alias: &RoomAliasId, as_admin: bool) -> Result<()> {
        let row = self.store().get(&ALIASES, alias.as_str()).await?;
        let row = row.ok_or(RoomError::NotFound("there is no such alias"))?;
        let room = OwnedRoomId::try_from(row.room_id.as_str())
            .map_err(|error| RoomError::Damaged(format!("alias {alias}: {error}")))?;
        if !as_admin && row.creator != user.as_str() && !self.may_name(user, &room).await? {
            return Err(RoomError::forbidden("the alias is not yours, and you may not name the room"));
        }
        let mut batch = Batch::new();
        batch.expect(&ALIASES, alias.as_str(), Some(&row));
        batch.delete(&ALIASES, alias.as_str()).delete(&ROOM_ALIASES, (room.as_str(), alias.as_str()));
        batch.touch(Subject::other("aliases"));
        match self.store().commit(batch).await {
            Err(CommitError::Conflict(_)) => Err(RoomError::NotFound("there is no such alias")),
            done => done.map(drop).map_err(RoomError::from),
        }?;
        self.unname(user, &room, alias).await
    }

    /// Takes an alias that is gone out of the room's `m.room.canonical_alias`, if whoever removed it may.
    async fn unname(&self, user: &UserId, room: &RoomId, alias: &RoomAliasId) -> Result<()> {
        if !self.may_name(user, room).await? {
            return Ok(());
        }
        let snapshot = self.snapshot(room).await?;
        let Some(named) = snapshot.kept(&StateEventType::RoomCanonicalAlias) else { return Ok(()) };
        let Some(content) = without_alias(named.content_as().unwrap_or_default(), alias) else { return Ok(()) };
        let draft = Draft::state(TimelineEventType::RoomCanonicalAlias, "", content);
        match self.send(Sender::of(user), room, draft).await {
            // The alias is gone in any case; a room that does not let itself be changed keeps its text.
            Ok(_) | Err(RoomError::Forbidden(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn may_name(&self, user: &UserId, room: &RoomId) -> Result<bool> {
        match self.snapshot(room).await {
            Ok(snapshot) => Ok(snapshot.is_joined(user)
                && snapshot.power_levels().user_can_send_state(user, StateEventType::RoomCanonicalAlias)),
            Err(RoomError::UnknownRoom(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// New aliases in an `m.room.canonical_alias` must point at the room; those of other servers are believed.
    pub(crate) async fn check_aliases(&self, room: &RoomId, content: &CanonicalJsonObject) -> Result<()> {
        let snapshot = match self.snapshot(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(()),
            found => found?,
        };
        let facts = snapshot.facts();
        let had: BTreeSet<_> = facts.canonical_alias.iter().chain(&facts.alt_aliases).collect();
        for alias in named_aliases(content)? {
            if had.contains(&alias) || alias.server_name() != self.server() {
                continue;
            }
            if self.resolve_alias(&alias).await?.as_deref() != Some(room) {
                return Err(RoomError::BadAlias(format!("{alias} does not point at this room")));
            }
        }
        Ok(())
    }

    /// Whether the directory lists a room.
    pub async fn is_listed(&self, room: &RoomId) -> Result<bool> {
        Ok(self.store().get(&LISTED, room.as_str()).await?.is_some())
    }

    /// Lists a room in the directory, or no longer.
    pub async fn set_listed(&self, user: &UserId, room: &RoomId, listed: bool) -> Result<()> {
        let snapshot = self.snapshot(room).await?;
        let may = snapshot.is_joined(user)
            && snapshot.power_levels().user_can_send_state(user, StateEventType::RoomCanonicalAlias);
        if !may {
            return Err(RoomError::forbidden("you may not decide whether the directory lists this room"));
        }
        self.set_listed_by_administrator(room, listed).await
    }

    /// Lists a room in the directory, or no longer: whoever answers for the server may.
    pub async fn set_listed_by_administrator(&self, room: &RoomId, listed: bool) -> Result<()> {
        self.snapshot(room).await?;
        let mut batch = Batch::new();
        match listed {
            true => batch.put(&LISTED, room.as_str(), &()),
            false => batch.delete(&LISTED, room.as_str()),
        };
        batch.touch(Subject::other("directory"));
        self.store().commit(batch).await?;
        Ok(())
    }
}

/// The content without the alias; `None` if it does not name it.
fn without_alias(mut content: CanonicalJsonObject, alias: &RoomAliasId) -> Option<CanonicalJsonObject> {
    let is_it = |value: &CanonicalJsonValue| value.as_str() == Some(alias.as_str());
    let was_main = content.get("alias").is_some_and(is_it);
    if was_main {
        content.remove("alias");
    }
    let mut was_other = false;
    if let Some(CanonicalJsonValue::Array(others)) = content.get_mut("alt_aliases") {
        let count = others.len();
        others.retain(|other| !is_it(other));
        was_other = others.len() < count;
        if others.is_empty() {
            content.remove("alt_aliases");
        }
    }
    (was_main || was_other).then_some(content)
}

fn named_aliases(content: &CanonicalJsonObject) -> Result<Vec<OwnedRoomAliasId>> {
    let wrong = || RoomError::InvalidParam("that is not a room alias".to_owned());
    let parse =
        |value: &CanonicalJsonValue| value.as_str().and_then(|alias| RoomAliasId::parse(alias).ok()).ok_or_else(wrong);
    let mut aliases = Vec::new();
    match content.get("alias") {
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::String(alias)) if alias.is_empty() => {}
        Some(alias) => aliases.push(parse(alias)?),
    }
    match content.get("alt_aliases") {
        None => {}
        Some(CanonicalJsonValue::Array(more)) => {
            for alias in more {
                aliases.push(parse(alias)?);
            }
        }
        Some(_) => return Err(wrong()),
    }
    Ok(aliases)
}

fn put_alias(batch: &mut Batch, alias: &RoomAliasId, room: &RoomId, creator: &UserId) {
    let row = StoredAlias { room_id: room.to_string(), creator: creator.to_string() };
    batch.expect(&ALIASES, alias.as_str(), None).put(&ALIASES, alias.as_str(), &row);
    batch.put(&ROOM_ALIASES, (room.as_str(), alias.as_str()), &());
}

impl Writing {
    /// Points an alias at the room.
    pub(crate) fn add_alias(&mut self, alias: &RoomAliasId, creator: &UserId) {
        let room = self.room.id.clone();
        put_alias(self.batch(), alias, &room, creator);
    }

    /// Lists the room in the directory.
    pub(crate) fn list(&mut self) {
        let room = self.room.id.clone();
        self.batch().put(&LISTED, room.as_str(), &()).touch(Subject::other("directory"));
    }
}
