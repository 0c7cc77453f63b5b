//! `/logout` and `/logout/all`. Both stay open to a locked account.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_web::{Answer, Authed, Ruma};
use ruma::api::client::session::{logout, logout_all};

/// `POST /_matrix/client/v3/logout`
pub(crate) async fn logout(
    State(accounts): State<Accounts>,
    request: Authed<logout::v3::Request>,
) -> Answer<logout::v3::Response> {
    accounts.log_out(&request.session).await?;
    Ok(Ruma(logout::v3::Response::new()))
}

/// `POST /_matrix/client/v3/logout/all`
pub(crate) async fn logout_all(
    State(accounts): State<Accounts>,
    request: Authed<logout_all::v3::Request>,
) -> Answer<logout_all::v3::Response> {
    accounts.log_out_everywhere(&request.session.user_id).await?;
    Ok(Ruma(logout_all::v3::Response::new()))
}
