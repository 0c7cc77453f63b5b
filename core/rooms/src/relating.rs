//! The events that relate to an event, and the threads of a room.

use ruma::{EventId, OwnedEventId, RoomId, UserId};
use std::{collections::HashSet, sync::Arc};

use crate::{
    Direction, Known, Page, Result, RoomError, Rooms, Visibility,
    tables::{RELATIONS, THREADS},
};

/// Relating events looked at for one answer.
const RELATING_MAX: usize = 20_000;
/// How far relations of relations are followed (spec: at least three levels).
pub const RECURSION_MAX: u32 = 3;
/// Threads of a room that are looked at for one answer.
const THREADS_MAX: usize = 20_000;

/// Which relating events are wanted.
#[derive(Debug, Clone)]
pub struct Relating<'a> {
    /// How they relate; all ways if not given.
    pub rel_type: Option<&'a str>,
    /// Their type; all types if not given.
    pub kind: Option<&'a str>,
    /// Whether those that relate to the relating ones count too.
    pub recurse: bool,
    /// Which way to page.
    pub direction: Direction,
    /// Where to begin.
    pub from: Option<i64>,
    /// Where to end.
    pub to: Option<i64>,
    /// How many.
    pub limit: usize,
}

impl Rooms {
    /// The events that relate to one that the person may see.
    pub async fn relating(
        &self,
        user: &UserId,
        room: &RoomId,
        event: &EventId,
        wanted: &Relating<'_>,
    ) -> Result<(Page, Visibility)> {
        let (_, visibility) = self.event_for(user, room, event).await?;
        let mut found = self.all_relating(event, wanted).await?;
        found.sort_unstable_by_key(|(order, _)| *order);
        if wanted.direction == Direction::Backward {
            found.reverse();
        }
        let (mut events, mut next) = (Vec::new(), None);
        for (order, id) in found {
            if !is_within(order, wanted) {
                continue;
            }
            if events.len() == wanted.limit {
                next = events.last().and_then(|known: &Arc<Known>| known.order()).map(|order| match wanted.direction {
                    Direction::Forward => order,
                    Direction::Backward => order - 1,
                });
                break;
            }
            if let Some(known) = self.known(&id).await?
                && known.redacted_by().is_none()
                && visibility.may_see(&known).await?
            {
                events.push(known);
            }
        }
        Ok((Page { events, next }, visibility))
    }

    async fn all_relating(&self, event: &EventId, wanted: &Relating<'_>) -> Result<Vec<(i64, OwnedEventId)>> {
        let mut found = Vec::new();
        let (mut level, mut seen) = (vec![event.to_owned()], HashSet::from([event.to_owned()]));
        for _ in 0..if wanted.recurse { RECURSION_MAX } else { 1 } {
            let mut below = Vec::new();
            for event in level {
                let scan = RELATIONS.prefix((event.as_str(),)).limit(RELATING_MAX);
                for ((_, rel_type, order), row) in self.store().scan(&RELATIONS, scan).await? {
                    let Ok(id) = OwnedEventId::try_from(row.event_id) else { continue };
                    if found.len() >= RELATING_MAX || !seen.insert(id.clone()) {
                        continue;
                    }
                    let fits = wanted.rel_type.is_none_or(|wanted| rel_type == wanted)
                        && wanted.kind.is_none_or(|wanted| row.kind == wanted);
                    if fits {
                        found.push((order, id.clone()));
                    }
                    below.push(id);
                }
            }
            level = below;
        }
        Ok(found)
    }

    /// The roots of a room's threads, the one last written in first.
    pub async fn threads(
        &self,
        user: &UserId,
        room: &RoomId,
        participated_only: bool,
        (from, limit): (Option<i64>, usize),
    ) -> Result<(Page, Visibility)> {
        let visibility = self.look_into(user, room).await?;
        let rows = self.store().scan(&THREADS, THREADS.prefix((room.as_str(),)).limit(THREADS_MAX)).await?;
        let mut roots: Vec<_> = rows.into_iter().map(|((_, root), last)| (last, root)).collect();
        roots.sort_unstable_by(|one, other| other.cmp(one));
        let (mut events, mut next) = (Vec::new(), None);
        for (last, root) in roots.into_iter().filter(|(last, _)| from.is_none_or(|from| *last <= from)) {
            if events.len() == limit {
                next = Some(last);
                break;
            }
            let Ok(root) = OwnedEventId::try_from(root) else { continue };
            let Some(known) = self.known(&root).await? else { continue };
            if !visibility.may_see(&known).await? {
                continue;
            }
            let thread = self.thread(&root).await?;
            let took_part = known.event().sender() == user || thread.has_writer(user);
            if thread.is_written_in() && (took_part || !participated_only) {
                events.push(known);
            }
        }
        Ok((Page { events, next }, visibility))
    }

    /// The rooms two people of whom one asks are both in.
    pub async fn mutual_rooms(&self, user: &UserId, other: &UserId) -> Result<Vec<ruma::OwnedRoomId>> {
        if user == other {
            return Err(RoomError::InvalidParam("that is yourself".to_owned()));
        }
        let mut mutual = Vec::new();
        for room in self.joined_rooms(user).await? {
            if self.snapshot(&room).await?.is_joined(other) {
                mutual.push(room);
            }
        }
        Ok(mutual)
    }
}

fn is_within(order: i64, wanted: &Relating<'_>) -> bool {
    match wanted.direction {
        Direction::Forward => wanted.from.is_none_or(|from| order > from) && wanted.to.is_none_or(|to| order <= to),
        Direction::Backward => wanted.from.is_none_or(|from| order <= from) && wanted.to.is_none_or(|to| order > to),
    }
}
