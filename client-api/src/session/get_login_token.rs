//! `/login/get_token`: a token that signs the person in once, on another device.

use axum::extract::State;
use lyceum_accounts::{Accounts, InteractiveAuth, LOGIN_TOKEN_LIFETIME_MS};
use lyceum_web::{AuthedRaw, RawJson, body};
use serde::Deserialize;
use serde_json::json;

use crate::answers::Raw;

#[derive(Deserialize)]
pub(crate) struct Body {
    auth: Option<InteractiveAuth>,
}

/// `POST /_matrix/client/v1/login/get_token`
pub(crate) async fn get_login_token(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let Body { auth } = body::json(&request.body)?;
    let user = &request.session.user_id;
    let proof = accounts.confirm("POST /login/get_token", user, auth.as_ref()).await?;
    let token = accounts.create_login_token(user, &proof).await?;
    RawJson::of(&json!({ "login_token": token.reveal(), "expires_in_ms": LOGIN_TOKEN_LIFETIME_MS }))
}
