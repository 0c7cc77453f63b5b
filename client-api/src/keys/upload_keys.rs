//! `/keys/upload`: a device's identity keys, one-time keys and fallback keys.

use axum::extract::State;
use lyceum_accounts::{Accounts, KeysUpload};
use lyceum_web::{AuthedRaw, RawJson, body};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answers::Raw;

#[derive(Deserialize)]
pub(crate) struct Body {
    device_keys: Option<Map<String, Value>>,
    one_time_keys: Option<Map<String, Value>>,
    fallback_keys: Option<Map<String, Value>>,
    /// The name before it was stable; some clients still send both.
    #[serde(rename = "org.matrix.msc2732.fallback_keys")]
    unstable_fallback_keys: Option<Map<String, Value>>,
}

impl From<Body> for KeysUpload {
    fn from(body: Body) -> Self {
        Self {
            device_keys: body.device_keys,
            one_time_keys: body.one_time_keys.unwrap_or_default(),
            fallback_keys: body.fallback_keys.or(body.unstable_fallback_keys).unwrap_or_default(),
        }
    }
}

/// `POST /_matrix/client/v3/keys/upload`
pub(crate) async fn upload_keys(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let body: Body = body::json(&request.body)?;
    let mut counts = accounts.upload_keys(&request.session.user_id, request.session.device()?, body.into()).await?;
    // Clients take a missing count for "unknown" and upload nothing.
    counts.entry("signed_curve25519".into()).or_default();
    RawJson::of(&json!({ "one_time_key_counts": counts }))
}
