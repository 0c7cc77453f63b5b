//! Registration tokens.

use axum::extract::State;
use lyceum_accounts::{Accounts, RegistrationToken};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::answers::{Raw, empty};

#[derive(Default, Deserialize)]
pub(crate) struct Valid {
    valid: Option<bool>,
}

/// `GET /_synapse/admin/v1/registration_tokens`
pub(crate) async fn list(State(accounts): State<Accounts>, request: AuthedRaw<(), Valid>) -> Raw {
    request.session.check_admin()?;
    let tokens = accounts.registration_tokens(request.query.valid).await?;
    let told: Vec<_> = tokens.iter().map(|(token, row)| told(token, row)).collect();
    RawJson::of(&json!({ "registration_tokens": told }))
}

/// `GET /_synapse/admin/v1/registration_tokens/{token}`
pub(crate) async fn get(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    let token = &request.path.0;
    let row = accounts.registration_token(token).await?;
    let row = row.ok_or_else(|| ApiError::not_found(format!("No such registration token: {token}")))?;
    RawJson::of(&told(token, &row))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wish {
    token: Option<String>,
    length: Option<usize>,
    #[serde(deserialize_with = "told_or_null")]
    uses_allowed: Option<Option<u64>>,
    #[serde(deserialize_with = "told_or_null")]
    expiry_time: Option<Option<u64>>,
}

/// Tells what is not said, which stays, from what is said to be without end.
fn told_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `POST /_synapse/admin/v1/registration_tokens/new`
pub(crate) async fn create(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    request.session.check_admin()?;
    let wish: Wish = body::json(&request.body)?;
    let (uses, expiry) = (wish.uses_allowed.flatten(), wish.expiry_time.flatten());
    let (token, row) = accounts.create_registration_token(wish.token, wish.length, uses, expiry).await?;
    RawJson::of(&told(&token, &row))
}

/// `PUT /_synapse/admin/v1/registration_tokens/{token}`
pub(crate) async fn change(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    let wish: Wish = body::json(&request.body)?;
    let token = &request.path.0;
    let row = accounts.change_registration_token(token, wish.uses_allowed, wish.expiry_time).await?;
    RawJson::of(&told(token, &row))
}

/// `DELETE /_synapse/admin/v1/registration_tokens/{token}`
pub(crate) async fn delete(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    accounts.delete_registration_token(&request.path.0).await?;
    empty()
}

fn told(token: &str, row: &RegistrationToken) -> Value {
    json!({
        "token": token,
        "uses_allowed": row.uses_allowed,
        // Uses are counted when the account is made: none is ever half done.
        "pending": 0,
        "completed": row.completed,
        "expiry_time": row.expires_ms,
    })
}
