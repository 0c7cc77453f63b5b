//! `/openid/request_token`: proof for another service of who one is.

use axum::extract::State;
use lyceum_accounts::{Accounts, OPENID_TOKEN_LIFETIME_MS};
use lyceum_web::{Authed, RawJson};
use ruma::api::client::account::request_openid_token;
use serde_json::json;

use crate::answers::{Raw, check_own};

/// `POST /_matrix/client/v3/user/{userId}/openid/request_token`
pub(crate) async fn request_openid_token(
    State(accounts): State<Accounts>,
    request: Authed<request_openid_token::v3::Request>,
) -> Raw {
    check_own(&request.session, &request.body.user_id)?;
    let token = accounts.create_openid_token(&request.body.user_id).await?;
    RawJson::of(&json!({
        "access_token": token.reveal(),
        "token_type": "Bearer",
        "matrix_server_name": accounts.server_name(),
        "expires_in": OPENID_TOKEN_LIFETIME_MS / 1000,
    }))
}
