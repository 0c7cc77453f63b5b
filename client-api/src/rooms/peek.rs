//! Looking into a room in the old ways: its state and last messages at once, and its events as they come.

use axum::extract::State;
use lyceum_events::Clock;
use lyceum_rooms::{Direction, Rooms, TimelineToken};
use lyceum_web::{Answer, Authed, Ruma};
use ruma::api::client::{
    peeking::{get_current_state, listen_to_new_events},
    room::Visibility,
};
use std::{sync::Arc, time::Duration};

use super::{looker, messages::place, raws};

/// The longest wait for something new.
const PATIENCE_MAX: Duration = Duration::from_secs(30);
/// Messages that come with the state of a room.
const LAST_MESSAGES: usize = 20;

/// `GET /_matrix/client/v3/events?room_id=…`.
pub(crate) async fn listen_to_new_events(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<listen_to_new_events::v3::Request>,
) -> Answer<listen_to_new_events::v3::Response> {
    let from = place(body.from.as_deref())?;
    let patience = body.timeout.unwrap_or_default().min(PATIENCE_MAX);
    let (events, end, visibility) = rooms.watch_room(&session.user_id, &body.room_id, from, patience).await?;
    let forms = rooms.present(&visibility, looker(&session, &*clock), &events).await?;
    let mut answer = listen_to_new_events::v3::Response::new();
    answer.chunk = raws(forms);
    answer.start = Some(TimelineToken(from.unwrap_or(end)).to_string());
    answer.end = Some(TimelineToken(end).to_string());
    Ok(Ruma(answer))
}

/// `GET /_matrix/client/v3/rooms/{roomId}/initialSync`.
pub(crate) async fn get_current_state(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<get_current_state::v3::Request>,
) -> Answer<get_current_state::v3::Response> {
    let (user, room, looker) = (&session.user_id, &body.room_id, looker(&session, &*clock));
    let visibility = rooms.look_into(user, room).await?;
    let page = rooms.history(&visibility, Direction::Backward, (None, None), LAST_MESSAGES, |_| true).await?;
    let mut forms = rooms.present(&visibility, looker, &page.events).await?;
    forms.reverse();
    let end = TimelineToken(rooms.edge(room, Direction::Backward).await?).to_string();
    let mut messages = get_current_state::v3::PaginationChunk::new(raws(forms), end);
    messages.start = page.next.map(|next| TimelineToken(next).to_string());
    let state = rooms.state_events_for(user, room).await?;

    let mut answer = get_current_state::v3::Response::new(room.clone());
    answer.state = raws(rooms.present_state(looker, &state).await?);
    answer.messages = Some(messages);
    answer.membership = Some(visibility.snapshot().membership(user).into());
    answer.visibility = Some(if rooms.is_listed(room).await? { Visibility::Public } else { Visibility::Private });
    Ok(Ruma(answer))
}
