//! Reading what was said: pages of history, one event, and what stands around it.

use axum::extract::State;
use lyceum_accounts::{Accounts, Privacy, Session};
use lyceum_events::Clock;
use lyceum_rooms::{Direction, Known, Rooms, TimelineToken, Visibility};
use lyceum_sync::filter::{EventFilter, read_room_filter};
use lyceum_web::{Answer, ApiError, Authed, AuthedRaw, Ruma};
use ruma::{
    OwnedRoomId, UInt,
    api::{
        Direction as RumaDirection,
        client::{
            context::get_context,
            filter::{LazyLoadOptions, RoomEventFilter},
            message::get_message_events,
            room::get_room_event,
        },
    },
    serde::Raw,
};
use serde::Deserialize;
use std::sync::Arc;

use super::{looker, raws};
use crate::remote::Remote;

/// Events that one page of history holds at most.
const PAGE_EVENTS_MAX: usize = 1_000;
/// Events on one page if the client does not say how many.
const PAGE_EVENTS: u32 = 10;

/// Which page of history, read leniently.
#[derive(Deserialize)]
pub(crate) struct Page {
    from: Option<String>,
    to: Option<String>,
    /// Required by the specification; other servers take its absence for forward, and clients rely on it.
    dir: Option<RumaDirection>,
    limit: Option<UInt>,
    filter: Option<String>,
}

/// `GET /_matrix/client/v3/rooms/{roomId}/messages`.
pub(crate) async fn get_message_events(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(accounts): State<Accounts>,
    State(clock): State<Arc<dyn Clock>>,
    AuthedRaw { session, path: (room,), query, .. }: AuthedRaw<(OwnedRoomId,), Page>,
) -> Answer<get_message_events::v3::Response> {
    let visibility = rooms.look_into(&session.user_id, &room).await?;
    let privacy = accounts.privacy(&session.user_id).await?;
    let reading = Reading { rooms: &rooms, clock: &*clock, session: &session };
    reading.page(&remote, &visibility, &privacy, query).await.map(Ruma)
}

/// Somebody who reads in rooms.
pub(crate) struct Reading<'a> {
    pub(crate) rooms: &'a Rooms,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) session: &'a Session,
}

impl Reading<'_> {
    /// A page of history.
    pub(crate) async fn page(
        &self,
        remote: &Remote,
        visibility: &Visibility,
        privacy: &Privacy,
        query: Page,
    ) -> Result<get_message_events::v3::Response, ApiError> {
        let direction = query.dir.map_or(Direction::Forward, direction);
        let (from, to) = (place(query.from.as_deref())?, place(query.to.as_deref())?);
        let (asked, filter) = read_filter(query.filter.as_deref())?;
        let limit = limit(query.limit.unwrap_or_else(|| PAGE_EVENTS.into()), asked.limit);
        let wanted = |known: &Known| is_wanted(&filter, privacy, known);
        let page = remote.history(visibility, direction, (from, to), limit, wanted).await?;

        let (room, looker) = (visibility.snapshot().room_id(), looker(self.session, self.clock));
        let mut answer = get_message_events::v3::Response::new();
        answer.start = match from {
            Some(from) => TimelineToken(from).to_string(),
            None => TimelineToken(self.rooms.edge(room, direction).await?).to_string(),
        };
        // A page that a filter made shorter says where it ends even at the beginning of the room, as other servers do.
        let last = page.events.last().and_then(|known| known.order()).filter(|_| !filter.is_open());
        let last = last.map(|order| if direction == Direction::Backward { order.saturating_sub(1) } else { order });
        answer.end = page.next.or(last).map(|next| TimelineToken(next).to_string());
        answer.state = raws(lazy_members(self.rooms, looker, room, (&asked, &page.events)).await?);
        answer.chunk = raws(self.rooms.present(visibility, looker, &page.events).await?);
        Ok(answer)
    }

    /// An event and what stands around it.
    pub(crate) async fn around(
        &self,
        visibility: &Visibility,
        around: lyceum_rooms::Around,
        filter: &RoomEventFilter,
    ) -> Result<get_context::v3::Response, ApiError> {
        let (room, looker) = (visibility.snapshot().room_id(), looker(self.session, self.clock));
        let mut answer = get_context::v3::Response::new();
        let last = around.after.events.last().unwrap_or(&around.event).clone();
        let mut shown = around.before.events.clone();
        shown.push(around.event.clone());
        shown.extend(around.after.events.iter().cloned());
        let senders = lazy(filter).then_some(&*shown);
        let state = self.rooms.state_around(room, &last, senders).await?;
        answer.start = Some(TimelineToken(around.start).to_string());
        answer.end = Some(TimelineToken(around.end).to_string());
        answer.event = raws(self.rooms.present(visibility, looker, &[around.event]).await?).pop();
        answer.events_before = raws(self.rooms.present(visibility, looker, &around.before.events).await?);
        answer.events_after = raws(self.rooms.present(visibility, looker, &around.after.events).await?);
        answer.state = raws(self.rooms.present_state(looker, &state).await?);
        Ok(answer)
    }
}

/// How much around an event, read leniently.
#[derive(Deserialize)]
pub(crate) struct Around {
    limit: Option<UInt>,
    pub(crate) filter: Option<String>,
}

impl Around {
    pub(crate) fn limit(&self) -> usize {
        limit(self.limit.unwrap_or_else(|| PAGE_EVENTS.into()), None)
    }
}

/// `GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}`.
pub(crate) async fn get_room_event(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<get_room_event::v3::Request>,
) -> Answer<get_room_event::v3::Response> {
    let (known, visibility) = rooms.event_for(&session.user_id, &body.room_id, &body.event_id).await?;
    let forms = rooms.present(&visibility, looker(&session, &*clock), &[known]).await?;
    let form = forms.into_iter().next().ok_or_else(|| ApiError::not_found("There is no such event"))?;
    Ok(Ruma(get_room_event::v3::Response::new(Raw::from_json(form))))
}

/// `GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}`.
pub(crate) async fn get_context(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(accounts): State<Accounts>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<get_context::v3::Request>,
) -> Answer<get_context::v3::Response> {
    let (filter, privacy) = (EventFilter::from(&body.filter), accounts.privacy(&session.user_id).await?);
    let wanted = |known: &Known| is_wanted(&filter, &privacy, known);
    let limit = usize::try_from(u64::from(body.limit)).unwrap_or(PAGE_EVENTS_MAX).min(PAGE_EVENTS_MAX);
    let whose = (&*session.user_id, &*body.room_id);
    let (around, visibility) = remote.around(whose, &body.event_id, limit, wanted).await?;

    let reading = Reading { rooms: &rooms, clock: &*clock, session: &session };
    reading.around(&visibility, around, &body.filter).await.map(Ruma)
}

pub(crate) fn direction(asked: RumaDirection) -> Direction {
    match asked {
        RumaDirection::Forward => Direction::Forward,
        RumaDirection::Backward => Direction::Backward,
    }
}

pub(crate) fn read_filter(text: Option<&str>) -> Result<(RoomEventFilter, EventFilter), ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Default::default()) };
    read_room_filter(text).map_err(|error| ApiError::invalid_param(format!("The filter cannot be read: {error}")))
}

/// A place in the timeline, as a client names it.
pub(crate) fn place(token: Option<&str>) -> Result<Option<i64>, ApiError> {
    Ok(token.map(str::parse::<TimelineToken>).transpose()?.map(|token| token.0))
}

fn limit(asked: UInt, of_filter: Option<UInt>) -> usize {
    let asked = of_filter.map_or(asked, |limit| limit.min(asked));
    usize::try_from(u64::from(asked)).unwrap_or(PAGE_EVENTS_MAX).clamp(1, PAGE_EVENTS_MAX)
}

pub(crate) fn is_wanted(filter: &EventFilter, privacy: &Privacy, known: &Known) -> bool {
    let event = known.event();
    // What ignored people say is not shown; what they do to the room's state is (spec, "Ignoring users").
    if event.state_key().is_none() && privacy.ignores(event.sender()) {
        return false;
    }
    filter.wants(event)
}

fn lazy(filter: &RoomEventFilter) -> bool {
    matches!(filter.lazy_load_options, LazyLoadOptions::Enabled { .. })
}

async fn lazy_members(
    rooms: &Rooms,
    looker: lyceum_rooms::Looker<'_>,
    room: &ruma::RoomId,
    (filter, events): (&RoomEventFilter, &[Arc<Known>]),
) -> Result<Vec<Box<serde_json::value::RawValue>>, ApiError> {
    if !lazy(filter) {
        return Ok(Vec::new());
    }
    let members = rooms.senders_of(room, events).await?;
    Ok(rooms.present_state(looker, &members).await?)
}
