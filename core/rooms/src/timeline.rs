//! Paging through a room's timeline.

use ruma::RoomId;
use std::sync::Arc;

use crate::{
    Known, Place, Result, RoomError, Rooms,
    room::Live,
    tables::{GAPS, TIMELINE},
};

/// Events that one page holds at most.
pub(crate) const PAGE_EVENTS_MAX: usize = 1_000;

/// Which way to page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From earlier to later.
    Forward,
    /// From later to earlier.
    Backward,
}

/// A page of a timeline.
///
/// A place in the timeline is a number: the events up to and including that order are before it. Paging backward from a
/// place gives the events before it, paging forward those after it.
#[derive(Debug, Clone)]
pub struct Page {
    /// The events in the direction asked for.
    pub events: Vec<Arc<Known>>,
    /// The place to go on from; `None`: there is no more.
    pub next: Option<i64>,
}

impl Rooms {
    /// A page of a room's timeline: from a place in a direction, up to another place if given.
    pub async fn page(
        &self,
        room_id: &RoomId,
        direction: Direction,
        from: i64,
        to: Option<i64>,
        limit: usize,
    ) -> Result<Page> {
        let limit = limit.clamp(1, PAGE_EVENTS_MAX);
        let room = self.live_room(room_id).await?;
        let recent = room.live.read().as_ref().and_then(|live| recent(live, direction, from, to, limit));
        let events = match recent {
            Some(events) => events,
            None => self.stored_page(room_id, direction, (from, to), limit).await?,
        };
        let full = events.len() == limit;
        let next = events.last().filter(|_| full).and_then(|known| known.order()).map(|order| match direction {
            Direction::Forward => order,
            Direction::Backward => order.saturating_sub(1),
        });
        Ok(Page { events, next })
    }

    async fn stored_page(
        &self,
        room: &RoomId,
        direction: Direction,
        (from, to): (i64, Option<i64>),
        limit: usize,
    ) -> Result<Vec<Arc<Known>>> {
        let all = TIMELINE.prefix((room.as_str(),)).limit(limit);
        let at = |order: i64| (room.as_str(), order);
        let scan = match (direction, to) {
            (Direction::Forward, None) => all.after(&TIMELINE, at(from)),
            (Direction::Forward, Some(to)) => all.after(&TIMELINE, at(from)).through(&TIMELINE, at(to)),
            (Direction::Backward, None) => all.through(&TIMELINE, at(from)).reversed(),
            (Direction::Backward, Some(to)) => all.through(&TIMELINE, at(from)).after(&TIMELINE, at(to)).reversed(),
        };
        let rows = self.store().scan(&TIMELINE, scan).await?;
        let rules = self.snapshot(room).await?.shared_rules();
        let read = |((_, order), stored): ((String, i64), _)| {
            Known::from_stored(stored, Place::Timeline(order), &rules).map(Arc::new)
        };
        rows.into_iter().map(read).collect()
    }

    /// The last event after a place, and up to another, before which events are missing.
    pub async fn last_gap(&self, room: &RoomId, after: Option<i64>, through: i64) -> Result<Option<i64>> {
        let all = GAPS.prefix((room.as_str(),)).through(&GAPS, (room.as_str(), through)).limit(1).reversed();
        let scan = match after {
            Some(after) => all.after(&GAPS, (room.as_str(), after)),
            None => all,
        };
        Ok(self.store().scan(&GAPS, scan).await?.first().map(|((_, order), ())| *order))
    }

    /// The place from which paging in a direction sees everything.
    pub async fn edge(&self, room: &RoomId, direction: Direction) -> Result<i64> {
        match direction {
            Direction::Backward => Ok(self.now(room).await?.1),
            Direction::Forward => {
                let first = self.page(room, direction, i64::MIN, None, 1).await?.events;
                Ok(first.first().and_then(|known| known.order()).map_or(0, |order| order - 1))
            }
        }
    }

    /// The events of a room after a place, in order, at most the last `limit` of them; and whether there are more.
    pub async fn since(&self, room: &RoomId, since: i64, to: i64, limit: usize) -> Result<(Vec<Arc<Known>>, bool)> {
        let mut page = self.page(room, Direction::Backward, to, Some(since), limit + 1).await?;
        let more = page.events.len() > limit;
        page.events.truncate(limit);
        page.events.reverse();
        Ok((page.events, more))
    }
}

/// A page from memory, if memory has all of it.
fn recent(live: &Live, direction: Direction, from: i64, to: Option<i64>, limit: usize) -> Option<Vec<Arc<Known>>> {
    let order = |known: &Arc<Known>| known.order().unwrap_or(i64::MIN);
    match direction {
        Direction::Forward => {
            let to = to.unwrap_or(i64::MAX);
            (from >= live.floor).then(|| {
                let after = live.recent.iter().skip_while(|known| order(known) <= from);
                after.take_while(|known| order(known) <= to).take(limit).cloned().collect()
            })
        }
        Direction::Backward => {
            let to = to.unwrap_or(i64::MIN);
            let before = live.recent.iter().rev().skip_while(|known| order(known) > from);
            let events: Vec<_> = before.take_while(|known| order(known) > to).take(limit).cloned().collect();
            (events.len() == limit || to >= live.floor || live.floor == i64::MIN).then_some(events)
        }
    }
}

/// A place in a room's timeline as clients are given it. A sync token names a place too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineToken(pub i64);

impl std::fmt::Display for TimelineToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "t1_{}", self.0)
    }
}

impl std::str::FromStr for TimelineToken {
    type Err = RoomError;

    fn from_str(text: &str) -> Result<Self> {
        let number = match text.strip_prefix("s1_") {
            // Of a sync's token the first of its three numbers is the place.
            Some(sync) => match sync.split('_').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>() {
                Some(numbers) if numbers.len() == 3 => numbers[0].try_into().ok(),
                _ => None,
            },
            None => text.strip_prefix("t1_").and_then(|order| order.parse().ok()),
        };
        number.map(Self).ok_or_else(|| RoomError::InvalidParam("the token was not made by this server".to_owned()))
    }
}
