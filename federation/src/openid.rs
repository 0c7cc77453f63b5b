//! `GET /_matrix/federation/v1/openid/userinfo`: whose an OpenID token is.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_web::{Answer, ApiError, PublicRaw, Ruma};
use ruma::api::federation::openid::get_openid_userinfo::v1::Response;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Query {
    access_token: Option<String>,
}

pub(crate) async fn get_openid_userinfo(
    State(accounts): State<Accounts>,
    PublicRaw { query, .. }: PublicRaw<(), Query>,
) -> Answer<Response> {
    let token = query.access_token.ok_or_else(|| ApiError::missing_token("Missing access token"))?;
    let user = accounts.openid_user(&token).await?;
    let user = user.ok_or_else(|| ApiError::unknown_token(false))?;
    Ok(Ruma(Response::new(user)))
}
