//! `/keys/device_signing/upload`: cross-signing keys.

use axum::extract::State;
use lyceum_accounts::{Accounts, CrossSigningKeys, InteractiveAuth};
use lyceum_web::{AuthedRaw, body};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answers::{Raw, empty};

#[derive(Deserialize)]
pub(crate) struct Body {
    auth: Option<InteractiveAuth>,
    master_key: Option<Map<String, Value>>,
    self_signing_key: Option<Map<String, Value>>,
    user_signing_key: Option<Map<String, Value>>,
}

/// `POST /_matrix/client/v3/keys/device_signing/upload`
pub(crate) async fn upload_signing_keys(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let body: Body = body::json(&request.body)?;
    let keys = CrossSigningKeys {
        master: body.master_key,
        self_signing: body.self_signing_key,
        user_signing: body.user_signing_key,
    };
    accounts.upload_cross_signing_keys(&request.session.user_id, keys, body.auth.as_ref()).await?;
    empty()
}
