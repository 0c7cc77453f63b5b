//! What relates to an event, and the threads of a room.

use axum::extract::State;
use lyceum_accounts::Session;
use lyceum_events::Clock;
use lyceum_rooms::{RECURSION_MAX, Relating, Rooms, TimelineToken};
use lyceum_web::{Answer, ApiError, Authed, Ruma};
use ruma::{
    EventId, RoomId, UInt,
    api::client::{
        relations::{
            get_relating_events, get_relating_events_with_rel_type, get_relating_events_with_rel_type_and_event_type,
        },
        threads::get_threads::{self, v1::IncludeThreads},
    },
    events::AnyMessageLikeEvent,
    serde::Raw,
};
use std::sync::Arc;

use super::{
    looker,
    messages::{direction, place},
    raws,
};

/// Relating events on one page, unless otherwise asked, and at most.
const PAGE_EVENTS: usize = 5;
const PAGE_EVENTS_MAX: usize = 100;
/// Threads on one page, unless otherwise asked.
const PAGE_THREADS: usize = 50;

/// An answer of all three forms.
struct Found {
    chunk: Vec<Raw<AnyMessageLikeEvent>>,
    next: Option<String>,
    previous: Option<String>,
    depth: Option<UInt>,
}

async fn relating(
    rooms: &Rooms,
    (session, clock): (&Session, &dyn Clock),
    (room, event): (&RoomId, &EventId),
    wanted: Relating<'_>,
) -> Result<Found, ApiError> {
    let (page, visibility) = rooms.relating(&session.user_id, room, event, &wanted).await?;
    let forms = rooms.present(&visibility, looker(session, clock), &page.events).await?;
    let token = |order: i64| TimelineToken(order).to_string();
    Ok(Found {
        chunk: raws(forms),
        next: page.next.map(token),
        previous: wanted.from.map(token),
        depth: wanted.recurse.then(|| RECURSION_MAX.into()),
    })
}

fn limit(asked: Option<UInt>, usual: usize) -> usize {
    asked.map_or(usual, |limit| usize::try_from(u64::from(limit)).unwrap_or(PAGE_EVENTS_MAX)).clamp(1, PAGE_EVENTS_MAX)
}

/// The three forms differ in what the path narrows.
macro_rules! relating_handler {
    ($(#[$doc:meta])* $name:ident, $body:ident, $rel_type:expr, $kind:expr) => {
        $(#[$doc])*
        pub(crate) async fn $name(
            State(rooms): State<Rooms>,
            State(clock): State<Arc<dyn Clock>>,
            Authed { session, body: $body }: Authed<$name::v1::Request>,
        ) -> Answer<$name::v1::Response> {
            let (rel_type, kind): (Option<String>, Option<String>) = ($rel_type, $kind);
            let wanted = Relating {
                rel_type: rel_type.as_deref(),
                kind: kind.as_deref(),
                recurse: $body.recurse,
                direction: direction($body.dir),
                from: place($body.from.as_deref())?,
                to: place($body.to.as_deref())?,
                limit: limit($body.limit, PAGE_EVENTS),
            };
            let found = relating(&rooms, (&session, &*clock), (&$body.room_id, &$body.event_id), wanted).await?;
            let mut answer = $name::v1::Response::new(found.chunk);
            (answer.next_batch, answer.prev_batch, answer.recursion_depth) = (found.next, found.previous, found.depth);
            Ok(Ruma(answer))
        }
    };
}

relating_handler! {
    /// `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}`.
    get_relating_events, body, None, None
}
relating_handler! {
    /// `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}`.
    get_relating_events_with_rel_type, body, Some(body.rel_type.to_string()), None
}
relating_handler! {
    /// `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}`.
    get_relating_events_with_rel_type_and_event_type, body, Some(body.rel_type.to_string()),
    Some(body.event_type.to_string())
}

/// `GET /_matrix/client/v1/rooms/{roomId}/threads`.
pub(crate) async fn get_threads(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<get_threads::v1::Request>,
) -> Answer<get_threads::v1::Response> {
    let participated = match body.include {
        IncludeThreads::All => false,
        IncludeThreads::Participated => true,
        _ => return Err(ApiError::invalid_param("There is no such selection of threads")),
    };
    let asked = (place(body.from.as_deref())?, limit(body.limit, PAGE_THREADS));
    let (page, visibility) = rooms.threads(&session.user_id, &body.room_id, participated, asked).await?;
    let forms = rooms.present(&visibility, looker(&session, &*clock), &page.events).await?;
    let mut answer = get_threads::v1::Response::new(raws(forms));
    answer.next_batch = page.next.map(|order| TimelineToken(order).to_string());
    Ok(Ruma(answer))
}
