//! Redacting what somebody said, and how far that is.

use axum::extract::State;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use lyceum_workers::redactions::{self, Redactions, Wanted};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::json;

use crate::answers::Raw;

/// Events of each room if the administrator does not say how many.
const LIMIT: u64 = 1_000;

#[derive(Deserialize)]
struct Wish {
    rooms: Vec<OwnedRoomId>,
    reason: Option<String>,
    limit: Option<u64>,
    #[serde(default)]
    use_admin: bool,
}

/// `POST /_synapse/admin/v1/user/{userId}/redact`
pub(crate) async fn begin(State(redactions): State<Redactions>, request: AuthedRaw<(OwnedUserId,)>) -> Raw {
    request.session.check_admin()?;
    let Wish { rooms, reason, limit, use_admin } = body::json(&request.body)?;
    if limit == Some(0) {
        return Err(ApiError::invalid_param("The limit is at least 1"));
    }
    let wanted = Wanted {
        user: request.path.0,
        rooms,
        reason,
        limit: limit.unwrap_or(LIMIT),
        by: request.session.user_id.clone(),
        by_hand: use_admin,
    };
    let id = redactions.begin(wanted).await?;
    RawJson::of(&json!({ "redact_id": id.to_string() }))
}

/// `GET /_synapse/admin/v1/user/redact_status/{redactId}`
pub(crate) async fn status(State(redactions): State<Redactions>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    let progress = match request.path.0.parse() {
        Ok(id) => redactions.progress(id).await?,
        Err(_) => None,
    };
    let progress = progress.ok_or_else(|| ApiError::not_found("There is no such redaction"))?;
    let status = match progress.state {
        redactions::State::Active => "active",
        redactions::State::Complete => "complete",
        redactions::State::Failed => "failed",
    };
    RawJson::of(&json!({ "status": status, "failed_redactions": progress.failed }))
}
