//! `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}`.

use axum::extract::State;
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, AuthedRaw, body};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use std::time::Duration;

use crate::answers::{Raw, empty};

/// How long somebody is taken to be typing if the client does not say, in milliseconds.
const TIMEOUT_MS: u64 = 30_000;

/// The body. The specification leaves the timeout to the client, which ruma's type does not.
#[derive(Deserialize)]
struct Typing {
    typing: bool,
    timeout: Option<u64>,
}

pub(crate) async fn create_typing_event(
    State(rooms): State<Rooms>,
    request: AuthedRaw<(OwnedRoomId, OwnedUserId)>,
) -> Raw {
    let (room, user) = &request.path;
    let asked: Typing = body::json(&request.body)?;
    if request.session.user_id != *user {
        return Err(ApiError::forbidden("You can only say of yourself that you are typing"));
    }
    if !rooms.snapshot(room).await?.is_joined(user) {
        return Err(ApiError::forbidden("You are not in this room"));
    }
    if request.session.shadow_banned {
        return empty();
    }
    if asked.typing {
        rooms.typing().start(room, user, Duration::from_millis(asked.timeout.unwrap_or(TIMEOUT_MS)));
    } else {
        rooms.typing().stop(room, user);
    }
    empty()
}
