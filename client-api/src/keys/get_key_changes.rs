//! `/keys/changes`: whose keys changed between two syncs.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_rooms::Rooms;
use lyceum_sync::SyncToken;
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;

use crate::answers::Raw;

#[derive(Deserialize)]
pub(crate) struct Between {
    from: String,
    to: String,
}

/// `GET /_matrix/client/v3/keys/changes`
pub(crate) async fn get_key_changes(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    request: AuthedRaw<(), Between>,
) -> Raw {
    let token = |text: &str| text.parse::<SyncToken>().map_err(|error| ApiError::invalid_param(error.to_string()));
    let (from, to) = (token(&request.query.from)?.position, token(&request.query.to)?.position);
    let me = &request.session.user_id;
    let mut changed: BTreeSet<_> = accounts.signed_since(me, from, to).await?;
    for (user, _) in accounts.device_changes(from, to).await? {
        if user == *me || rooms.share_a_room(me, &user).await? {
            changed.insert(user);
        }
    }
    RawJson::of(&json!({ "changed": changed, "left": [] }))
}
