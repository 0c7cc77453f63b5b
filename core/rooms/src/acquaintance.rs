//! Whom a person may find: those they share a room with, and those in rooms that are open to everybody (spec, "User
//! Directory": these "MUST at a minimum" be considered).

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, room::JoinRule};
use serde::Deserialize;
use std::collections::HashSet;

use crate::{MemberProfile, Membership, Result, RoomError, Rooms, Snapshot, tables::LISTED};

/// People of other servers that one search looks at.
const LOOKED_AT_MAX: usize = 10_000;
/// Listed rooms that one search looks at.
const LISTED_MAX: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    displayname: Option<String>,
    avatar_url: Option<String>,
}

impl Rooms {
    /// Whether a person may find another of this server.
    pub async fn may_find(&self, searcher: &UserId, other: &UserId) -> Result<bool> {
        if searcher != other && self.share_a_room(searcher, other).await? {
            return Ok(true);
        }
        for (room, row) in self.memberships(other).await? {
            if row.membership == Membership::Join
                && let Some(snapshot) = self.snapshot_if_any(&room).await?
                && (snapshot.facts().join_rule == JoinRule::Public || self.is_listed(&room).await?)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// People of other servers whom a person may find and who fit, as their rooms show them.
    pub async fn people_elsewhere(
        &self,
        searcher: &UserId,
        limit: usize,
        fit: impl Fn(&UserId, Option<&str>) -> bool,
    ) -> Result<Vec<(OwnedUserId, MemberProfile)>> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        for room in self.rooms_to_search(searcher).await? {
            let Some(snapshot) = self.snapshot_if_any(&room).await? else { continue };
            if !snapshot.servers().any(|(server, _)| server != self.server()) {
                continue;
            }
            for (user, shown) in self.members_elsewhere(&snapshot, &mut seen).await? {
                if fit(&user, shown.displayname.as_deref()) {
                    found.push((user, shown));
                }
                if found.len() >= limit {
                    return Ok(found);
                }
            }
            if seen.len() >= LOOKED_AT_MAX {
                break;
            }
        }
        Ok(found)
    }

    async fn rooms_to_search(&self, searcher: &UserId) -> Result<Vec<OwnedRoomId>> {
        let mut rooms = self.joined_rooms(searcher).await?;
        let listed = self.store().scan(&LISTED, LISTED.all().limit(LISTED_MAX)).await?;
        rooms.extend(listed.into_iter().filter_map(|(room, ())| OwnedRoomId::try_from(room).ok()));
        Ok(rooms)
    }

    async fn members_elsewhere(
        &self,
        snapshot: &Snapshot,
        seen: &mut HashSet<OwnedUserId>,
    ) -> Result<Vec<(OwnedUserId, MemberProfile)>> {
        let members = snapshot
            .state()
            .members()
            .filter(|(user, member)| member.membership == Membership::Join && !self.is_local(user));
        let room_for = LOOKED_AT_MAX.saturating_sub(seen.len());
        let (users, ids): (Vec<_>, Vec<_>) = members
            .filter(|(user, _)| seen.insert((*user).clone()))
            .take(room_for)
            .map(|(user, member)| (user.clone(), member.event_id.clone()))
            .unzip();
        let known = self.known_many(&ids).await?;
        let shown = known.into_iter().map(|known| {
            let shown: Shown = known.and_then(|known| known.event().content_as()).unwrap_or_default();
            MemberProfile { displayname: shown.displayname, avatar_url: shown.avatar_url }
        });
        Ok(users.into_iter().zip(shown).collect())
    }

    async fn snapshot_if_any(&self, room: &RoomId) -> Result<Option<std::sync::Arc<Snapshot>>> {
        match self.snapshot(room).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(RoomError::UnknownRoom(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
