//! `GET /_matrix/client/v3/sync` ([spec](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync)).

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_sync::{StateForm, Sync, SyncRequest, SyncToken, filter::SyncFilter};
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use ruma::{UserId, presence::PresenceState};
use serde::Deserialize;
use std::time::Duration;

/// The query, read leniently: clients add keys of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    filter: Option<String>,
    since: Option<String>,
    full_state: bool,
    set_presence: Option<PresenceState>,
    timeout: u64,
    use_state_after: bool,
    #[serde(rename = "org.matrix.msc4222.use_state_after")]
    unstable_use_state_after: bool,
}

pub(crate) async fn sync_events(
    State(accounts): State<Accounts>,
    State(sync): State<Sync>,
    request: AuthedRaw<(), Query>,
) -> Result<RawJson, ApiError> {
    let AuthedRaw { session, query, .. } = request;
    let since = query.since.as_deref().filter(|since| !since.is_empty()).map(str::parse::<SyncToken>).transpose();
    let since = since.map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let filter = filter_of(&accounts, &session.user_id, query.filter.as_deref()).await?;
    super::note_presence(&accounts, &session, query.set_presence.unwrap_or(PresenceState::Online));
    let after = query.use_state_after || query.unstable_use_state_after;
    let response = sync
        .v2(&SyncRequest {
            user: &session.user_id,
            device: session.device_id.as_deref().map(|device| device.as_str()),
            since,
            filter: &filter,
            full_state: query.full_state,
            state_form: if after { StateForm::After } else { StateForm::Before },
            timeout: Duration::from_millis(query.timeout),
        })
        .await?;
    RawJson::of(&response)
}

/// The filter a client means: none, one it stored, or one written out.
async fn filter_of(accounts: &Accounts, user: &UserId, filter: Option<&str>) -> Result<SyncFilter, ApiError> {
    let written_out = match filter {
        None | Some("") => return Ok(SyncFilter::default()),
        Some(text) if text.trim_start().starts_with('{') => text.to_owned(),
        Some(id) => {
            let stored = accounts.filter(user, id).await?;
            stored.ok_or_else(|| ApiError::invalid_param("There is no filter with this id"))?
        }
    };
    SyncFilter::read(&written_out)
        .map_err(|error| ApiError::invalid_param(format!("The filter cannot be read: {error}")))
}
