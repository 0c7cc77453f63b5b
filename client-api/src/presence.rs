//! `/presence`: who is there.

use axum::extract::State;
use lyceum_accounts::{Accounts, Presence, STATUS_BYTES_MAX};
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::presence::PresenceState;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers::{Raw, check_own, empty, user_id};

/// `GET /_matrix/client/v3/presence/{userId}/status`. Only those who share a room see it.
pub(crate) async fn get_presence(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    let user = user_id(&request.path.0)?;
    if request.session.user_id != user && !rooms.share_a_room(&request.session.user_id, user).await? {
        return Err(ApiError::forbidden("You share no room with this person"));
    }
    RawJson::of(&presence_json(&accounts, &accounts.presence().of(user)))
}

#[derive(Deserialize)]
pub(crate) struct SetPresence {
    presence: Option<String>,
    status_msg: Option<String>,
}

/// `PUT /_matrix/client/v3/presence/{userId}/status`
pub(crate) async fn set_presence(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = user_id(&request.path.0)?;
    check_own(&request.session, user)?;
    let body: SetPresence = body::json(&request.body)?;
    let state = body.presence.ok_or_else(|| ApiError::missing_param("presence is required"))?;
    let state = match state.as_str() {
        "online" | "unavailable" | "offline" | "busy" => PresenceState::from(state),
        "org.matrix.msc3026.busy" => PresenceState::from("busy"),
        _ => return Err(ApiError::bad_json("presence must be online, unavailable, offline or busy")),
    };
    if body.status_msg.as_ref().is_some_and(|message| message.len() > STATUS_BYTES_MAX) {
        return Err(ApiError::invalid_param("status_msg is too long"));
    }
    accounts.presence().set(user, state, body.status_msg.filter(|message| !message.is_empty()));
    empty()
}

/// The JSON of a presence, without whose it is.
fn presence_json(accounts: &Accounts, presence: &Presence) -> Value {
    let book = accounts.presence();
    let mut json = json!({ "presence": presence.state });
    if let Some(ago) = book.active_ago(presence) {
        json["last_active_ago"] = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX).into();
    }
    if presence.state == PresenceState::Online {
        json["currently_active"] = book.is_active(presence).into();
    }
    if let Some(message) = &presence.status_message {
        json["status_msg"] = message.as_str().into();
    }
    json
}
