//! What would have notified a person: found when asked, from the newest event back, in all their rooms together.
//!
//! Nothing is stored for this. The rooms' timelines have one order, the stream's, so the newest event of all rooms is the
//! newest of their newest.

use lyceum_rooms::{Direction, Known, Membership, RoomError, Visibility};
use ruma::{OwnedRoomId, UserId, push::Action};
use std::{
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use crate::{Push, PushError, error::Result};

/// Notifications in one answer at most, and unless the client says how many.
const PAGE_MAX: usize = 200;
const PAGE_USUAL: usize = 20;
/// Events looked at for one answer at most: the next answer goes on from there.
const LOOKED_AT_MAX: usize = 2_000;
/// Events of one room read at a time.
const ROOM_PAGE: usize = 20;

/// Something that would have notified.
#[derive(Debug, Clone)]
pub struct Notified {
    /// The event.
    pub known: Arc<Known>,
    /// What the rules say to do.
    pub actions: Vec<Action>,
    /// Whether it was read.
    pub read: bool,
}

/// A page of those, newest first.
#[derive(Debug, Clone, Default)]
pub struct NotifiedPage {
    /// Them.
    pub notified: Vec<Notified>,
    /// Where to go on; `None`: there is no more.
    pub next: Option<String>,
}

/// One room, read backward.
struct Reading {
    visibility: Visibility,
    read: lyceum_rooms::receipts::ReadUpTo,
    page: VecDeque<Arc<Known>>,
    next: Option<i64>,
}

impl Push {
    /// What would have notified a person, up to `from`, at most `limit`; with `loud` only what highlights.
    pub async fn notified(
        &self,
        user: &UserId,
        from: Option<&str>,
        limit: Option<usize>,
        loud: bool,
    ) -> Result<NotifiedPage> {
        let limit = limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX);
        let from = from.map_or(Ok(i64::MAX), place)?;
        let mut rooms = HashMap::new();
        let mut newest = BinaryHeap::new();
        for room in self.rooms().joined_rooms(user).await? {
            if let Some(order) = self.open(user, &room, from, &mut rooms).await? {
                newest.push((order, room));
            }
        }
        let mut page = NotifiedPage::default();
        for _ in 0..LOOKED_AT_MAX {
            let Some((order, room)) = newest.pop() else { return Ok(page) };
            if page.notified.len() == limit {
                page.next = Some(order.to_string());
                return Ok(page);
            }
            let Some(reading) = rooms.get_mut(&room) else { continue };
            if let Some(known) = reading.page.pop_front() {
                page.notified.extend(self.judge(user, reading, known, loud).await?);
            }
            if let Some(order) = self.peek(&room, reading).await? {
                newest.push((order, room));
            }
        }
        page.next = newest.pop().map(|(order, _)| order.to_string());
        Ok(page)
    }

    /// Begins to read a room. Answers the order of the event that is next.
    async fn open(
        &self,
        user: &UserId,
        room: &OwnedRoomId,
        from: i64,
        rooms: &mut HashMap<OwnedRoomId, Reading>,
    ) -> Result<Option<i64>> {
        let last = match self.rooms().now(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(None),
            found => found?.1,
        };
        let mut reading = Reading {
            visibility: self.rooms().visibility(user, room).await?,
            read: self.rooms().receipts().read_up_to(room, user).await?,
            page: VecDeque::new(),
            next: Some(from.min(last)),
        };
        let order = self.peek(room, &mut reading).await?;
        rooms.insert(room.clone(), reading);
        Ok(order)
    }

    /// The order of a room's next event, read if need be.
    async fn peek(&self, room: &OwnedRoomId, reading: &mut Reading) -> Result<Option<i64>> {
        if reading.page.is_empty()
            && let Some(from) = reading.next.take()
        {
            // What was filled in of before this server's time never notified anybody: it counts down from zero.
            let page = self.rooms().page(room, Direction::Backward, from, Some(0), ROOM_PAGE).await?;
            (reading.page, reading.next) = (page.events.into(), page.next);
        }
        Ok(reading.page.front().and_then(|known| known.order()))
    }

    async fn judge(&self, user: &UserId, reading: &Reading, known: Arc<Known>, loud: bool) -> Result<Option<Notified>> {
        if known.event().sender() == user || known.redacted_by().is_some() {
            return Ok(None);
        }
        // Who was not there was not notified, whatever they may read now.
        let there = reading.visibility.membership_at(&known).await?;
        if !matches!(there, Membership::Join | Membership::Invite) || !reading.visibility.may_see(&known).await? {
            return Ok(None);
        }
        if self.accounts().privacy(user).await?.ignores(known.event().sender()) {
            return Ok(None);
        }
        let actions = self.unreads().actions(user, reading.visibility.snapshot(), &known).await?;
        let wanted = actions.iter().any(|action| if loud { action.is_highlight() } else { action.should_notify() });
        if !wanted {
            return Ok(None);
        }
        let thread = self.rooms().thread_of(&known).await?;
        let read = reading.read.covers(&thread, known.order().unwrap_or(i64::MAX));
        Ok(Some(Notified { known, actions, read }))
    }
}

fn place(token: &str) -> Result<i64> {
    let order = token.parse().ok().filter(|order| *order > 0);
    order.ok_or_else(|| PushError::Invalid("the token was not made by this server".to_owned()))
}
