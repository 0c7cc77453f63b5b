//! Finding things for somebody: what the index gives is looked at again, as the person may see it.

use lyceum_rooms::{Known, Membership, Visibility};
use ruma::{OwnedRoomId, RoomId, UserId, events::room::history_visibility::HistoryVisibility};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    Key, Search,
    error::Result,
    follow::Inner,
    index::{Match, Sought},
    text::text_of,
};

/// Entries looked at for one page at most, when most are hidden or not wanted.
const LOOKED_AT_MAX: usize = 2_000;
/// Entries asked for at once.
const PAGE_ENTRIES: usize = 50;
/// Rooms that one search looks into.
const ROOMS_MAX: usize = 10_000;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sorting {
    /// What fits best.
    Rank,
    /// What was said last.
    Recent,
}

/// A part of what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// Everything.
    All,
    /// What was said in a room.
    Room(String),
    /// What somebody said.
    Sender(String),
}

/// Where a page begins: after so many entries, or before an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Entries passed over, by rank.
    pub offset: usize,
    /// The order of the last entry that was looked at, by time.
    pub before: Option<i64>,
}

/// What somebody looks for.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The words.
    pub term: &'a str,
    /// Where they may stand.
    pub keys: &'a [Key],
    /// What comes first.
    pub sorting: Sorting,
    /// Where the page begins.
    pub from: Place,
    /// What of it is wanted.
    pub group: Group,
    /// Rooms that are looked into although the person is not in them, because they answer for what is said there. Who may is
    /// decided above.
    pub overseen: &'a [OwnedRoomId],
    /// The page's length.
    pub limit: usize,
}

/// Something that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The event.
    pub known: Arc<Known>,
    /// How well it fits.
    pub rank: f32,
}

/// A page of what was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The events.
    pub hits: Vec<Hit>,
    /// How many there are in all, about.
    pub count: usize,
    /// The parts of the texts that were found.
    pub highlights: BTreeSet<String>,
    /// Where the next page begins.
    pub next: Option<Place>,
}

/// A room that is looked into.
struct Open {
    visibility: Visibility,
    /// Everything in it may be seen, so that counting tells nothing that is hidden.
    wholly: bool,
}

impl Search {
    /// Finds what a person may see in those of their rooms that are `wanted_rooms`.
    pub async fn find(
        &self,
        searcher: &UserId,
        query: &Query<'_>,
        wanted_room: impl Fn(&OwnedRoomId) -> bool,
        wanted: impl Fn(&Known) -> bool,
    ) -> Result<Found> {
        let inner = self.inner()?;
        inner.catch_up().await;
        let term = query.term.to_owned();
        let words = inner.blocking(move |index| index.words(&term)).await?;
        let open = inner.open_rooms(searcher, query, wanted_room).await?;
        if words.is_empty() || open.is_empty() {
            return Ok(Found::default());
        }
        let (mut found, mut from, mut looked_at) = (Found::default(), query.from, 0);
        while looked_at < LOOKED_AT_MAX {
            let matches = inner.matches(query, &words, &open, from).await?;
            let is_last = matches.len() < PAGE_ENTRIES;
            for one in matches {
                looked_at += 1;
                from = Place { offset: from.offset + 1, before: Some(one.order) };
                if let Some(hit) = inner.look(&open, one, &wanted).await? {
                    found.hits.push(hit);
                }
                if found.hits.len() == query.limit {
                    found.next = Some(from);
                    return inner.tell(found, query, &words, &open).await;
                }
            }
            if is_last {
                return inner.tell(found, query, &words, &open).await;
            }
        }
        found.next = Some(from);
        inner.tell(found, query, &words, &open).await
    }
}

impl Search {
    /// The latest events with these words, in one room or in all that are not encrypted, whoever is in them: for those who
    /// answer for what is said. Who may look is decided above.
    pub async fn find_anywhere(&self, room: Option<&RoomId>, term: &str, limit: usize) -> Result<Vec<Arc<Known>>> {
        let inner = self.inner()?;
        inner.catch_up().await;
        inner.anywhere(room, term, limit).await
    }
}

impl Inner {
    /// The rooms that the person may look into: those they are in, and those they left.
    async fn open_rooms(
        &self,
        searcher: &UserId,
        query: &Query<'_>,
        wanted: impl Fn(&OwnedRoomId) -> bool,
    ) -> Result<HashMap<OwnedRoomId, Open>> {
        let in_group = |room: &OwnedRoomId| !matches!(&query.group, Group::Room(only) if *only != room.as_str());
        let mut open = HashMap::new();
        for room in query.overseen.iter().filter(|room| in_group(room)) {
            let visibility = self.rooms.oversight(searcher, room).await?;
            open.insert(room.clone(), Open { visibility, wholly: true });
        }
        for (room, row) in self.rooms.memberships(searcher).await? {
            let was_in = matches!(row.membership, Membership::Join | Membership::Leave | Membership::Ban);
            let is_open = open.contains_key(&room);
            if is_open || !was_in || row.forgotten || !in_group(&room) || !wanted(&room) {
                continue;
            }
            let visibility = match self.rooms.visibility(searcher, &room).await {
                Ok(visibility) if visibility.may_look() => visibility,
                _ => continue,
            };
            let snapshot = visibility.snapshot();
            let open_history =
                matches!(snapshot.history_visibility(), HistoryVisibility::Shared | HistoryVisibility::WorldReadable);
            let wholly = open_history && row.membership == Membership::Join;
            open.insert(room, Open { visibility, wholly });
            if open.len() >= ROOMS_MAX {
                break;
            }
        }
        Ok(open)
    }

    /// The latest events of any room with these words, or of one.
    async fn anywhere(&self, room: Option<&RoomId>, term: &str, limit: usize) -> Result<Vec<Arc<Known>>> {
        let (term, rooms) = (term.to_owned(), room.map(|room| vec![room.to_string()]));
        let matched = self
            .blocking(move |index| {
                let words = index.words(&term)?;
                if words.is_empty() {
                    return Ok(Vec::new());
                }
                let rooms = rooms.as_deref();
                index.latest(&Sought { words: &words, keys: &Key::ALL, rooms, sender: None, before: None }, limit)
            })
            .await?;
        let ids: Vec<_> = matched.iter().filter_map(|one| one.event.as_str().try_into().ok()).collect();
        let known = self.rooms.known_many(&ids).await?.into_iter().flatten();
        Ok(known.filter(|known| known.redacted_by().is_none()).collect())
    }

    async fn matches(
        &self,
        query: &Query<'_>,
        words: &[String],
        open: &HashMap<OwnedRoomId, Open>,
        from: Place,
    ) -> Result<Vec<Match>> {
        let rooms: Vec<String> = open.keys().map(ToString::to_string).collect();
        let (words, keys, sorting) = (words.to_vec(), query.keys.to_vec(), query.sorting);
        let sender = sender_of(&query.group);
        self.blocking(move |index| {
            let before = from.before.filter(|_| sorting == Sorting::Recent);
            let sought = Sought { words: &words, keys: &keys, rooms: Some(&rooms), sender: sender.as_deref(), before };
            match sorting {
                Sorting::Rank => index.best(&sought, from.offset, PAGE_ENTRIES),
                Sorting::Recent => index.latest(&sought, PAGE_ENTRIES),
            }
        })
        .await
    }

    /// What was matched, if the person may see it and wants to.
    async fn look(
        &self,
        open: &HashMap<OwnedRoomId, Open>,
        matched: Match,
        wanted: &impl Fn(&Known) -> bool,
    ) -> Result<Option<Hit>> {
        let Ok(id) = matched.event.as_str().try_into() else { return Ok(None) };
        let Some(known) = self.rooms.known(id).await? else { return Ok(None) };
        let Some(room) = open.get(known.event().room()) else { return Ok(None) };
        let shown = known.redacted_by().is_none() && wanted(&known) && room.visibility.may_see(&known).await?;
        Ok(shown.then(|| Hit { known, rank: matched.rank }))
    }

    /// Adds how many there are and what is to be highlighted.
    async fn tell(
        &self,
        mut found: Found,
        query: &Query<'_>,
        words: &[String],
        open: &HashMap<OwnedRoomId, Open>,
    ) -> Result<Found> {
        let mut texts = Vec::new();
        for hit in &found.hits {
            let event = hit.known.event();
            let edit = self.rooms.last_edit(&hit.known).await?;
            let edited = edit.as_ref().map(|edit| edit.event().content().get());
            texts.extend(text_of(event.kind(), event.content().get(), edited));
        }
        // Of rooms in which something may be hidden, only what is shown is counted.
        let rooms: Vec<String> =
            open.iter().filter(|(_, room)| room.wholly).map(|(room, _)| room.to_string()).collect();
        let apart = found.hits.iter().filter(|hit| open.get(hit.known.event().room()).is_none_or(|room| !room.wholly));
        let apart = apart.count();
        let (words, keys, sender) = (words.to_vec(), query.keys.to_vec(), sender_of(&query.group));
        let (count, highlights) = self
            .blocking(move |index| {
                let sought =
                    Sought { words: &words, keys: &keys, rooms: Some(&rooms), sender: sender.as_deref(), before: None };
                let mut highlights = BTreeSet::new();
                for (_, text) in &texts {
                    index.highlights(text, &words, &mut highlights)?;
                }
                Ok((index.count(&sought)?, highlights))
            })
            .await?;
        found.count = (count + apart).max(found.hits.len());
        found.highlights = highlights;
        Ok(found)
    }
}

fn sender_of(group: &Group) -> Option<String> {
    match group {
        Group::Sender(sender) => Some(sender.clone()),
        _ => None,
    }
}
