//! The handle, and following the stream: what changes in rooms changes in the index.

use lyceum_rooms::{Direction, Fetched, Forgotten, Known, Relation, RoomError, Rooms};
use lyceum_storage::{Commit, Position, Store, Subject, Tail};
use ruma::{OwnedRoomId, RoomId, events::TimelineEventType};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, Notify, broadcast::error::RecvError, watch},
    time::Instant,
};

use crate::{
    SearchConfig, SearchError,
    error::Result,
    index::{Change, Entry, Index},
    text::text_of,
};

/// Groups of commits read at once.
const PAGE_GROUPS: usize = 256;
/// Events of one room that are read at once.
pub(crate) const PAGE_EVENTS: usize = 1_000;
/// So much of the stream is read at once, while it is still in memory.
const GATHER: Duration = Duration::from_millis(500);
/// So long changes wait to become durable and visible, unless somebody searches: each time costs a new segment of the index,
/// however little is in it.
const SETTLE: Duration = Duration::from_secs(10);
/// Changes made at once.
const CHANGES_MAX: usize = 20_000;
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
    pub(crate) progress: Mutex<Progress>,
    /// How far searches see; `None` until somebody follows the stream.
    done: watch::Sender<Option<Position>>,
    /// Somebody waits for what is gathered.
    wanted: Notify,
}

/// How far the stream was taken in.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) at: Position,
    /// Since when changes wait to be made durable and visible.
    unsettled: Option<Instant>,
}

impl Progress {
    /// Everything before a position is durable and visible.
    pub(crate) fn settled(at: Position) -> Self {
        Self { at, unsettled: None }
    }
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
            progress: Mutex::default(),
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

/// Whether events of the stream may be in the index already.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    No,
    Perhaps,
}

/// Nothing that only ends by failing gives.
enum Never {}

impl Inner {
    async fn follow(&self) -> Result<Never> {
        self.resume().await?;
        let mut asked = false;
        loop {
            // Before it is read, so that whatever is not read wakes.
            let tail = self.store.tail();
            let settle_at = self.take_in(asked).await?;
            asked = self.pause(tail, settle_at).await;
        }
    }

    /// Goes on from what is durable in the index, which is made if there is none.
    async fn resume(&self) -> Result<()> {
        self.blocking(|index| {
            index.discard();
            Ok(())
        })
        .await?;
        if let Some(at) = self.index.position()? {
            *self.progress.lock().await = Progress::settled(at);
        } else {
            self.rebuild().await?;
        }
        Ok(())
    }

    /// Takes in what was committed, and makes it visible if it is time, or if somebody asks for it. Answers when the next time
    /// is.
    async fn take_in(&self, asked: bool) -> Result<Option<Instant>> {
        let mut progress = self.progress.lock().await;
        let Some((changes, through)) = self.changes_since(progress.at, Seen::No).await? else {
            drop(progress);
            self.rebuild().await?;
            return Ok(Some(Instant::now()));
        };
        if !changes.is_empty() {
            self.blocking(move |index| index.apply(changes)).await?;
            progress.unsettled.get_or_insert_with(Instant::now);
        }
        progress.at = through;
        if progress.unsettled.is_some_and(|since| asked || since.elapsed() >= SETTLE) {
            self.blocking(move |index| index.commit(through)).await?;
            progress.unsettled = None;
        }
        if progress.unsettled.is_none() {
            self.done.send_replace(Some(through));
        }
        Ok(progress.unsettled.map(|since| since + SETTLE))
    }

    /// Waits until there is something to be taken in, or to be settled. Answers whether somebody waits for it.
    async fn pause(&self, mut tail: Tail, settle_at: Option<Instant>) -> bool {
        let more = async {
            if let Err(RecvError::Closed) = tail.recv().await {
                std::future::pending().await
            }
            tokio::time::sleep(GATHER).await;
        };
        let settling = async {
            match settle_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.wanted.notified() => true,
            () = more => false,
            () = settling => false,
        }
    }

    /// What the next commits change, and how far they reach; `None` if the store no longer knows all of them.
    pub(crate) async fn changes_since(&self, after: Position, seen: Seen) -> Result<Option<(Vec<Change>, Position)>> {
        let (mut at, mut changes) = (after, Vec::new());
        while changes.len() < CHANGES_MAX {
            let page = self.store.commits_since(at, PAGE_GROUPS).await?;
            if page.missed {
                return Ok(None);
            }
            for (room, range) in rooms_of(&page.commits) {
                self.gather(&room, range, seen, &mut changes).await?;
            }
            let subjects = || page.commits.iter().flat_map(|commit| commit.subjects.iter());
            for Fetched { room, first, last } in subjects().filter_map(Fetched::of) {
                self.gather_between(&room, (first, last), seen, &mut changes).await?;
            }
            for Forgotten { room, first, last } in subjects().filter_map(Forgotten::of) {
                changes.push(Change::RemoveBetween(room.to_string(), first, last));
                // What was left there.
                self.gather_between(&room, (first, last), Seen::Perhaps, &mut changes).await?;
            }
            if page.through == at {
                break;
            }
            at = page.through;
        }
        Ok(Some((changes, at)))
    }

    /// What the events of a room that were committed at these positions change.
    async fn gather(
        &self,
        room: &RoomId,
        (first, last): (Position, Position),
        seen: Seen,
        changes: &mut Vec<Change>,
    ) -> Result<()> {
        let (Ok(first), Ok(last)) = (i64::try_from(first.0), i64::try_from(last.0)) else {
            return Ok(());
        };
        self.gather_between(room, (first, last), seen, changes).await
    }

    /// What the events at these places of a room's timeline change.
    async fn gather_between(
        &self,
        room: &RoomId,
        (first, last): (i64, i64),
        seen: Seen,
        changes: &mut Vec<Change>,
    ) -> Result<()> {
        if !self.may_index(room).await? {
            if !changes.is_empty() || self.index.may_hold(room.as_str())? {
                changes.push(Change::RemoveRoom(room.to_string()));
            }
            return Ok(());
        }
        let mut from = Some(first.saturating_sub(1));
        while let Some(at) = from {
            let page = self.rooms.page(room, Direction::Forward, at, Some(last), PAGE_EVENTS).await?;
            for known in &page.events {
                self.note(known, seen, changes).await?;
            }
            from = page.next;
        }
        Ok(())
    }

    /// What an event changes: its own entry, or that of the event it edits or redacts.
    async fn note(&self, known: &Known, seen: Seen, changes: &mut Vec<Change>) -> Result<()> {
        let event = known.event();
        if let Some(target) = event.redacts() {
            for edited in self.edited_by(target.as_str(), changes)? {
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
            changes.push(match (self.change_of(known).await?, seen) {
                // There is nothing of it to be taken out, which would have to be looked for.
                (Change::Put(entry), Seen::No) => Change::Add(entry),
                (change, _) => change,
            });
        }
        Ok(())
    }

    /// The events whose text in the index, or soon to be in it, is that of an edit.
    fn edited_by(&self, edit: &str, changes: &[Change]) -> Result<Vec<String>> {
        let mut edited = self.index.edited_by(edit)?;
        edited.extend(changes.iter().filter_map(|change| match change {
            Change::Add(entry) | Change::Put(entry) => {
                (entry.edit.as_deref() == Some(edit)).then(|| entry.event.clone())
            }
            Change::Remove(_) | Change::RemoveRoom(_) | Change::RemoveBetween(..) => None,
        }));
        Ok(edited)
    }

    /// What the index is to hold of an event, as it is now.
    pub(crate) async fn change_of(&self, known: &Known) -> Result<Change> {
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

    pub(crate) async fn may_index(&self, room: &RoomId) -> Result<bool> {
        match self.rooms.snapshot(room).await {
            Ok(snapshot) => Ok(snapshot.facts().encryption.is_none()),
            // It was taken away.
            Err(RoomError::UnknownRoom(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
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

/// The rooms in which something was committed, each with the first and the last position at which it was.
fn rooms_of(commits: &[Commit]) -> BTreeMap<OwnedRoomId, (Position, Position)> {
    let mut rooms = BTreeMap::new();
    for commit in commits {
        for subject in commit.subjects.iter() {
            if let Subject::Room(room) = subject
                && let Ok(room) = RoomId::parse(room.as_ref())
            {
                rooms.entry(room).or_insert((commit.first, commit.last)).1 = commit.last;
            }
        }
    }
    rooms
}

pub(crate) fn is_searched(kind: &TimelineEventType) -> bool {
    matches!(kind, TimelineEventType::RoomMessage | TimelineEventType::RoomName | TimelineEventType::RoomTopic)
}
