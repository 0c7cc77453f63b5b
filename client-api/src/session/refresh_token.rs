//! `/refresh`: new tokens for a refresh token.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_web::{Answer, Public, Ruma};
use ruma::api::client::session::refresh_token;
use std::time::Duration;

/// `POST /_matrix/client/v3/refresh`
pub(crate) async fn refresh_token(
    State(accounts): State<Accounts>,
    request: Public<refresh_token::v3::Request>,
) -> Answer<refresh_token::v3::Response> {
    let refreshed = accounts.refresh(&request.body.refresh_token).await?;
    let mut response = refresh_token::v3::Response::new(refreshed.access_token.reveal());
    response.refresh_token = Some(refreshed.refresh_token.reveal());
    response.expires_in_ms = Some(Duration::from_millis(refreshed.expires_in_ms));
    Ok(Ruma(response))
}
