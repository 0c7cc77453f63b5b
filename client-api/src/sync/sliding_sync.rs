//! `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync`
//! ([MSC4186](https://github.com/matrix-org/matrix-spec-proposals/pull/4186)).

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_sync::{
    Sync,
    sliding::{Asker, message::SlidingRequest},
};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::presence::PresenceState;
use serde::Deserialize;
use std::time::Duration;

/// Where it is served.
pub(crate) const PATH: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    pos: Option<String>,
    timeout: u64,
    set_presence: Option<PresenceState>,
}

pub(crate) async fn sliding_sync(
    State(accounts): State<Accounts>,
    State(sync): State<Sync>,
    request: AuthedRaw<(), Query>,
) -> Result<RawJson, ApiError> {
    let AuthedRaw { session, query, body, .. } = request;
    let wishes: SlidingRequest = body::json(&body)?;
    super::note_presence(&accounts, &session, query.set_presence.unwrap_or(PresenceState::Online));
    let asker = Asker {
        user: &session.user_id,
        device: session.device_id.as_deref().map(|device| device.as_str()),
        pos: query.pos.as_deref().filter(|pos| !pos.is_empty()),
        timeout: Duration::from_millis(query.timeout),
    };
    RawJson::of(&sync.sliding(asker, &wishes).await?)
}
