//! A room's history as one person may see it: pages without what is hidden from them, and what stands around one event.

use ruma::{EventId, RoomId, UserId};
use std::{collections::HashSet, sync::Arc};

use crate::{
    Direction, Known, Page, Result, RoomError, Rooms, Visibility, send::unknown_is_forbidden, timeline::PAGE_EVENTS_MAX,
};

/// Events looked at for one page at most, when most are hidden or not wanted.
const LOOKED_AT_MAX: usize = 5_000;

/// What stands around an event.
#[derive(Debug)]
pub struct Around {
    /// The event itself.
    pub event: Arc<Known>,
    /// What came before, the nearest first.
    pub before: Page,
    /// What came after, the nearest first.
    pub after: Page,
    /// The place before the first of them.
    pub start: i64,
    /// The place after the last of them.
    pub end: i64,
}

impl Rooms {
    /// What a person may see of a room, if they may look into it at all.
    pub async fn look_into(&self, user: &UserId, room: &RoomId) -> Result<Visibility> {
        let visibility = self.visibility(user, room).await.map_err(unknown_is_forbidden)?;
        if !visibility.may_look() {
            return Err(RoomError::forbidden("you are not in this room"));
        }
        Ok(visibility)
    }

    /// A page of a room's history, as a person may see it.
    pub async fn history(
        &self,
        visibility: &Visibility,
        direction: Direction,
        (from, to): (Option<i64>, Option<i64>),
        limit: usize,
        wanted: impl Fn(&Known) -> bool,
    ) -> Result<Page> {
        let room = visibility.snapshot().room_id();
        let end = visibility.ends_at();
        let mut from = match direction {
            Direction::Backward => from.unwrap_or(i64::MAX).min(end.unwrap_or(i64::MAX)),
            Direction::Forward => from.unwrap_or(i64::MIN),
        };
        let to = match direction {
            Direction::Forward => to.into_iter().chain(end).min(),
            Direction::Backward => to,
        };
        let limit = limit.clamp(1, PAGE_EVENTS_MAX);
        let (mut events, mut looked_at) = (Vec::new(), 0);
        loop {
            let page = self.page(room, direction, from, to, limit.max(20)).await?;
            looked_at += page.events.len();
            for known in page.events {
                if !wanted(&known) || !visibility.may_see(&known).await? {
                    continue;
                }
                events.push(known);
                if events.len() == limit {
                    let next = events.last().and_then(|known| known.order()).map(|order| beyond(order, direction));
                    return Ok(Page { events, next });
                }
            }
            match page.next {
                Some(next) if looked_at < LOOKED_AT_MAX => from = next,
                next => return Ok(Page { events, next }),
            }
        }
    }

    /// An event and what stands around it, as a person may see it.
    pub async fn around(
        &self,
        user: &UserId,
        room: &RoomId,
        id: &EventId,
        limit: usize,
        wanted: impl Fn(&Known) -> bool,
    ) -> Result<(Around, Visibility)> {
        let (_, visibility) = self.event_for(user, room, id).await?;
        let around = self.around_seen(&visibility, id, limit, wanted).await?;
        Ok((around, visibility))
    }

    /// The same for whose view is known already.
    pub async fn around_seen(
        &self,
        visibility: &Visibility,
        id: &EventId,
        limit: usize,
        wanted: impl Fn(&Known) -> bool,
    ) -> Result<Around> {
        let unknown = || RoomError::UnknownEvent(id.to_owned());
        let event = self.known(id).await?.ok_or_else(unknown)?;
        if !visibility.may_see(&event).await? {
            return Err(unknown());
        }
        let order = event.order().ok_or_else(unknown)?;
        let half = limit / 2;
        let nothing = || Page { events: Vec::new(), next: None };
        let before = match half {
            0 => nothing(),
            _ => self.history(visibility, Direction::Backward, (Some(order - 1), None), half, &wanted).await?,
        };
        let after = match limit - half {
            0 => nothing(),
            rest => self.history(visibility, Direction::Forward, (Some(order), None), rest, &wanted).await?,
        };
        let edge = |page: &Page| page.events.last().and_then(|known| known.order());
        let start = edge(&before).unwrap_or(order).saturating_sub(1);
        let end = edge(&after).unwrap_or(order);
        Ok(Around { event, before, after, start, end })
    }

    /// The membership events of those who sent these events, as they were then: for clients that load members lazily.
    pub async fn senders_of(&self, room: &RoomId, events: &[Arc<Known>]) -> Result<Vec<Arc<Known>>> {
        let Some(last) = events.last() else { return Ok(Vec::new()) };
        let state = match last.after() {
            Some(group) => self.state_of_group(room, group).await?,
            None => Arc::new(self.snapshot(room).await?.state().clone()),
        };
        let now = self.snapshot(room).await?;
        let senders: HashSet<_> = events.iter().map(|known| known.event().sender()).collect();
        let ids = senders.iter().filter_map(|user| state.member(user).or_else(|| now.member(user)));
        let ids: Vec<_> = ids.map(|member| member.event_id.clone()).collect();
        self.must_know_all(ids.iter()).await
    }
}

fn beyond(order: i64, direction: Direction) -> i64 {
    match direction {
        Direction::Forward => order,
        Direction::Backward => order.saturating_sub(1),
    }
}
