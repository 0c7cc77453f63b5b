//! `/keys/changes`: whose keys changed between two syncs.

use axum::extract::State;
use lyceum_sync::{Sync, SyncToken};
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use serde::Deserialize;
use serde_json::json;

use crate::answers::Raw;

#[derive(Deserialize)]
pub(crate) struct Between {
    from: String,
    to: String,
}

/// `GET /_matrix/client/v3/keys/changes`
pub(crate) async fn get_key_changes(State(sync): State<Sync>, request: AuthedRaw<(), Between>) -> Raw {
    let token = |text: &str| text.parse::<SyncToken>().map_err(|error| ApiError::invalid_param(error.to_string()));
    let (from, to) = (token(&request.query.from)?, token(&request.query.to)?);
    let lists = sync.device_lists_between(&request.session.user_id, from, to).await?;
    RawJson::of(&json!({ "changed": lists.changed, "left": lists.left }))
}
