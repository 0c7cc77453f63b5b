//! `/keys/signatures/upload`: signatures of keys, each taken or refused by itself.

use axum::extract::State;
use lyceum_accounts::{AccountError, Accounts, SignedKeys};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::answers::Raw;

/// `POST /_matrix/client/v3/keys/signatures/upload`
pub(crate) async fn upload_signatures(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let signed: SignedKeys = body::json(&request.body)?;
    let mut failures: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for failure in accounts.upload_signatures(&request.session.user_id, signed).await? {
        let error = error_json(failure.error);
        failures.entry(failure.user.to_string()).or_default().insert(failure.key, error);
    }
    RawJson::of(&json!({ "failures": failures }))
}

fn error_json(error: AccountError) -> Value {
    let error = ApiError::from(error);
    json!({ "errcode": error.errcode, "error": error.message })
}
