//! An event of long before what is here, placed on its own: somebody looks for a date, and what came since is too much to fetch
//! first. It is where history goes on from then; what is missing after it is a hole, which is filled as any other.

use lyceum_events::Event;
use ruma::RoomId;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::{COUNTED_DOWN_FROM, GivenStates, Judged};
use crate::{
    Direction, Known, Membership, Part, Place, Result, RoomError, Rooms,
    known::Around,
    tables::{EARLIER, GAPS, HOLES, StoredHole, TIMELINE},
    write::{WRITE_TRIES, Writing, change_of},
};

/// Orders that are kept free between such an event and what is here: more than a room's events in many years.
const ISLAND_ORDERS: i64 = 1 << 32;

/// Such events of one room, together with all other holes in it.
const ISLANDS_MAX: usize = 20;

impl Rooms {
    /// Places an event before everything that is here, with the state before it as another server says. It and what permits
    /// it must have been brought in ([`Rooms::import`]). Answers whether it was placed.
    pub async fn take_island(&self, room: &RoomId, event: &Event, given: &GivenStates) -> Result<bool> {
        for tries in 1.. {
            match self.try_take_island(room, event, given).await {
                Err(RoomError::Busy) if tries < WRITE_TRIES => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_take_island(&self, room: &RoomId, event: &Event, given: &GivenStates) -> Result<bool> {
        let mut writing = self.write(room).await?;
        let wanted = self.store().get(&EARLIER, room.as_str()).await?.unwrap_or_default();
        let holes = self.store().scan(&HOLES, HOLES.prefix((room.as_str(),)).limit(ISLANDS_MAX)).await?;
        let first = self.edge(room, Direction::Forward).await?.saturating_add(1);
        if wanted.is_empty() || holes.len() >= ISLANDS_MAX || holes.iter().any(|((_, order), _)| *order == first) {
            return Ok(false);
        }
        if !writing.lies_before(event, first).await? {
            return Ok(false);
        }
        let Some(judged) = writing.judge_island(event, given).await? else { return Ok(false) };
        writing.keep_free_before(first, wanted);
        let mut judged = vec![judged];
        writing.redact_earlier(&mut judged).await?;
        let settled = HashSet::from([event.id().clone()]);
        let ends = writing.next_ends(BTreeSet::new(), &settled, &judged).await?;
        let reached = writing.place_earlier(Part::Beginning, judged).await?;
        writing.note_ends(Part::Beginning, ends, reached).await?;
        writing.queue().durable().await?;
        Ok(true)
    }
}

impl Writing {
    /// Whether an event can be one of long before the first one here: its time is only what its sender says, and somebody whom
    /// the room has banned since could say anything.
    async fn lies_before(&self, event: &Event, first: i64) -> Result<bool> {
        let row = self.rooms.store().get(&TIMELINE, (self.room.id.as_str(), first)).await?;
        let Some(row) = row else { return Ok(false) };
        let earliest = Known::from_stored(row, Place::Timeline(first), &self.rules())?;
        let is_banned = self.snapshot().membership(event.sender()) == Membership::Ban;
        Ok(event.depth() < earliest.event().depth() && !is_banned)
    }

    /// The event with the states around it, if it is one that may be placed.
    async fn judge_island(&mut self, event: &Event, given: &GivenStates) -> Result<Option<Judged>> {
        let Some(known) = self.find(std::slice::from_ref(event.id())).await?.pop().flatten() else { return Ok(None) };
        if *known.place() != Place::Outlier {
            return Ok(None);
        }
        let Some(before) = self.state_before_earlier(event, given, &HashMap::new()).await? else { return Ok(None) };
        if self.judge_earlier(event, &before.state).await?.is_err() {
            return Ok(None);
        }
        self.expect_at(event.id(), Some(known.as_ref()));
        self.leave_outliers(event.id());
        let (group, change) = (before.group, change_of(event));
        let replaces = change.as_ref().and_then(|change| before.state.get(&change.key.0, &change.key.1));
        let replaces = replaces.map(ToOwned::to_owned);
        let after = match change {
            Some(change) => self.state_after(&before, vec![change]),
            None => before,
        };
        let around = Around { before: group, after: after.group, current: None, replaces };
        Ok(Some(Judged { event: event.clone(), around, redacted: None }))
    }

    /// Keeps orders free before the first event here for what is missing before it, and goes on counting down below them.
    fn keep_free_before(&mut self, first: i64, wanted: Vec<String>) {
        let next = match self.stored_mut().first_order {
            0 => COUNTED_DOWN_FROM,
            order => order,
        };
        let floor = next.saturating_sub(ISLAND_ORDERS);
        self.stored_mut().first_order = floor.saturating_add(1);
        let room = self.room.id.clone();
        let key = (room.as_str(), first);
        let batch = self.batch();
        batch.expect(&HOLES, key, None);
        batch.put(&HOLES, key, &StoredHole { wanted, next, floor }).put(&GAPS, key, &());
    }
}
