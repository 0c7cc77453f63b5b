//! Reading who is in which room.

use imbl::OrdMap;
use lyceum_events::Event;
use lyceum_storage::Position;
use quick_cache::sync::Cache;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    Membership, Result, Rooms,
    groups::parse_event_id,
    tables::{MEMBERSHIP_LOG, MEMBERSHIPS, STRIPPED, StoredMembership},
    write::membership_of,
};

/// Memberships that one person may have.
const MEMBERSHIPS_MAX: usize = 100_000;
/// People whose memberships are kept in memory.
const PEOPLE_IN_MEMORY_MAX: usize = 20_000;

/// A person's membership of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipRow {
    /// The room.
    pub room_id: OwnedRoomId,
    /// How the person stands to it.
    pub membership: Membership,
    /// The event that says so.
    pub event_id: OwnedEventId,
    /// Who sent that.
    pub sender: OwnedUserId,
    /// When it came to this server.
    pub position: Position,
    /// Whether the person wants to hear no more of the room.
    pub forgotten: bool,
}

/// A person's memberships by room. Cloning shares.
pub type Members = OrdMap<OwnedRoomId, MembershipRow>;

impl MembershipRow {
    pub(crate) fn of(event: &Event, position: u64) -> Self {
        Self {
            room_id: event.room().to_owned(),
            membership: membership_of(event),
            event_id: event.id().clone(),
            sender: event.sender().to_owned(),
            position: Position(position),
            forgotten: false,
        }
    }

    pub(crate) fn stored(&self) -> StoredMembership {
        StoredMembership {
            membership: self.membership,
            event_id: self.event_id.to_string(),
            sender: self.sender.to_string(),
            position: self.position.0,
            forgotten: self.forgotten,
        }
    }

    fn read(room: String, stored: StoredMembership) -> Result<Self> {
        let damaged = |error: ruma::IdParseError| crate::RoomError::Damaged(format!("a membership: {error}"));
        Ok(Self {
            room_id: room.try_into().map_err(damaged)?,
            membership: stored.membership,
            event_id: parse_event_id(stored.event_id)?,
            sender: stored.sender.try_into().map_err(damaged)?,
            position: Position(stored.position),
            forgotten: stored.forgotten,
        })
    }
}

/// The memberships of people who were looked for, advanced by commits.
pub(crate) struct Memberships {
    by_user: Cache<OwnedUserId, Members>,
    /// Goes up with every change: what was read before may be old.
    changes: AtomicU64,
}

impl Default for Memberships {
    fn default() -> Self {
        Self { by_user: Cache::new(PEOPLE_IN_MEMORY_MAX), changes: AtomicU64::default() }
    }
}

impl Memberships {
    pub(crate) fn changed(&self, user: &UserId, row: MembershipRow) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        if let Some(mut rows) = self.by_user.get(user) {
            rows.insert(row.room_id.clone(), row);
            self.by_user.insert(user.to_owned(), rows);
        }
    }

    pub(crate) fn drop_user(&self, user: &UserId) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.by_user.remove(user);
    }
}

impl Rooms {
    /// All memberships of a person, forgotten rooms included.
    pub async fn memberships(&self, user: &UserId) -> Result<Members> {
        let cache = &self.0.memberships;
        if let Some(rows) = cache.by_user.get(user) {
            return Ok(rows);
        }
        let changes = cache.changes.load(Ordering::Acquire);
        let scan = MEMBERSHIPS.prefix((user.as_str(),)).limit(MEMBERSHIPS_MAX);
        let mut rows = Members::new();
        for ((_, room), stored) in self.store().scan(&MEMBERSHIPS, scan).await? {
            let row = MembershipRow::read(room, stored)?;
            rows.insert(row.room_id.clone(), row);
        }
        if cache.changes.load(Ordering::Acquire) == changes {
            cache.by_user.insert(user.to_owned(), rows.clone());
        }
        Ok(rows)
    }

    /// How a person stands to a room, also one that this server is not in.
    pub async fn membership(&self, user: &UserId, room: &RoomId) -> Result<Option<MembershipRow>> {
        Ok(self.memberships(user).await?.get(room).cloned())
    }

    /// The rooms a person is in.
    pub async fn joined_rooms(&self, user: &UserId) -> Result<Vec<OwnedRoomId>> {
        let rows = self.memberships(user).await?;
        let joined = rows.into_iter().filter(|(_, row)| row.membership == Membership::Join);
        Ok(joined.map(|(room, _)| room).collect())
    }

    /// The rooms in which a local person's membership changed in `(since, to]`, in order, repeated if it changed twice.
    pub async fn membership_changes(
        &self,
        user: &UserId,
        since: Position,
        to: Position,
    ) -> Result<Vec<(Position, OwnedRoomId)>> {
        let scan = MEMBERSHIP_LOG
            .prefix((user.as_str(),))
            .after(&MEMBERSHIP_LOG, (user.as_str(), since.0))
            .through(&MEMBERSHIP_LOG, (user.as_str(), to.0))
            .limit(MEMBERSHIPS_MAX);
        let rows = self.store().scan(&MEMBERSHIP_LOG, scan).await?;
        let parse = |room: String| OwnedRoomId::try_from(room).ok();
        Ok(rows.into_iter().filter_map(|((_, at), room)| Some((Position(at), parse(room)?))).collect())
    }

    /// The stripped state that came with an invite to, or a knock on, a room that this server is not in.
    pub async fn stripped_state(&self, user: &UserId, room: &RoomId) -> Result<Vec<String>> {
        Ok(self.store().get(&STRIPPED, (user.as_str(), room.as_str())).await?.unwrap_or_default())
    }

    /// Whether two people are in a room together.
    pub async fn share_a_room(&self, one: &UserId, other: &UserId) -> Result<bool> {
        self.share_a_room_since(one, other, Position(u64::MAX)).await
    }

    /// Whether two people have been in a room together all the time since a position.
    pub async fn share_a_room_since(&self, one: &UserId, other: &UserId, since: Position) -> Result<bool> {
        let (ones, others) = (self.memberships(one).await?, self.memberships(other).await?);
        let (fewer, more) = if ones.len() < others.len() { (ones, others) } else { (others, ones) };
        let joined = |row: &MembershipRow| row.membership == Membership::Join && row.position <= since;
        Ok(fewer.iter().any(|(room, row)| joined(row) && more.get(room).is_some_and(joined)))
    }
}
