//! Receipts: how far people have read, by room, kind and thread.
//!
//! A receipt is one row that moves forward, with the stream position of its last move, so that a sync reads just the
//! rows moved since its token. A private receipt touches its person only: nobody else is woken by it, and nobody else is
//! shown it. What people of other servers have read need not be here yet: such a receipt is kept and told all the same.

use lyceum_storage::{Batch, CommitError, Position, StorageError, Store, Subject};
use ruma::{EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId, events::receipt::ReceiptThread};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

use crate::tables::{RECEIPTS, RECEIPTS_MOVED};

/// Receipts of one room that one answer holds at most: people times kinds and threads.
const ROOM_RECEIPTS_MAX: usize = 100_000;
/// Threads of one room in which a person of another server may have receipts.
const THREADS_ELSEWHERE_MAX: usize = 2_000;
/// The order of what is not here: anything that is comes after it.
const UNPLACED: i64 = i64::MIN;
/// How often a receipt is tried again when the same person moves it from two places at once.
const CONFLICT_RETRIES: usize = 5;

/// Who may see a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptKind {
    /// `m.read`: everybody in the room.
    Public,
    /// `m.read.private`: only the person.
    Private,
}

impl ReceiptKind {
    fn code(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Private => 1,
        }
    }

    fn of(code: u8) -> Self {
        if code == 0 { Self::Public } else { Self::Private }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Public => "m.read",
            Self::Private => "m.read.private",
        }
    }
}

/// A receipt as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptRow {
    event_id: String,
    /// The event's place in the room's timeline; [`UNPLACED`] if it had none here.
    order: i64,
    ts: u64,
    /// When it moved last.
    moved: u64,
}

/// Which receipt moved at a position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedReceipt {
    user: String,
    kind: u8,
    thread: String,
}

/// A receipt to be set.
#[derive(Debug, Clone)]
pub struct Receipt<'a> {
    /// Where.
    pub room: &'a RoomId,
    /// Whose.
    pub user: &'a UserId,
    /// For whom to see.
    pub kind: ReceiptKind,
    /// In which thread.
    pub thread: ReceiptThread,
    /// Up to which event: its id, or what another server takes for one.
    pub event: &'a str,
    /// That event's place in the timeline, if it is here.
    pub order: Option<i64>,
    /// When it was read.
    pub ts: MilliSecondsSinceUnixEpoch,
}

/// How far a person has read a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadUpTo {
    /// By a receipt for the room as a whole, if there is one.
    pub unthreaded: Option<i64>,
    /// By thread: `main` or a thread's root.
    pub threads: HashMap<String, i64>,
}

impl ReadUpTo {
    /// Whether an event of a thread (`main` outside threads) at this place was read.
    pub fn covers(&self, thread: &str, order: i64) -> bool {
        self.unthreaded.is_some_and(|read| order <= read) || self.threads.get(thread).is_some_and(|read| order <= *read)
    }

    fn advance(&mut self, thread: String, order: i64) {
        let mark = match thread.as_str() {
            "" => self.unthreaded.get_or_insert(order),
            _ => self.threads.entry(thread).or_insert(order),
        };
        *mark = (*mark).max(order);
    }
}

/// The receipts of all rooms. Cheap to clone.
#[derive(Clone)]
pub struct Receipts {
    store: Store,
}

/// The stored name of a thread: empty for a receipt of the whole room.
fn thread_name(thread: &ReceiptThread) -> &str {
    thread.as_str().unwrap_or_default()
}

impl Receipts {
    /// The receipts kept in a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Moves a receipt forward. Answers `None` if it already was there or further. Where an event is that is not here nobody
    /// can say: a receipt for such a one moves, for its server knows the order of its people's receipts.
    pub async fn advance(&self, receipt: &Receipt<'_>) -> Result<Option<Position>, CommitError> {
        for _ in 0..CONFLICT_RETRIES {
            match self.try_advance(receipt).await {
                Err(CommitError::Conflict(_)) => {}
                done => return done,
            }
        }
        self.try_advance(receipt).await
    }

    async fn try_advance(&self, receipt: &Receipt<'_>) -> Result<Option<Position>, CommitError> {
        let (room, user, kind) = (receipt.room.as_str(), receipt.user.as_str(), receipt.kind.code());
        let thread = thread_name(&receipt.thread);
        let key = (room, user, kind, thread);
        let before = self.store.get(&RECEIPTS, key).await?;
        let stays = |row: &ReceiptRow| receipt.order.map_or(row.event_id == receipt.event, |order| row.order >= order);
        if before.as_ref().is_some_and(stays) {
            return Ok(None);
        }

        let mut batch = Batch::new();
        batch.expect(&RECEIPTS, key, before.as_ref());
        if let Some(before) = &before {
            batch.delete(&RECEIPTS_MOVED, (room, before.moved));
        }
        let (room, user, thread) = (room.to_owned(), user.to_owned(), thread.to_owned());
        let mut row = ReceiptRow {
            event_id: receipt.event.to_string(),
            order: receipt.order.unwrap_or(UNPLACED),
            ts: receipt.ts.get().into(),
            moved: 0,
        };
        batch.touch(match receipt.kind {
            ReceiptKind::Public => Subject::room(&room),
            ReceiptKind::Private => Subject::own(&user, &room),
        });
        batch.at_position(move |position, writes| {
            row.moved = position.0;
            writes.put(&RECEIPTS, (room.as_str(), user.as_str(), kind, thread.as_str()), &row);
            writes.put(&RECEIPTS_MOVED, (room.as_str(), position.0), &MovedReceipt { user, kind, thread });
        });
        self.store.commit(batch).await.map(Some)
    }

    /// Whether a person of another server has receipts in so many threads of a room that no further one is taken.
    pub(crate) async fn is_crowded(
        &self,
        room: &RoomId,
        user: &UserId,
        thread: &ReceiptThread,
    ) -> Result<bool, StorageError> {
        let key = (room.as_str(), user.as_str(), ReceiptKind::Public.code(), thread_name(thread));
        if !matches!(thread, ReceiptThread::Thread(_)) || self.store.get(&RECEIPTS, key).await?.is_some() {
            return Ok(false);
        }
        let scan = RECEIPTS.prefix((room.as_str(), user.as_str())).limit(THREADS_ELSEWHERE_MAX);
        Ok(self.store.scan(&RECEIPTS, scan).await?.len() >= THREADS_ELSEWHERE_MAX)
    }

    /// How far a person has read a room, by both kinds of receipts together.
    pub async fn read_up_to(&self, room: &RoomId, user: &UserId) -> Result<ReadUpTo, StorageError> {
        let rows = self.store.scan(&RECEIPTS, RECEIPTS.prefix((room.as_str(), user.as_str()))).await?;
        let mut read = ReadUpTo::default();
        for ((_, _, _, thread), row) in rows {
            read.advance(thread, row.order);
        }
        Ok(read)
    }

    /// All receipts of a room that `viewer` may see, moved up to `to`.
    pub async fn all(&self, room: &RoomId, viewer: &UserId, to: Position) -> Result<ReceiptEvents, StorageError> {
        let scan = RECEIPTS.prefix((room.as_str(),)).limit(ROOM_RECEIPTS_MAX);
        let rows = self.store.scan(&RECEIPTS, scan).await?;
        let mut content = Content::default();
        for ((_, user, kind, thread), row) in rows {
            if row.moved <= to.0 && (kind == ReceiptKind::Public.code() || user == viewer.as_str()) {
                content.add(&user, kind, &thread, &row);
            }
        }
        Ok(content.into_events())
    }

    /// The receipts that moved in `(since, to]` and that `viewer` may see.
    pub async fn moved(
        &self,
        room: &RoomId,
        viewer: &UserId,
        since: Position,
        to: Position,
    ) -> Result<ReceiptEvents, StorageError> {
        let room = room.as_str();
        let scan = RECEIPTS_MOVED
            .prefix((room,))
            .after(&RECEIPTS_MOVED, (room, since.0))
            .through(&RECEIPTS_MOVED, (room, to.0))
            .limit(ROOM_RECEIPTS_MAX);
        let mut moved = self.store.scan(&RECEIPTS_MOVED, scan).await?;
        moved.retain(|(_, one)| one.kind == ReceiptKind::Public.code() || one.user == viewer.as_str());
        let keys = moved.iter().map(|(_, one)| (room, one.user.as_str(), one.kind, one.thread.as_str()));
        let rows = self.store.get_many(&RECEIPTS, keys).await?;
        let mut content = Content::default();
        for ((_, one), row) in moved.iter().zip(rows) {
            if let Some(row) = row {
                content.add(&one.user, one.kind, &one.thread, &row);
            }
        }
        Ok(content.into_events())
    }

    /// The receipt that moved at a position, if a public one did: what other servers are told.
    pub async fn moved_at(&self, room: &RoomId, position: Position) -> Result<Option<PublicReceipt>, StorageError> {
        let Some(moved) = self.store.get(&RECEIPTS_MOVED, (room.as_str(), position.0)).await? else { return Ok(None) };
        if ReceiptKind::of(moved.kind) == ReceiptKind::Private {
            return Ok(None);
        }
        let key = (room.as_str(), moved.user.as_str(), moved.kind, moved.thread.as_str());
        let row = self.store.get(&RECEIPTS, key).await?;
        Ok(row.and_then(|row| {
            Some(PublicReceipt {
                event: OwnedEventId::try_from(row.event_id).ok()?,
                thread: Some(moved.thread).filter(|thread| !thread.is_empty()),
                user: moved.user,
                ts: row.ts,
            })
        }))
    }
}

/// A receipt as other servers are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicReceipt {
    /// Whose.
    pub user: String,
    /// Up to which event.
    pub event: OwnedEventId,
    /// In which thread, if in one.
    pub thread: Option<String>,
    /// When it was read.
    pub ts: u64,
}

/// Receipts as clients are told of them: each the content of an `m.receipt` event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptEvents {
    /// Those for events.
    pub of_events: Option<Value>,
    /// Those for what is no event's id. By themselves, since clients that read strictly pass over the whole event.
    pub of_other_ids: Option<Value>,
}

/// Receipts that are being gathered: event, kind, person.
#[derive(Default)]
struct Content(BTreeMap<String, BTreeMap<&'static str, Map<String, Value>>>);

impl Content {
    fn add(&mut self, user: &str, kind: u8, thread: &str, row: &ReceiptRow) {
        let people = self.0.entry(row.event_id.clone()).or_default().entry(ReceiptKind::of(kind).name()).or_default();
        let mut receipt = json!({ "ts": row.ts });
        if !thread.is_empty() {
            receipt["thread_id"] = thread.into();
        }
        // A person's receipt of the whole room says more than that of one thread, where both stand on one event: the
        // format has room for one only.
        if thread.is_empty() || !people.contains_key(user) {
            people.insert(user.to_owned(), receipt);
        }
    }

    fn into_events(self) -> ReceiptEvents {
        let (events, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.0.into_iter().partition(|(id, _)| <&EventId>::try_from(id.as_str()).is_ok());
        let content = |receipts: BTreeMap<_, _>| (!receipts.is_empty()).then(|| json!(receipts));
        ReceiptEvents { of_events: content(events), of_other_ids: content(others) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::{room_id, uint, user_id};

    async fn receipts() -> Receipts {
        Receipts::new(Store::memory().await.unwrap())
    }

    fn receipt(kind: ReceiptKind, thread: ReceiptThread, order: i64) -> Receipt<'static> {
        Receipt {
            room: room_id!("!r:x"),
            user: user_id!("@a:x"),
            kind,
            thread,
            event: "$e",
            order: Some(order),
            ts: MilliSecondsSinceUnixEpoch(uint!(7)),
        }
    }

    #[tokio::test]
    async fn a_receipt_moves_forward_only() {
        let receipts = receipts().await;
        let public = |order| receipt(ReceiptKind::Public, ReceiptThread::Unthreaded, order);
        assert!(receipts.advance(&public(5)).await.unwrap().is_some());
        assert!(receipts.advance(&public(4)).await.unwrap().is_none(), "an older event does not move it back");
        assert!(receipts.advance(&public(6)).await.unwrap().is_some());
        let read = receipts.read_up_to(room_id!("!r:x"), user_id!("@a:x")).await.unwrap();
        assert!(read.covers("main", 6) && !read.covers("main", 7));
    }

    #[tokio::test]
    async fn a_private_receipt_is_shown_to_its_person_only() {
        let receipts = receipts().await;
        let position = receipts.advance(&receipt(ReceiptKind::Private, ReceiptThread::Main, 5)).await.unwrap().unwrap();
        let (room, zero) = (room_id!("!r:x"), Position(0));
        let own = receipts.moved(room, user_id!("@a:x"), zero, position).await.unwrap();
        let told = json!({ "$e": { "m.read.private": { "@a:x": { "ts": 7, "thread_id": "main" } } } });
        assert_eq!(own, ReceiptEvents { of_events: Some(told), of_other_ids: None });
        let nothing = ReceiptEvents::default();
        assert_eq!(receipts.moved(room, user_id!("@b:x"), zero, position).await.unwrap(), nothing);
        assert_eq!(receipts.all(room, user_id!("@b:x"), position).await.unwrap(), nothing);
        assert_eq!(receipts.moved_at(room, position).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_sync_sees_what_moved_since_its_token() {
        let receipts = receipts().await;
        let (room, viewer) = (room_id!("!r:x"), user_id!("@b:x"));
        let public = |order| receipt(ReceiptKind::Public, ReceiptThread::Unthreaded, order);
        let first = receipts.advance(&public(1)).await.unwrap().unwrap();
        assert!(receipts.moved(room, viewer, Position(0), first).await.unwrap().of_events.is_some());
        assert_eq!(receipts.moved(room, viewer, first, first).await.unwrap(), ReceiptEvents::default());
        let second = receipts.advance(&public(2)).await.unwrap().unwrap();
        assert!(receipts.moved(room, viewer, first, second).await.unwrap().of_events.is_some());
    }

    #[tokio::test]
    async fn a_receipt_for_what_is_not_here_moves_and_gives_way_to_any_other() {
        let receipts = receipts().await;
        let to = |event, order| Receipt { event, order, ..receipt(ReceiptKind::Public, ReceiptThread::Unthreaded, 0) };
        assert!(receipts.advance(&to("$known", Some(5))).await.unwrap().is_some());
        assert!(receipts.advance(&to("$to-come", None)).await.unwrap().is_some());
        assert!(receipts.advance(&to("$to-come", None)).await.unwrap().is_none(), "it stands there already");
        assert!(receipts.advance(&to("$known", Some(4))).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_is_no_event_id_is_told_apart() {
        let receipts = receipts().await;
        let (room, viewer) = (room_id!("!r:x"), user_id!("@b:x"));
        let to = |user, event| Receipt { user, event, ..receipt(ReceiptKind::Public, ReceiptThread::Unthreaded, 1) };
        receipts.advance(&to(user_id!("@a:x"), "$e")).await.unwrap();
        let last = receipts.advance(&Receipt { order: None, ..to(user_id!("@c:x"), "odd") }).await.unwrap().unwrap();
        let told = receipts.all(room, viewer, last).await.unwrap();
        assert_eq!(told.of_events, Some(json!({ "$e": { "m.read": { "@a:x": { "ts": 7 } } } })));
        assert_eq!(told.of_other_ids, Some(json!({ "odd": { "m.read": { "@c:x": { "ts": 7 } } } })));
    }
}
