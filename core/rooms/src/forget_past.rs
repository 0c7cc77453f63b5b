//! Forgetting what was said in a room up to a place, at the wish of administrators: messages go, a page at a time. What makes
//! the room's state stays, and so does what the next event will be built on.

use lyceum_storage::{Batch, Subject};
use ruma::{EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    Direction, Known, Place, Result, RoomError, Rooms,
    by_time::nothing_then,
    room::Room,
    tables::{HEADS, THREADS, TIMELINE},
};

/// Events looked at in one batch.
const PAGE: usize = 200;

/// Whose messages are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of other servers' people, which can be had again.
    Others,
    /// All.
    Everybodys,
}

/// A part of a room's past in which messages were forgotten, as its commit tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The room.
    pub room: OwnedRoomId,
    /// The first place that was looked at.
    pub first: i64,
    /// The last place that was looked at.
    pub last: i64,
}

/// How the name of such a subject begins.
const FORGOTTEN: &str = "forgotten ";

impl Forgotten {
    fn subject(&self) -> Subject {
        Subject::other(format!("{FORGOTTEN}{} {} {}", self.first, self.last, self.room))
    }

    /// What a commit says by one of its subjects, if it is about a forgotten past.
    pub fn of(subject: &Subject) -> Option<Self> {
        let Subject::Other(name) = subject else { return None };
        let mut parts = name.strip_prefix(FORGOTTEN)?.splitn(3, ' ');
        let (first, last) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { room: OwnedRoomId::try_from(parts.next()?).ok()?, first, last })
    }
}

impl Rooms {
    /// The place before an event of a room: up to there the past can be forgotten.
    pub async fn past_before_event(&self, room: &RoomId, event: &EventId) -> Result<i64> {
        let known = self.known(event).await?.filter(|known| known.event().room() == room);
        let order = known.and_then(|known| known.order());
        order.map(|order| order.saturating_sub(1)).ok_or_else(|| RoomError::UnknownEvent(event.to_owned()))
    }

    /// The place before the first event of a room that is not older than a moment.
    pub async fn past_before_time(&self, room: &RoomId, ts: MilliSecondsSinceUnixEpoch) -> Result<i64> {
        let place = self.place_of(room, ts).await?;
        match place > self.edge(room, Direction::Forward).await? {
            true => Ok(place),
            false => Err(nothing_then()),
        }
    }

    /// Forgets messages after a place, up to another. Answers how far it came; `None`: there is nothing more to forget.
    pub async fn forget_past(&self, room_id: &RoomId, after: i64, up_to: i64, whose: Whose) -> Result<Option<i64>> {
        let room = self.live_room(room_id).await?;
        // Held, so that what the next event is built on stays the same meanwhile.
        let _writer = room.writer.lock().await;
        let head = self.store().get(&HEADS, room_id.as_str()).await?;
        let head = head.ok_or_else(|| RoomError::UnknownRoom(room_id.to_owned()))?;
        let ends: HashSet<_> = head.extremities.iter().map(|end| end.event_id.as_str()).collect();
        let at = |order: i64| (room_id.as_str(), order);
        let scan = TIMELINE.prefix((room_id.as_str(),)).after(&TIMELINE, at(after)).through(&TIMELINE, at(up_to));
        let page = self.store().scan(&TIMELINE, scan.limit(PAGE)).await?;
        let (Some(((_, first), _)), Some(((_, last), _))) = (page.first(), page.last()) else { return Ok(None) };
        let (first, last, rules) = (*first, *last, self.snapshot(room_id).await?.shared_rules());
        let (mut batch, mut gone) = (Batch::new(), HashSet::new());
        batch.touch(Forgotten { room: room_id.to_owned(), first, last }.subject());
        for ((_, order), stored) in page {
            let known = Known::from_stored(stored, Place::Timeline(order), &rules)?;
            let event = known.event();
            let wanted = whose == Whose::Everybodys || !self.is_local(event.sender());
            if event.state_key().is_some() || ends.contains(event.id().as_str()) || !wanted {
                continue;
            }
            batch.delete(&TIMELINE, at(order)).delete(&THREADS, (room_id.as_str(), event.id().as_str()));
            self.forget_event(room_id, &known, &mut batch).await?;
            gone.insert(event.id().clone());
        }
        self.commit_forgotten(&room, batch, gone).await?;
        Ok(Some(last))
    }

    async fn commit_forgotten(&self, room: &Arc<Room>, mut batch: Batch, gone: HashSet<OwnedEventId>) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let (shared, room) = (self.0.clone(), room.clone());
        batch.after_commit(move |_| {
            // What is being read just now is not to be remembered.
            shared.replaced.fetch_add(1, Ordering::AcqRel);
            if let Some(live) = &mut *room.live.write() {
                live.recent.retain(|known| !gone.contains(known.id()));
            }
        });
        self.store().commit(batch).await?;
        Ok(())
    }
}
