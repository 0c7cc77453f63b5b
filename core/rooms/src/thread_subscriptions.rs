//! Which threads a person follows (MSC4306), and what changed of that since a position (MSC4308).
//!
//! A subscription is one row that changes, with the stream position of its last change, so that a sync reads just the rows
//! changed since its token. It is made by hand, or by a client that saw its person take part, which must not undo that
//! they unsubscribed since.

use lyceum_storage::{Batch, CommitError, Position, Subject};
use quick_cache::sync::Cache;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    Known, Relation, Result, RoomError, Rooms,
    tables::{SUBSCRIPTIONS, SUBSCRIPTIONS_MOVED},
    write::WRITE_TRIES,
};

/// People of whom is remembered when they last began or ceased to follow a thread.
const PEOPLE_IN_MEMORY_MAX: usize = 50_000;

/// When people last began or ceased to follow a thread; `None` for those who never did. Advanced by commits.
pub(crate) struct SubscriptionsChanged {
    by_user: Cache<OwnedUserId, Option<Position>>,
    /// Goes up with every change: what was read before may be old.
    changes: AtomicU64,
}

impl Default for SubscriptionsChanged {
    fn default() -> Self {
        Self { by_user: Cache::new(PEOPLE_IN_MEMORY_MAX), changes: AtomicU64::default() }
    }
}

impl SubscriptionsChanged {
    fn drop_user(&self, user: &UserId) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.by_user.remove(user);
    }
}

/// A subscription as stored; it stays when it is ended, so that clients learn of the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionRow {
    /// Whether it was made automatically; `None` after it was ended.
    automatic: Option<bool>,
    /// When it changed last.
    moved: u64,
}

/// A change of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedSubscription {
    /// In which room.
    pub room: OwnedRoomId,
    /// The thread's root.
    pub root: OwnedEventId,
    /// Whether it was made automatically; `None` if it was ended.
    pub automatic: Option<bool>,
    /// When.
    pub at: Position,
}

/// Changes of subscriptions, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovedSubscriptions {
    /// The changes.
    pub moved: Vec<MovedSubscription>,
    /// Those up to here were left out for want of room.
    pub next: Option<Position>,
}

impl Rooms {
    /// Whether a person follows a thread, and if so, whether automatically.
    pub async fn thread_subscription(&self, user: &UserId, room: &RoomId, root: &EventId) -> Result<Option<bool>> {
        self.event_for(user, room, root).await?;
        let row = self.store().get(&SUBSCRIPTIONS, (user.as_str(), room.as_str(), root.as_str())).await?;
        Ok(row.and_then(|row| row.automatic))
    }

    /// Whether a person follows a thread, as their push rules ask: the event is in front of them already.
    pub(crate) async fn follows_thread(&self, user: &UserId, room: &RoomId, root: &EventId) -> Result<bool> {
        let row = self.store().get(&SUBSCRIPTIONS, (user.as_str(), room.as_str(), root.as_str())).await?;
        Ok(row.is_some_and(|row| row.automatic.is_some()))
    }

    /// When a person last began or ceased to follow a thread; `None` if they never did. From memory when warm.
    pub async fn subscriptions_changed(&self, user: &UserId) -> Result<Option<Position>> {
        let cache = &self.0.subscriptions_changed;
        if let Some(at) = cache.by_user.get(user) {
            return Ok(at);
        }
        let changes = cache.changes.load(Ordering::Acquire);
        let scan = SUBSCRIPTIONS_MOVED.prefix((user.as_str(),)).reversed().limit(1);
        let last = self.store().scan(&SUBSCRIPTIONS_MOVED, scan).await?;
        let at = last.first().map(|((_, at), _)| Position(*at));
        if cache.changes.load(Ordering::Acquire) == changes {
            cache.by_user.insert(user.to_owned(), at);
        }
        Ok(at)
    }

    /// Follows a thread: by hand, or automatically because of an event in it.
    pub async fn subscribe_to_thread(
        &self,
        user: &UserId,
        room: &RoomId,
        root: &EventId,
        cause: Option<&EventId>,
    ) -> Result<()> {
        self.event_for(user, room, root).await?;
        let cause = match cause {
            Some(cause) => Some(self.cause_in_thread(user, room, root, cause).await?),
            None => None,
        };
        self.change_subscription((user, room, root), |before| after_subscribing(before, cause)).await
    }

    /// Follows a thread no longer. Who never did changes nothing.
    pub async fn unsubscribe_from_thread(&self, user: &UserId, room: &RoomId, root: &EventId) -> Result<()> {
        self.event_for(user, room, root).await?;
        let ended = |before: Option<&SubscriptionRow>| Ok(before.filter(|row| row.automatic.is_some()).map(|_| None));
        self.change_subscription((user, room, root), ended).await
    }

    /// The place of an event that is to be the reason for following a thread.
    async fn cause_in_thread(&self, user: &UserId, room: &RoomId, root: &EventId, cause: &EventId) -> Result<i64> {
        let in_thread = |known: &Known| {
            Relation::of(known.event())
                .is_some_and(|relation| relation.rel_type == "m.thread" && relation.event_id == root)
        };
        let (known, _) = match self.event_for(user, room, cause).await {
            Err(RoomError::UnknownEvent(_)) => return Err(RoomError::NotInThread),
            found => found?,
        };
        known.order().filter(|_| in_thread(&known)).ok_or(RoomError::NotInThread)
    }

    /// Changes a subscription to what `decide` says; `None` changes nothing.
    async fn change_subscription(
        &self,
        (user, room, root): (&UserId, &RoomId, &EventId),
        decide: impl Fn(Option<&SubscriptionRow>) -> Result<Option<Option<bool>>>,
    ) -> Result<()> {
        let key = (user.as_str(), room.as_str(), root.as_str());
        for _ in 0..WRITE_TRIES {
            let before = self.store().get(&SUBSCRIPTIONS, key).await?;
            let Some(automatic) = decide(before.as_ref())? else { return Ok(()) };
            let mut batch = Batch::new();
            batch.expect(&SUBSCRIPTIONS, key, before.as_ref()).touch(Subject::user(user));
            if let Some(before) = &before {
                batch.delete(&SUBSCRIPTIONS_MOVED, (user.as_str(), before.moved));
            }
            let (shared, person) = (self.0.clone(), user.to_owned());
            batch.after_commit(move |_| shared.subscriptions_changed.drop_user(&person));
            let (user, room, root) = (user.to_string(), room.to_string(), root.to_string());
            batch.at_position(move |position, writes| {
                let row = SubscriptionRow { automatic, moved: position.0 };
                writes.put(&SUBSCRIPTIONS, (user.as_str(), room.as_str(), root.as_str()), &row);
                writes.put(&SUBSCRIPTIONS_MOVED, (user.as_str(), position.0), &(room, root));
            });
            match self.store().commit(batch).await {
                Err(CommitError::Conflict(_)) => {}
                done => return done.map(drop).map_err(Into::into),
            }
        }
        Err(RoomError::Busy)
    }

    /// What changed in `(since, to]`, newest first.
    pub async fn thread_subscriptions_moved(
        &self,
        user: &UserId,
        since: Position,
        to: Position,
        limit: usize,
    ) -> Result<MovedSubscriptions> {
        let user = user.as_str();
        let scan = SUBSCRIPTIONS_MOVED
            .prefix((user,))
            .after(&SUBSCRIPTIONS_MOVED, (user, since.0))
            .through(&SUBSCRIPTIONS_MOVED, (user, to.0))
            .limit(limit.saturating_add(1))
            .reversed();
        let mut log = self.store().scan(&SUBSCRIPTIONS_MOVED, scan).await?;
        let next = log.get(limit).map(|((_, at), _)| Position(*at));
        log.truncate(limit);
        let keys = log.iter().map(|(_, (room, root))| (user, room.as_str(), root.as_str()));
        let rows = self.store().get_many(&SUBSCRIPTIONS, keys).await?;
        let moved = log.into_iter().zip(rows).filter_map(|(((_, at), (room, root)), row)| {
            let automatic = row.filter(|row| row.moved == at)?.automatic;
            let (room, root) = (room.try_into().ok()?, root.try_into().ok()?);
            Some(MovedSubscription { room, root, automatic, at: Position(at) })
        });
        Ok(MovedSubscriptions { moved: moved.collect(), next })
    }
}

/// What a subscription is after somebody subscribed, `cause` being the place of the event that made their client do so;
/// `None` if nothing changes.
fn after_subscribing(before: Option<&SubscriptionRow>, cause: Option<i64>) -> Result<Option<Option<bool>>> {
    let wanted = cause.is_some();
    match before {
        Some(SubscriptionRow { automatic: Some(automatic), .. }) if wanted || !*automatic => Ok(None),
        // A live event's place is its position in the stream, as is that of an end: the client has not heard of it yet.
        Some(SubscriptionRow { automatic: None, moved }) if cause.is_some_and(|order| order < moved.cast_signed()) => {
            Err(RoomError::UnsubscribedSince)
        }
        _ => Ok(Some(Some(wanted))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(automatic: Option<bool>) -> SubscriptionRow {
        SubscriptionRow { automatic, moved: 10 }
    }

    #[test]
    fn what_was_chosen_by_hand_is_not_made_automatic() {
        assert!(matches!(after_subscribing(None, Some(5)), Ok(Some(Some(true)))));
        assert!(matches!(after_subscribing(None, None), Ok(Some(Some(false)))));
        assert!(matches!(after_subscribing(Some(&row(Some(true))), None), Ok(Some(Some(false)))));
        assert!(matches!(after_subscribing(Some(&row(Some(false))), Some(11)), Ok(None)));
        assert!(matches!(after_subscribing(Some(&row(Some(false))), None), Ok(None)));
    }

    #[test]
    fn who_unsubscribed_is_subscribed_again_only_by_what_came_later() {
        assert!(matches!(after_subscribing(Some(&row(None)), Some(9)), Err(RoomError::UnsubscribedSince)));
        assert!(matches!(after_subscribing(Some(&row(None)), Some(11)), Ok(Some(Some(true)))));
        assert!(matches!(after_subscribing(Some(&row(None)), None), Ok(Some(Some(false)))));
    }
}
