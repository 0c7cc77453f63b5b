//! Finding the event nearest to a moment.
//!
//! Events stand in the order in which they came here, which is nearly that of their times: the place is found by halving,
//! and then a few events around it are compared.

use ruma::{MilliSecondsSinceUnixEpoch, RoomId, ServerName};
use std::sync::Arc;

use crate::{Direction, Known, Part, Result, RoomError, Rooms, Visibility};

/// Events compared around the place found by halving.
const COMPARED: usize = 100;
/// Pages looked through for an event that may be seen.
const PAGES_MAX: usize = 20;

impl Rooms {
    /// The event nearest to a moment, at or after it going forward, at or before it going backward.
    pub async fn event_by_time(
        &self,
        visibility: &Visibility,
        ts: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<Arc<Known>> {
        let mut from = self.beside(visibility.snapshot().room_id(), ts, direction).await?;
        for _ in 0..PAGES_MAX {
            let page = self.history(visibility, direction, (Some(from), None), COMPARED, |_| true).await?;
            if let Some(nearest) = nearest(&page.events, ts, direction) {
                return Ok(nearest);
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        Err(nothing_then())
    }

    /// The same among what another server may see.
    pub async fn event_by_time_for_server(
        &self,
        server: &ServerName,
        room: &RoomId,
        ts: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<Arc<Known>> {
        let mut from = self.beside(room, ts, direction).await?;
        for _ in 0..PAGES_MAX {
            let page = self.page(room, direction, from, None, COMPARED).await?;
            let mut seen = Vec::with_capacity(page.events.len());
            for known in page.events {
                if self.server_may_see(server, &known).await? {
                    seen.push(known);
                }
            }
            if let Some(nearest) = nearest(&seen, ts, direction) {
                return Ok(nearest);
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        Err(nothing_then())
    }

    /// What is missing here between a moment and the event that was found nearest to it: a nearer one may be there.
    pub async fn missing_beside(
        &self,
        room: &RoomId,
        ts: MilliSecondsSinceUnixEpoch,
        found: Option<&Known>,
        direction: Direction,
    ) -> Result<Option<Part>> {
        let before = self.place_of(room, ts).await?;
        let after = self.page(room, Direction::Forward, before, None, 1).await?.events.pop();
        let (after, found) = (after.and_then(|known| known.order()), found.and_then(Known::order));
        let (from, reached) = match direction {
            Direction::Forward => (found, before),
            Direction::Backward => (after, found.unwrap_or(i64::MIN)),
        };
        let from = from.map_or(i64::MAX, |order| order.saturating_sub(1));
        if let Some(hole) = self.hole_within(room, from, reached).await? {
            return Ok(Some(hole.part));
        }
        let is_first = before <= self.edge(room, Direction::Forward).await?;
        let goes_on = is_first && !self.earlier(room).await?.is_empty();
        Ok(goes_on.then_some(Part::Beginning))
    }

    /// The place from which to look for the event nearest to a moment: a little aside, since order and time may disagree.
    async fn beside(&self, room: &RoomId, ts: MilliSecondsSinceUnixEpoch, direction: Direction) -> Result<i64> {
        let place = self.place_of(room, ts).await?;
        let away = match direction {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        };
        self.aside(room, place, away).await
    }

    /// The place before the first event that is not older than a moment, by halving.
    pub(crate) async fn place_of(&self, room: &RoomId, ts: MilliSecondsSinceUnixEpoch) -> Result<i64> {
        let (mut low, mut high) =
            (self.edge(room, Direction::Forward).await?, self.edge(room, Direction::Backward).await?);
        while low < high {
            let middle = low + (high - low) / 2;
            let next = self.page(room, Direction::Forward, middle, Some(high), 1).await?.events;
            match next.first().filter(|known| known.event().ts() < ts).and_then(|known| known.order()) {
                Some(order) => low = order,
                None => high = middle,
            }
        }
        Ok(low)
    }

    /// A place some events aside.
    async fn aside(&self, room: &RoomId, place: i64, direction: Direction) -> Result<i64> {
        let page = self.page(room, direction, place, None, COMPARED / 4).await?;
        let last = page.events.last().and_then(|known| known.order());
        Ok(last.map_or(place, |order| if direction == Direction::Backward { order - 1 } else { order }))
    }
}

fn nearest(events: &[Arc<Known>], ts: MilliSecondsSinceUnixEpoch, direction: Direction) -> Option<Arc<Known>> {
    let at = |known: &&Arc<Known>| (known.event().ts(), known.order());
    match direction {
        Direction::Forward => events.iter().filter(|known| known.event().ts() >= ts).min_by_key(at),
        Direction::Backward => events.iter().filter(|known| known.event().ts() <= ts).max_by_key(at),
    }
    .cloned()
}

pub(crate) fn nothing_then() -> RoomError {
    RoomError::NotFound("there is no event at that time")
}
