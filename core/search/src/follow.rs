//! The handle, and following the stream: what changes in rooms changes in the index.

use lyceum_rooms::{Direction, Known, Relation, Rooms};
use lyceum_storage::{Commit, Position, Store, Subject};
use ruma::{OwnedRoomId, RoomId, events::TimelineEventType};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::{Mutex, Notify, broadcast::error::RecvError, watch};

use crate::{
    SearchConfig, SearchError,
    error::Result,
    index::{Change, Entry, Index},
    text::text_of,
};

/// Groups of commits read at once.
const PAGE_GROUPS: usize = 256;
/// Events of one room that one commit can hold, and that are read at once when the index is made anew.
const PAGE_EVENTS: usize = 1_000;
/// Rooms listed at once when the index is made anew.
const PAGE_ROOMS: usize = 500;
/// So much is gathered before it is made durable, unless somebody searches.
const GATHER: Duration = Duration::from_millis(500);
/// How long a search waits for what was said just before it.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// What search is built from.
pub struct SearchParts<'a> {
    /// Where everything is kept.
    pub store: Store,
    /// Rooms.
    pub rooms: Rooms,
    /// Where the index is kept.
    pub directory: &'a Path,
    /// The settings.
    pub config: SearchConfig,
}

/// Search. Cheap to clone.
#[derive(Clone)]
pub struct Search(Option<Arc<Inner>>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) rooms: Rooms,
    pub(crate) index: Arc<Index>,
    /// One at a time changes the index.
    turn: Mutex<()>,
    /// How far the stream was followed; `None` until somebody follows it.
    done: watch::Sender<Option<Position>>,
    /// Somebody waits for what is gathered.
    wanted: Notify,
}

impl Search {
    /// Opens the index, if search is switched on.
    pub fn open(parts: SearchParts<'_>) -> Result<Self> {
        let SearchParts { store, rooms, directory, config } = parts;
        if !config.enabled {
            return Ok(Self(None));
        }
        let index = Arc::new(Index::open(directory, config.language)?);
        Ok(Self(Some(Arc::new(Inner {
            store,
            rooms,
            index,
            turn: Mutex::default(),
            done: watch::Sender::new(None),
            wanted: Notify::new(),
        }))))
    }

    pub(crate) fn inner(&self) -> Result<&Inner> {
        self.0.as_deref().ok_or(SearchError::Off)
    }

    /// Follows the stream as long as it is awaited. Ends at once when search is switched off.
    pub async fn follow(&self) {
        let Some(inner) = &self.0 else { return };
        loop {
            let Err(error) = inner.follow().await;
            tracing::warn!(%error, "the search index could not be brought up to date, trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes the index anew from the rooms. Answers how many events are in it.
    pub async fn rebuild(&self) -> Result<u64> {
        self.inner()?.rebuild().await
    }
}

/// Nothing that only ends by failing gives.
enum Never {}

impl Inner {
    async fn follow(&self) -> Result<Never> {
        let mut tail = self.store.tail();
        let start = match self.index.position()? {
            Some(position) => position,
            None => {
                self.rebuild().await?;
                self.index.position()?.unwrap_or_default()
            }
        };
        self.done.send_replace(Some(start));
        let mut at = start;
        loop {
            let through = self.step(at).await?;
            self.done.send_replace(Some(through));
            if through > at {
                at = through;
                continue;
            }
            match tail.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    /// Takes the next commits into the index. Answers how far it came.
    async fn step(&self, after: Position) -> Result<Position> {
        let page = self.store.commits_since(after, PAGE_GROUPS).await?;
        if page.missed {
            self.rebuild().await?;
            return Ok(self.index.position()?.unwrap_or(page.through));
        }
        let _turn = self.turn.lock().await;
        let mut changes = Vec::new();
        for commit in &page.commits {
            for room in rooms_of(commit) {
                self.gather(&room, commit, &mut changes).await?;
            }
        }
        if !changes.is_empty() {
            let through = page.through;
            self.blocking(move |index| index.apply(changes).and_then(|()| index.commit(through))).await?;
        }
        Ok(page.through)
    }

    async fn gather(&self, room: &RoomId, commit: &Commit, changes: &mut Vec<Change>) -> Result<()> {
        let (Ok(first), Ok(last)) = (i64::try_from(commit.first.0), i64::try_from(commit.last.0)) else {
            return Ok(());
        };
        if !self.may_index(room).await? {
            changes.push(Change::RemoveRoom(room.to_string()));
            return Ok(());
        }
        let (events, _) = self.rooms.since(room, first - 1, last, PAGE_EVENTS).await?;
        for known in events {
            self.note(&known, changes).await?;
        }
        Ok(())
    }

    /// What an event changes: its own entry, or that of the event it edits or redacts.
    async fn note(&self, known: &Known, changes: &mut Vec<Change>) -> Result<()> {
        let event = known.event();
        if let Some(target) = event.redacts() {
            for edited in self.index.edited_by(target.as_str())? {
                if let Ok(edited) = edited.as_str().try_into()
                    && let Some(known) = self.rooms.known(edited).await?
                {
                    changes.push(self.change_of(&known).await?);
                }
            }
            if let Some(known) = self.rooms.known(target).await? {
                changes.push(self.change_of(&known).await?);
            }
        } else if let Some(relation) = Relation::of(event).filter(|relation| relation.rel_type == "m.replace") {
            if let Some(known) = self.rooms.known(&relation.event_id).await? {
                changes.push(self.change_of(&known).await?);
            }
        } else if is_searched(event.kind()) {
            changes.push(self.change_of(known).await?);
        }
        Ok(())
    }

    /// What the index is to hold of an event, as it is now.
    async fn change_of(&self, known: &Known) -> Result<Change> {
        let event = known.event();
        let gone = Change::Remove(event.id().to_string());
        let is_edit = Relation::of(event).is_some_and(|relation| relation.rel_type == "m.replace");
        let Some(order) = known.order().filter(|_| known.redacted_by().is_none() && !is_edit) else { return Ok(gone) };
        let edit = self.rooms.last_edit(known).await?;
        let edited = edit.as_ref().map(|edit| edit.event().content().get());
        let Some((key, text)) = text_of(event.kind(), event.content().get(), edited) else { return Ok(gone) };
        Ok(Change::Put(Box::new(Entry {
            event: event.id().to_string(),
            room: event.room().to_string(),
            sender: event.sender().to_string(),
            edit: edit.map(|edit| edit.id().to_string()),
            order,
            key,
            text,
        })))
    }

    /// Makes the index anew from the rooms.
    async fn rebuild(&self) -> Result<u64> {
        let _turn = self.turn.lock().await;
        // What is committed meanwhile may be taken in twice, which changes nothing.
        let at = self.store.committed();
        self.blocking(|index| index.clear()).await?;
        let (mut after, mut count): (Option<OwnedRoomId>, u64) = (None, 0);
        loop {
            let rooms = self.rooms.ids_after(after.as_deref(), PAGE_ROOMS).await?;
            for room in &rooms {
                if self.may_index(room).await? {
                    count += self.rebuild_room(room).await?;
                }
            }
            if rooms.len() < PAGE_ROOMS {
                break;
            }
            after = rooms.last().cloned();
        }
        self.blocking(move |index| index.commit(at)).await?;
        Ok(count)
    }

    async fn rebuild_room(&self, room: &RoomId) -> Result<u64> {
        let (mut from, mut count) = (i64::MIN, 0);
        loop {
            let page = self.rooms.page(room, Direction::Forward, from, None, PAGE_EVENTS).await?;
            let mut changes = Vec::new();
            for known in page.events.iter().filter(|known| is_searched(known.event().kind())) {
                // The index is empty: there is nothing to be removed from it.
                if let put @ Change::Put(_) = self.change_of(known).await? {
                    changes.push(put);
                }
            }
            count += changes.len() as u64;
            self.blocking(move |index| index.apply(changes)).await?;
            match page.next {
                Some(next) => from = next,
                None => return Ok(count),
            }
        }
    }

    async fn may_index(&self, room: &RoomId) -> Result<bool> {
        Ok(self.rooms.snapshot(room).await?.facts().encryption.is_none())
    }

    /// Waits until the index holds what was committed before.
    pub(crate) async fn catch_up(&self) {
        let to = self.store.committed();
        let mut done = self.done.subscribe();
        self.wanted.notify_one();
        let caught_up = done.wait_for(|done| done.is_some_and(|done| done >= to));
        // Too far behind: what there is is better than nothing.
        let _ = tokio::time::timeout(CATCH_UP_MAX, caught_up).await;
    }

    /// Does something with the index where waiting for the disk holds nobody up.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Index) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let index = self.index.clone();
        let done = tokio::task::spawn_blocking(move || act(&index)).await;
        done.map_err(|_| SearchError::Index("it gave up".to_owned()))?
    }
}

fn rooms_of(commit: &Commit) -> impl Iterator<Item = OwnedRoomId> {
    commit.subjects.iter().filter_map(|subject| match subject {
        Subject::Room(room) => RoomId::parse(&**room).ok(),
        _ => None,
    })
}

fn is_searched(kind: &TimelineEventType) -> bool {
    matches!(kind, TimelineEventType::RoomMessage | TimelineEventType::RoomName | TimelineEventType::RoomTopic)
}
