//! `GET /_matrix/federation/v1/openid/userinfo`: whose an OpenID token is.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_web::{Answer, ApiError, Public, Ruma};
use ruma::api::federation::openid::get_openid_userinfo::v1::{Request, Response};

pub(crate) async fn get_openid_userinfo(
    State(accounts): State<Accounts>,
    Public { body }: Public<Request>,
) -> Answer<Response> {
    let user = accounts.openid_user(&body.access_token).await?;
    let user = user.ok_or_else(|| ApiError::unknown_token(false))?;
    Ok(Ruma(Response::new(user)))
}
