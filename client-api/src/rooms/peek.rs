//! Looking into a room in the old ways: its state and last messages at once, and its events as they come.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use lyceum_events::Clock;
use lyceum_rooms::{Direction, Rooms, TimelineToken};
use lyceum_sync::Sync;
use lyceum_web::{Answer, ApiError, Authed, AuthedRaw, RawJson, Ruma};
use ruma::{
    OwnedEventId, OwnedRoomId,
    api::client::{peeking::get_current_state, room::Visibility},
};
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

use super::{looker, messages::place, raws};
use crate::{answers::Raw, sync::initial_sync};

/// The longest wait for something new.
const PATIENCE_MAX: Duration = Duration::from_secs(30);
/// Messages that come with the state of a room.
const LAST_MESSAGES: usize = 20;

/// What is asked of `/events`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listening {
    room_id: Option<OwnedRoomId>,
    from: Option<String>,
    timeout: u64,
}

/// `GET /_matrix/client/v3/events`: of one room, also without being in it, or of all that are the person's.
pub(crate) async fn listen_to_new_events(
    State(rooms): State<Rooms>,
    State(sync): State<Sync>,
    State(clock): State<Arc<dyn Clock>>,
    AuthedRaw { session, query, .. }: AuthedRaw<(), Listening>,
) -> Result<Response, ApiError> {
    let patience = Duration::from_millis(query.timeout).min(PATIENCE_MAX);
    let Some(room) = query.room_id else {
        return initial_sync::news(&sync, &session, query.from.as_deref(), patience).await.map(RawJson::into_response);
    };
    let from = place(query.from.as_deref())?;
    let (events, end, visibility) = rooms.watch_room(&session.user_id, &room, from, patience).await?;
    let forms = rooms.present(&visibility, looker(&session, &*clock), &events).await?;
    // ruma's answer leaves an empty chunk out, and clients look into it.
    let answer = RawJson::of(&json!({
        "start": TimelineToken(from.unwrap_or(end)).to_string(),
        "end": TimelineToken(end).to_string(),
        "chunk": forms,
    }))?;
    Ok(answer.into_response())
}

/// `GET /_matrix/client/v3/events/{eventId}`: one event of whatever room.
pub(crate) async fn get_one_event(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    request: AuthedRaw<(OwnedEventId,)>,
) -> Raw {
    let AuthedRaw { session, path: (id,), .. } = request;
    let unknown = || ApiError::not_found("There is no such event");
    let room = rooms.known(&id).await?.ok_or_else(unknown)?.event().room().to_owned();
    let (known, visibility) = rooms.event_for(&session.user_id, &room, &id).await?;
    let form = rooms.present(&visibility, looker(&session, &*clock), &[known]).await?.pop();
    RawJson::of(&form.ok_or_else(unknown)?)
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
