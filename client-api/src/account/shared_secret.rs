//! `/_synapse/admin/v1/register`: accounts made by whoever knows the shared secret, as Synapse has it.

use axum::extract::State;
use lyceum_accounts::{Accounts, SharedSecretRequest};
use lyceum_web::{PublicRaw, RawJson, body};
use serde_json::json;

use super::register;
use crate::answers::Raw;

/// `GET /_synapse/admin/v1/register`
pub(crate) async fn nonce(State(accounts): State<Accounts>, _: PublicRaw<()>) -> Raw {
    RawJson::of(&json!({ "nonce": accounts.shared_secret_nonce().await? }))
}

/// `POST /_synapse/admin/v1/register`
pub(crate) async fn register(State(accounts): State<Accounts>, request: PublicRaw<()>) -> Raw {
    let request: SharedSecretRequest = body::json(&request.body)?;
    register::answer(accounts.register_by_shared_secret(request).await?)
}
