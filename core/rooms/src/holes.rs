//! Holes in a timeline: what was said while nobody of this server was in the room, or what could not be had when it came. An
//! event before which others are missing takes as many orders as a hole may need, the last of them for itself; what is told
//! later is placed before it, from later to earlier ([`crate::earlier`]). A room without holes pays nothing.

use lyceum_events::Event;
use lyceum_storage::Writes;
use ruma::{OwnedEventId, RoomId};
use std::sync::Arc;

use crate::{
    Known, Place, Result, Rooms,
    room::Live,
    tables::{HOLES, StoredHole},
    write::Writing,
};

/// Orders that are kept free for what belongs into one hole; of a longer one only the end is ever fetched.
pub(crate) const HOLE_ORDERS: u64 = 1 << 14;

/// Holes of one room that are looked at, the last ones.
const HOLES_MAX: usize = 50;

/// A part of a room's history that other servers are to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What came before the first event here.
    Beginning,
    /// What is missing before the event of this order.
    Hole(i64),
}

/// A hole that a page of the timeline leads over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Which one.
    pub part: Part,
    /// The place after which paging backward comes to what is missing.
    pub edge: i64,
}

impl StoredHole {
    /// The hole before an event that is about to be placed.
    pub(crate) fn before(event: &Event, order: i64) -> Self {
        let wanted = event.prev().iter().map(ToString::to_string).collect();
        Self { wanted, next: order, floor: order.saturating_sub_unsigned(HOLE_ORDERS) }
    }

    fn wanted(&self) -> Vec<OwnedEventId> {
        self.wanted.iter().filter_map(|id| OwnedEventId::try_from(id.as_str()).ok()).collect()
    }
}

impl Rooms {
    /// The last hole between two places of a timeline: below `from`, and with events looked at beyond it, down to `reached`.
    pub async fn hole_within(&self, room: &RoomId, from: i64, reached: i64) -> Result<Option<Hole>> {
        let scan = HOLES.prefix((room.as_str(),)).limit(HOLES_MAX).reversed();
        let rows = self.store().scan(&HOLES, scan).await?;
        let within = |row: &StoredHole| row.next > reached && row.floor <= from;
        let found = rows.into_iter().find(|(_, row)| within(row));
        Ok(found.map(|((_, order), row)| Hole { part: Part::Hole(order), edge: row.next - 1 }))
    }

    /// The events with which a missing part of a room's history ends: what other servers are to be asked for. None when
    /// nothing is missing there.
    pub async fn missing_before(&self, room: &RoomId, part: Part) -> Result<Vec<OwnedEventId>> {
        match part {
            Part::Beginning => self.earlier(room).await,
            Part::Hole(order) => {
                let row = self.store().get(&HOLES, (room.as_str(), order)).await?;
                Ok(row.as_ref().map(StoredHole::wanted).unwrap_or_default())
            }
        }
    }

    /// What was told that may belong into a part of the history: a hole ends at what is here, although that stands on more.
    pub(crate) async fn of_part(&self, part: Part, told: &[Event]) -> Result<Vec<Event>> {
        if part == Part::Beginning {
            return Ok(told.to_vec());
        }
        let ids: Vec<_> = told.iter().map(|event| event.id().clone()).collect();
        let has_place = |known: &Option<Arc<Known>>| known.as_ref().is_some_and(|known| known.after().is_some());
        let here = self.known_many(&ids).await?;
        Ok(told.iter().zip(here).filter(|(_, known)| !has_place(known)).map(|(event, _)| event.clone()).collect())
    }
}

impl Writing {
    /// Whether everything that an event follows has its place here.
    pub(crate) async fn follows_what_is_here(&mut self, event: &Event) -> Result<bool> {
        let prev = self.find_prev(event).await?;
        let has_place = |known: &Option<Arc<Known>>| known.as_ref().is_some_and(|known| known.after().is_some());
        Ok(prev.iter().all(has_place))
    }

    /// The order after the next free one in a part of the history, and how many are free.
    pub(crate) async fn free_orders(&mut self, part: Part, first: i64) -> Result<(i64, usize)> {
        let Part::Hole(order) = part else { return Ok((first, usize::MAX)) };
        let row = self.rooms.store().get(&HOLES, (self.room.id.as_str(), order)).await?;
        let free = row.map(|row| (row.next, usize::try_from(row.next - row.floor - 1).unwrap_or_default()));
        Ok(free.unwrap_or((order, 0)))
    }

    /// Notes what is still missing of a hole, down to which order it is filled; closes it when nothing is.
    pub(crate) async fn note_hole(&mut self, order: i64, wanted: Vec<String>, next: i64) -> Result<()> {
        let room = self.room.id.clone();
        let key = (room.as_str(), order);
        let before = self.rooms.store().get(&HOLES, key).await?;
        let after = before.clone().filter(|_| !wanted.is_empty()).map(|row| StoredHole { wanted, next, ..row });
        let batch = self.batch();
        batch.expect(&HOLES, key, before.as_ref());
        match after.filter(|row| row.next > row.floor + 1) {
            Some(row) => batch.put(&HOLES, key, &row),
            None => batch.delete(&HOLES, key),
        };
        Ok(())
    }
}

/// The rows of an event before which others are missing.
pub(crate) fn write_hole(known: &Known, writes: &mut Writes) {
    if let Place::Timeline(order) = *known.place() {
        let room = known.event().room();
        writes.put(&HOLES, (room.as_str(), order), &StoredHole::before(known.event(), order));
    }
}

impl Live {
    /// Forgets what is before the event of an order, where something was put in.
    pub(crate) fn forget_before(&mut self, order: i64) {
        while self.recent.front().and_then(|known| known.order()).is_some_and(|first| first < order) {
            self.recent.pop_front();
        }
        self.floor = self.floor.max(order - 1);
    }
}
