//! Finding the event nearest to a moment.
//!
//! Events stand in the order in which they came here, which is nearly that of their times: the place is found by halving,
//! and then a few events around it are compared.

use ruma::{MilliSecondsSinceUnixEpoch, RoomId};
use std::sync::Arc;

use crate::{Direction, Known, Result, RoomError, Rooms, Visibility};

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
        let room = visibility.snapshot().room_id();
        let place = self.place_of(room, ts).await?;
        let mut from = match direction {
            // A little aside, since order and time may disagree.
            Direction::Forward => self.aside(room, place, Direction::Backward).await?,
            Direction::Backward => self.aside(room, place, Direction::Forward).await?,
        };
        for _ in 0..PAGES_MAX {
            let page = self.history(visibility, direction, (Some(from), None), COMPARED, |_| true).await?;
            let fits = |known: &&Arc<Known>| match direction {
                Direction::Forward => known.event().ts() >= ts,
                Direction::Backward => known.event().ts() <= ts,
            };
            let fitting = page.events.iter().filter(fits);
            let nearest = match direction {
                Direction::Forward => fitting.min_by_key(|known| (known.event().ts(), known.order())),
                Direction::Backward => fitting.max_by_key(|known| (known.event().ts(), known.order())),
            };
            if let Some(nearest) = nearest {
                return Ok(nearest.clone());
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        Err(RoomError::NotFound("there is no event at that time"))
    }

    /// The place before the first event that is not older than a moment, by halving.
    async fn place_of(&self, room: &RoomId, ts: MilliSecondsSinceUnixEpoch) -> Result<i64> {
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
