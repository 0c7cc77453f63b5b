//! The part of a room's timeline that goes into an answer.

use lyceum_rooms::{Direction, Known, Looker, TimelineToken};
use lyceum_storage::Position;
use ruma::RoomId;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{Result, Sync, joined::passes, response::Timeline, v2::Turn};

/// Events looked at in one room for one answer, when a filter lets few through.
const LOOKED_AT_MAX: usize = 5000;
/// Events read at a time.
const PAGE: usize = 100;

/// Own messages younger than this may still be waiting for the answer to their sending.
const ECHO_FRESH_MS: i64 = 1_000;
/// How long a client is given to take in that answer before it is shown the message over sync. matrix-js-sdk calls a thread
/// reply not sent when it meets the two the other way round.
const ECHO_PAUSE: Duration = Duration::from_millis(10);

/// A stretch of the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Events after this position; `None`: from the beginning.
    pub(crate) after: Option<Position>,
    /// Events up to this position.
    pub(crate) through: Position,
}

/// The last events of a span.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Those that the client wants and may see, oldest first.
    pub(crate) events: Vec<Arc<Known>>,
    /// All that were read from the first of `events` on, wanted or not, oldest first.
    pub(crate) all: Vec<Arc<Known>>,
    /// How many were read in all.
    pub(crate) events_in_span: usize,
    /// Whether there are earlier ones in the span that were left out.
    pub(crate) limited: bool,
    /// Whether each event of `all` builds on the state the one before it left, so that no change of state hides in a fork.
    pub(crate) is_linear: bool,
}

impl Slice {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.limited
    }

    /// Where the timeline starts.
    pub(crate) fn first(&self) -> Option<&Arc<Known>> {
        self.events.first()
    }
}

impl Sync {
    /// The last events of a span that the client wants and may see.
    pub(crate) async fn slice(
        &self,
        turn: &Turn<'_>,
        room: &RoomId,
        span: Span,
        check_visibility: bool,
    ) -> Result<Slice> {
        let mut slice = Slice::default();
        if !turn.wanted.timeline_of(room) {
            return Ok(slice);
        }
        let limit = turn.wanted.timeline_max;
        let visibility = match check_visibility {
            true => Some(self.rooms().visibility(turn.request.user, room).await?),
            false => None,
        };
        let privacy = self.accounts().privacy(turn.request.user).await?;
        let mut next = Some(order_of(span.through));
        'pages: while let Some(from) = next {
            // A timeline that begins with the room may go on before it, into what was fetched from other servers.
            let to = span.after.map(order_of);
            let page = self.rooms().page(room, Direction::Backward, from, to, PAGE.max(limit + 1)).await?;
            next = page.next;
            for known in page.events {
                slice.events_in_span += 1;
                let visible = match &visibility {
                    Some(visibility) => visibility.may_see(&known).await?,
                    None => true,
                };
                // Of whom one ignores one hears nothing, but what they do to the room's state has to be known.
                let ignored = known.event().state_key().is_none() && privacy.ignores(known.event().sender());
                let wanted = visible && !ignored && passes(&turn.wanted.timeline, &known);
                if wanted && slice.events.len() == limit {
                    slice.limited = true;
                    break 'pages;
                }
                if wanted {
                    slice.events.push(known.clone());
                }
                slice.all.push(known);
            }
            if slice.events_in_span >= LOOKED_AT_MAX {
                slice.limited = true;
                break;
            }
        }
        slice.events.reverse();
        slice.all.reverse();
        self.cut_at_gap(&mut slice, room, span).await?;
        slice.is_linear = slice.all.windows(2).all(|pair| pair[0].after().is_some() && pair[0].after() == pair[1].before())
            // Where branches met, the state changed by more than the events in the timeline.
            && slice.all.iter().all(|known| known.room_after() == known.after());
        Ok(slice)
    }

    /// Leaves out what comes before a gap: a client has to know that there is one, and asks for what is before it.
    async fn cut_at_gap(&self, slice: &mut Slice, room: &RoomId, span: Span) -> Result<()> {
        // An event after a gap follows none that is here, and is never one of this server's own.
        let follows = |pair: &[Arc<Known>]| pair[1].event().prev().contains(pair[0].id());
        let is_own = |known: &Arc<Known>| known.event().sender().server_name() == self.rooms().server();
        if slice.all.windows(2).all(follows) && slice.all.first().is_none_or(is_own) {
            return Ok(());
        }
        let gap = self.rooms().last_gap(room, span.after.map(order_of), order_of(span.through)).await?;
        if let Some(gap) = gap {
            let is_after = |known: &Arc<Known>| known.order().is_some_and(|order| order >= gap);
            let count = slice.all.len();
            slice.events.retain(is_after);
            slice.all.retain(is_after);
            // Even where nothing is left out here: what the client had so far is not what comes before it.
            let begins_there = slice.all.first().is_some_and(|known| known.order() == Some(gap));
            slice.limited |= slice.all.len() < count || begins_there;
        }
        Ok(())
    }

    /// The slice as the client is told it.
    pub(crate) async fn timeline_of(&self, turn: &Turn<'_>, slice: Slice) -> Result<Timeline> {
        let start = slice.events.first().and_then(|known| known.order());
        let looker = turn.request.looker(self.now());
        let is_echo = slice.events.iter().any(|known| is_fresh_echo(looker, known));
        if is_echo && !turn.paused.swap(true, Ordering::Relaxed) {
            tokio::time::sleep(ECHO_PAUSE).await;
        }
        Ok(Timeline {
            events: self.forms(looker, &slice.events).await?,
            limited: slice.limited,
            prev_batch: Some(match start {
                Some(order) => TimelineToken(order.saturating_sub(1)).to_string(),
                None => TimelineToken(order_of(turn.to.position)).to_string(),
            }),
        })
    }
}

/// Whether the client itself sent this a moment ago.
fn is_fresh_echo(looker: Looker<'_>, known: &Known) -> bool {
    let age_ms = i64::from(looker.now.get()) - i64::from(known.event().ts().get());
    age_ms < ECHO_FRESH_MS
        && known.event().sender() == looker.user
        && known.transaction().is_some_and(|(device, _)| looker.device == Some(device))
}

/// A live event's place in its timeline is the position of its commit.
pub(crate) fn order_of(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}
