//! How much is unread: counted when asked, from where the person has read to, by their own push rules.
//!
//! Nothing is written per member and message. What was counted is remembered and carried on with what came since, so that a
//! message costs each syncing member one look at it.

use lyceum_accounts::{AccountError, Accounts, Privacy, PushRules};
use lyceum_storage::Position;
use quick_cache::sync::Cache;
use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{TimelineEventType, room::power_levels::RoomPowerLevels},
    push::{Action, FlattenedJson, PushConditionRoomCtx},
    serde::Raw,
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

use crate::{Direction, Known, MAIN_THREAD, Membership, RoomError, Rooms, Snapshot, receipts::ReadUpTo};

/// Events looked back through at most: whoever has more unread than this sees a number that is large enough.
const LOOKED_BACK_MAX: usize = 2_000;
/// Events read at a time.
const PAGE: usize = 200;
/// People times rooms whose counts are remembered.
const COUNTED_MAX: usize = 100_000;
/// Events kept in the form that push rules look at.
const FLAT_EVENTS_MAX: usize = 2_000;

/// Why nothing could be counted.
#[derive(Debug, thiserror::Error)]
pub enum UnreadError {
    /// Rooms could not be read.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// Push rules could not be read.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] lyceum_storage::StorageError),
}

type Result<T, E = UnreadError> = std::result::Result<T, E>;

/// Unread counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnreadCounts {
    /// Events that notify.
    pub notification_count: u64,
    /// Events that notify loudly.
    pub highlight_count: u64,
}

/// Unread counts of a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    by_thread: BTreeMap<String, UnreadCounts>,
}

impl Unread {
    /// Outside threads only.
    pub fn main(&self) -> UnreadCounts {
        self.by_thread.get(MAIN_THREAD).copied().unwrap_or_default()
    }

    /// In the room as a whole.
    pub fn total(&self) -> UnreadCounts {
        self.by_thread.values().fold(UnreadCounts::default(), |sum, counts| UnreadCounts {
            notification_count: sum.notification_count + counts.notification_count,
            highlight_count: sum.highlight_count + counts.highlight_count,
        })
    }

    /// By thread, those with none left out.
    pub fn threads(&self) -> BTreeMap<String, UnreadCounts> {
        let counted =
            self.by_thread.iter().filter(|(thread, counts)| *thread != MAIN_THREAD && counts.notification_count > 0);
        counted.map(|(thread, counts)| (thread.clone(), *counts)).collect()
    }
}

/// What was counted last time.
#[derive(Debug, Clone)]
struct Counted {
    read: ReadUpTo,
    /// Up to this event.
    up_to: i64,
    /// With the rules of this moment.
    rules_at: Position,
    /// With the threads they followed when that had last changed.
    followed_at: Option<Position>,
    unread: Unread,
}

/// By what somebody's events are told from those that concern them.
struct Reader {
    rules: PushRules,
    privacy: Arc<Privacy>,
}

/// Whose counts these are.
type CountedKey = (OwnedUserId, OwnedRoomId);

/// Counts what is unread, and says what an event is to somebody. Cheap to clone.
#[derive(Clone)]
pub struct Unreads(Arc<Inner>);

struct Inner {
    rooms: Rooms,
    accounts: Accounts,
    counted: Cache<CountedKey, Counted>,
    flat_events: Cache<OwnedEventId, Arc<FlattenedJson>>,
}

impl Unreads {
    /// Counts by these people's rules in these rooms.
    pub fn new(rooms: &Rooms, accounts: &Accounts) -> Self {
        Self(Arc::new(Inner {
            rooms: rooms.clone(),
            accounts: accounts.clone(),
            counted: Cache::new(COUNTED_MAX),
            flat_events: Cache::new(FLAT_EVENTS_MAX),
        }))
    }

    fn rooms(&self) -> &Rooms {
        &self.0.rooms
    }

    fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// What a person's rules say to do about an event of a room: nothing about their own.
    pub async fn actions(&self, user: &UserId, snapshot: &Snapshot, known: &Known) -> Result<Vec<Action>> {
        let rules = self.accounts().push_rules(user).await?;
        let context = self.push_context(snapshot, user).await?;
        Ok(rules.actions(&self.flattened(known), &context).await.to_vec())
    }

    /// How much of a room that a person is in they have not read.
    pub async fn unread(&self, user: &UserId, room: &RoomId) -> Result<Unread> {
        let (snapshot, last) = self.rooms().now(room).await?;
        let read = self.rooms().receipts().read_up_to(room, user).await?;
        let key = (user.to_owned(), room.to_owned());
        let rules_changed = |at: Position| self.accounts().unread_rules_changed(user, at);
        let followed_at = self.rooms().subscriptions_changed(user).await?;
        let before = self.0.counted.get(&key).filter(|counted| {
            counted.read == read && counted.followed_at == followed_at && !rules_changed(counted.rules_at)
        });
        if let Some(counted) = &before
            && counted.up_to == last
        {
            return Ok(counted.unread.clone());
        }
        let rules_at = self.rooms().store().committed();
        let reader =
            Reader { rules: self.accounts().push_rules(user).await?, privacy: self.accounts().privacy(user).await? };
        let unread = match before {
            Some(counted) => self.count_on(&counted, last, (&snapshot, user), &reader).await?,
            None => None,
        };
        let unread = match unread {
            Some(unread) => unread,
            None => self.count_anew(&read, last, (&snapshot, user), &reader).await?,
        };
        self.0.counted.insert(key, Counted { read, up_to: last, rules_at, followed_at, unread: unread.clone() });
        Ok(unread)
    }

    /// Adds what came since; `None` if an event that was counted has changed, or too much came.
    async fn count_on(
        &self,
        counted: &Counted,
        last: i64,
        (snapshot, user): (&Snapshot, &UserId),
        reader: &Reader,
    ) -> Result<Option<Unread>> {
        let page = self
            .rooms()
            .page(snapshot.room_id(), Direction::Backward, last, Some(counted.up_to), LOOKED_BACK_MAX)
            .await?;
        let recount = page.next.is_some() || page.events.iter().any(|known| is_redaction_or_own_join(known, user));
        if recount {
            return Ok(None);
        }
        let context = self.push_context(snapshot, user).await?;
        let mut unread = counted.unread.clone();
        for known in page.events.iter().rev() {
            self.count_one(&mut unread, known, &counted.read, reader, &context).await?;
        }
        Ok(Some(unread))
    }

    async fn count_anew(
        &self,
        read: &ReadUpTo,
        last: i64,
        (snapshot, user): (&Snapshot, &UserId),
        reader: &Reader,
    ) -> Result<Unread> {
        let context = self.push_context(snapshot, user).await?;
        let mut unread = Unread::default();
        let (mut next, mut looked_at) = (Some(last), 0);
        'pages: while let Some(from) = next {
            let page = self.rooms().page(snapshot.room_id(), Direction::Backward, from, read.unthreaded, PAGE).await?;
            next = page.next;
            for known in page.events {
                // Before one's joining nothing is unread.
                if self.is_own_join(&known, user).await? {
                    break 'pages;
                }
                self.count_one(&mut unread, &known, read, reader, &context).await?;
                looked_at += 1;
                if looked_at == LOOKED_BACK_MAX {
                    break 'pages;
                }
            }
        }
        Ok(unread)
    }

    async fn count_one(
        &self,
        unread: &mut Unread,
        known: &Known,
        read: &ReadUpTo,
        reader: &Reader,
        context: &PushConditionRoomCtx,
    ) -> Result<()> {
        let sender = known.event().sender();
        if sender == context.user_id || known.redacted_by().is_some() || reader.privacy.ignores(sender) {
            return Ok(());
        }
        let thread = self.rooms().thread_of(known).await?;
        if read.covers(&thread, known.order().unwrap_or(i64::MIN)) {
            return Ok(());
        }
        let notice = reader.rules.notice(&self.flattened(known), context).await;
        if notice.notify {
            let counts = unread.by_thread.entry(thread).or_default();
            counts.notification_count += 1;
            counts.highlight_count += u64::from(notice.highlight);
        }
        Ok(())
    }

    /// The event as rules look at it, made once for all who are asked.
    fn flattened(&self, known: &Known) -> Arc<FlattenedJson> {
        if let Some(flattened) = self.0.flat_events.get(known.id()) {
            return flattened;
        }
        let json = serde_json::value::RawValue::from_string(known.client_base().to_owned());
        let json = json.unwrap_or_else(|_| serde_json::value::RawValue::NULL.to_owned());
        let flattened = Arc::new(FlattenedJson::from_raw(&Raw::<serde_json::Value>::from_json(json)));
        self.0.flat_events.insert(known.id().clone(), flattened.clone());
        flattened
    }

    async fn push_context(&self, snapshot: &Snapshot, user: &UserId) -> Result<PushConditionRoomCtx> {
        #[derive(serde::Deserialize)]
        struct Named {
            displayname: Option<String>,
        }
        let name = match snapshot.member(user) {
            Some(member) => self.rooms().known(&member.event_id).await?,
            None => None,
        };
        let name = name.and_then(|known| known.event().content_as::<Named>()).and_then(|content| content.displayname);
        let people = u32::try_from(snapshot.joined_count()).unwrap_or(u32::MAX);
        let levels: RoomPowerLevels = snapshot.power_levels().clone();
        let room = snapshot.room_id().clone();
        let context = PushConditionRoomCtx::new(room, people.into(), user.to_owned(), name.unwrap_or_default());
        let context = context.with_power_levels(levels.into());
        // Somebody who never followed a thread has clients that cannot: the rules about threads that are not followed would
        // keep all threads from them.
        if self.rooms().subscriptions_changed(user).await?.is_none() {
            return Ok(context);
        }
        Ok(self.with_followed_threads(context))
    }

    /// Lets the rules ask which threads of the room the person follows.
    fn with_followed_threads(&self, context: PushConditionRoomCtx) -> PushConditionRoomCtx {
        let (rooms, room, user) = (self.rooms().clone(), context.room_id.clone(), context.user_id.clone());
        context.with_has_thread_subscription_fn(move |root| {
            let (rooms, room, user, root) = (rooms.clone(), room.clone(), user.clone(), root.to_owned());
            // A rule has no way to say that the store failed; whoever needs it next will.
            Box::pin(async move { rooms.follows_thread(&user, &room, &root).await.unwrap_or(false) })
        })
    }

    /// Whether an event is the person's coming into the room, and not a change of their name.
    async fn is_own_join(&self, known: &Known, user: &UserId) -> Result<bool> {
        if !is_own_membership(known, user) {
            return Ok(false);
        }
        let Some(before) = known.before() else { return Ok(true) };
        let state = self.rooms().state_of_group(known.event().room(), before).await?;
        Ok(state.membership(user) != Membership::Join)
    }
}

fn is_own_membership(known: &Known, user: &UserId) -> bool {
    *known.event().kind() == TimelineEventType::RoomMember && known.event().state_key() == Some(user.as_str())
}

fn is_redaction_or_own_join(known: &Known, user: &UserId) -> bool {
    *known.event().kind() == TimelineEventType::RoomRedaction || is_own_membership(known, user)
}
