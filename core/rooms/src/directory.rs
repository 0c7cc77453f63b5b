//! The directory: the rooms that are listed, looked through by words and kinds, the largest first.

use lyceum_storage::Batch;
use ruma::{
    OwnedRoomId, RoomId, UInt,
    directory::{Filter, PublicRoomsChunk, PublicRoomsChunkInit, RoomNetwork, RoomTypeFilter},
    room::RoomSummary,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::{
    Asker, Result, RoomError, Rooms,
    tables::{HEADS, LISTED, LISTED_BY_NETWORK},
};

/// Rooms that the directory lists at most.
const LISTED_MAX: usize = 10_000;
/// Rooms on one page at most.
const PAGE_ROOMS_MAX: usize = 500;
/// How a token begins that says from where the next page is asked for.
const TOKEN: &str = "d1_";

/// What somebody looks for in the directory.
#[derive(Debug, Clone, Default)]
pub struct DirectoryQuery {
    /// Words in name, topic or alias.
    pub term: Option<String>,
    /// Kinds of rooms; empty: all.
    pub kinds: Vec<RoomTypeFilter>,
    /// How many rooms were seen on the pages before.
    pub skip: usize,
    /// Rooms wanted on this page.
    pub limit: Option<usize>,
}

impl DirectoryQuery {
    /// What a request asks for, and from where on.
    pub fn of(filter: &Filter, since: Option<&str>, limit: Option<UInt>) -> Result<Self> {
        let skip = |since: &str| since.strip_prefix(TOKEN).and_then(|skip| skip.parse().ok());
        let wrong = || RoomError::InvalidParam("the token was not made by this server".to_owned());
        Ok(Self {
            term: filter.generic_search_term.clone(),
            kinds: filter.room_types.clone(),
            skip: since.map_or(Ok(0), |since| skip(since).ok_or_else(wrong))?,
            limit: limit.map(|limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)),
        })
    }
}

/// A page of the directory.
#[derive(Debug, Clone)]
pub struct DirectoryPage {
    /// The rooms.
    pub rooms: Vec<RoomSummary>,
    /// How many rooms there are on all pages.
    pub total: usize,
    /// How many rooms come before the next page, if there is one.
    pub next: Option<usize>,
    /// How many rooms come before the page before, if there is one.
    pub previous: Option<usize>,
}

impl DirectoryPage {
    /// The page as it is told, in a client's form and another server's: the two are the same.
    pub fn listing(&self) -> Value {
        let rooms: Vec<_> = self.rooms.iter().cloned().map(listed).collect();
        listing(&rooms, (self.next_token(), self.previous_token()), u64::try_from(self.total).ok())
    }

    /// From where the next page is asked for.
    pub fn next_token(&self) -> Option<String> {
        self.next.map(|skip| format!("{TOKEN}{skip}"))
    }

    /// From where the page before is asked for.
    pub fn previous_token(&self) -> Option<String> {
        self.previous.map(|skip| format!("{TOKEN}{skip}"))
    }
}

/// A page of rooms as it is told. Their `join_rule` is always said: "When not present, the room is assumed to be `public`",
/// but clients are kinder to what they need not assume.
pub fn listing(
    rooms: &[PublicRoomsChunk],
    (next, previous): (Option<String>, Option<String>),
    total: Option<u64>,
) -> Value {
    let said = |room: &PublicRoomsChunk| {
        let mut said = serde_json::to_value(room).unwrap_or_default();
        if let Some(said) = said.as_object_mut() {
            said.insert("join_rule".to_owned(), room.join_rule.as_str().into());
        }
        said
    };
    let mut page = json!({ "chunk": rooms.iter().map(said).collect::<Vec<_>>() });
    for (name, token) in [("next_batch", next), ("prev_batch", previous)] {
        if let Some(token) = token {
            page[name] = token.into();
        }
    }
    if let Some(total) = total {
        page["total_room_count_estimate"] = total.into();
    }
    page
}

fn listed(room: RoomSummary) -> PublicRoomsChunk {
    let mut chunk = PublicRoomsChunk::from(PublicRoomsChunkInit {
        num_joined_members: room.num_joined_members,
        room_id: room.room_id,
        world_readable: room.world_readable,
        guest_can_join: room.guest_can_join,
    });
    chunk.join_rule = room.join_rule.as_str().into();
    (chunk.name, chunk.topic, chunk.avatar_url) = (room.name, room.topic, room.avatar_url);
    (chunk.canonical_alias, chunk.room_type) = (room.canonical_alias, room.room_type);
    chunk
}

impl Rooms {
    /// All rooms of which this server has a state, in order of their ids, after one of them.
    pub async fn ids_after(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<OwnedRoomId>> {
        let scan = match after {
            Some(after) => HEADS.all().after(&HEADS, after.as_str()),
            None => HEADS.all(),
        };
        let rows = self.store().scan(&HEADS, scan.limit(limit)).await?;
        let id = |room: String| OwnedRoomId::try_from(room).map_err(|error| RoomError::Damaged(error.to_string()));
        rows.into_iter().map(|(room, _)| id(room)).collect()
    }

    /// A page of the directory: of the server's own, of what application services list for a network that they bridge to, or
    /// of all together.
    pub async fn directory(
        &self,
        asker: Asker<'_>,
        network: &RoomNetwork,
        query: &DirectoryQuery,
    ) -> Result<DirectoryPage> {
        let mut rooms = BTreeSet::new();
        if matches!(network, RoomNetwork::Matrix | RoomNetwork::All) {
            let listed = self.store().scan(&LISTED, LISTED.all().limit(LISTED_MAX)).await?;
            rooms.extend(listed.into_iter().map(|(room, ())| room));
        }
        let bridged = match network {
            RoomNetwork::ThirdParty(network) => Some(LISTED_BY_NETWORK.prefix((network.as_str(),))),
            RoomNetwork::All => Some(LISTED_BY_NETWORK.all()),
            _ => None,
        };
        if let Some(bridged) = bridged {
            let listed = self.store().scan(&LISTED_BY_NETWORK, bridged.limit(LISTED_MAX)).await?;
            rooms.extend(listed.into_iter().map(|((_, room), ())| room));
        }
        self.directory_page(rooms.into_iter(), asker, query).await
    }

    /// Lists a room in the directory of a network, or no longer, as its application service says.
    pub async fn set_listed_by_network(&self, network: &str, room: &RoomId, listed: bool) -> Result<()> {
        self.snapshot(room).await?;
        let mut batch = Batch::new();
        match listed {
            true => batch.put(&LISTED_BY_NETWORK, (network, room.as_str()), &()),
            false => batch.delete(&LISTED_BY_NETWORK, (network, room.as_str())),
        };
        self.store().commit(batch).await?;
        Ok(())
    }

    async fn directory_page(
        &self,
        listed: impl Iterator<Item = String> + Send,
        asker: Asker<'_>,
        query: &DirectoryQuery,
    ) -> Result<DirectoryPage> {
        let mut found = Vec::new();
        for room in listed {
            let Ok(room) = OwnedRoomId::try_from(room) else { continue };
            match self.snapshot(&room).await {
                Ok(snapshot) if snapshot.joined_count() > 0 && self.0.judge.shows(asker, &snapshot).await => {
                    found.push(snapshot.summary());
                }
                Ok(_) | Err(RoomError::UnknownRoom(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let term = query.term.as_deref().map(str::to_lowercase).filter(|term| !term.is_empty());
        found.retain(|room| is_of_kind(room, &query.kinds) && term.as_deref().is_none_or(|term| names(room, term)));
        found.sort_by(|a, b| (b.num_joined_members, &a.room_id).cmp(&(a.num_joined_members, &b.room_id)));
        let total = found.len();
        let limit = query.limit.unwrap_or(PAGE_ROOMS_MAX).clamp(1, PAGE_ROOMS_MAX);
        let end = query.skip.saturating_add(limit);
        Ok(DirectoryPage {
            rooms: found.into_iter().skip(query.skip).take(limit).collect(),
            next: (end < total).then_some(end),
            previous: (query.skip > 0).then(|| query.skip.saturating_sub(limit)),
            total,
        })
    }
}

fn is_of_kind(room: &RoomSummary, kinds: &[RoomTypeFilter]) -> bool {
    let kind = room.room_type.as_ref().map(ToString::to_string);
    kinds.is_empty() || kinds.iter().any(|wanted| wanted.as_str() == kind.as_deref())
}

fn names(room: &RoomSummary, term: &str) -> bool {
    let alias = room.canonical_alias.as_ref().map(|alias| alias.as_str());
    let texts = [room.name.as_deref(), room.topic.as_deref(), alias];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(term))
}
