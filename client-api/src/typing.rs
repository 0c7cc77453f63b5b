//! `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}`.

use axum::extract::State;
use lyceum_rooms::Rooms;
use lyceum_web::{Answer, ApiError, Authed, Ruma};
use ruma::api::client::typing::create_typing_event::v3::{Request, Response, Typing};

pub(crate) async fn create_typing_event(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<Request>,
) -> Answer<Response> {
    if session.user_id != body.user_id {
        return Err(ApiError::forbidden("You can only say of yourself that you are typing"));
    }
    if !rooms.snapshot(&body.room_id).await?.is_joined(&session.user_id) {
        return Err(ApiError::forbidden("You are not in this room"));
    }
    match body.state {
        Typing::Yes(info) => rooms.typing().start(&body.room_id, &session.user_id, info.timeout),
        Typing::No => rooms.typing().stop(&body.room_id, &session.user_id),
    }
    Ok(Ruma(Response::new()))
}
