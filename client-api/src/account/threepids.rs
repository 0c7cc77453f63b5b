//! E-mail addresses and telephone numbers. Nobody has any on this server, and none can be added: clients are told so by
//! `m.3pid_changes` in the capabilities, and here when they ask all the same.

use lyceum_web::{Answer, ApiError, Authed, AuthedRaw, PublicRaw, RawJson, Ruma, body};
use ruma::api::client::account::ThirdPartyIdRemovalStatus;
use ruma::api::client::account::{add_3pid, bind_3pid, delete_3pid, get_3pids, unbind_3pid};
use serde::Deserialize;

use crate::answers::Raw;

/// `GET /_matrix/client/v3/account/3pid`
pub(crate) async fn get_3pids(_: Authed<get_3pids::v3::Request>) -> Answer<get_3pids::v3::Response> {
    Ok(Ruma(get_3pids::v3::Response::new(Vec::new())))
}

/// `POST /_matrix/client/v3/account/3pid`, deprecated: no session of validation can have been completed.
pub(crate) async fn add_3pid_by_identity_server(_: AuthedRaw<()>) -> Raw {
    Err(not_validated().with_status(http::StatusCode::FORBIDDEN))
}

/// `POST /_matrix/client/v3/account/3pid/add`
pub(crate) async fn add_3pid(_: Authed<add_3pid::v3::Request>) -> Answer<add_3pid::v3::Response> {
    Err(not_validated())
}

/// `POST /_matrix/client/v3/account/3pid/bind`
pub(crate) async fn bind_3pid(_: Authed<bind_3pid::v3::Request>) -> Answer<bind_3pid::v3::Response> {
    Err(ApiError::server_not_trusted("This server works with no identity server"))
}

/// `POST /_matrix/client/v3/account/3pid/unbind`
pub(crate) async fn unbind_3pid(_: Authed<unbind_3pid::v3::Request>) -> Answer<unbind_3pid::v3::Response> {
    Ok(Ruma(unbind_3pid::v3::Response::new(ThirdPartyIdRemovalStatus::NoSupport)))
}

/// `POST /_matrix/client/v3/account/3pid/delete`
pub(crate) async fn delete_3pid(_: Authed<delete_3pid::v3::Request>) -> Answer<delete_3pid::v3::Response> {
    Ok(Ruma(delete_3pid::v3::Response::new(ThirdPartyIdRemovalStatus::NoSupport)))
}

/// What every request for a validation token says of itself, whatever the medium.
#[derive(Deserialize)]
struct Asked {
    client_secret: Option<String>,
    send_attempt: Option<u64>,
}

/// `POST …/requestToken` of adding an address, and of registering with one.
pub(crate) async fn request_token(request: PublicRaw<()>) -> Raw {
    check(&request)?;
    Err(ApiError::threepid_denied("This server takes no e-mail addresses and no telephone numbers"))
}

/// `POST /_matrix/client/v3/account/password/…/requestToken`
pub(crate) async fn request_password_token(request: PublicRaw<()>) -> Result<RawJson, ApiError> {
    check(&request)?;
    Err(ApiError::threepid_not_found("No account has this address"))
}

fn check(request: &PublicRaw<()>) -> Result<(), ApiError> {
    let asked: Asked = body::json(&request.body)?;
    if asked.client_secret.is_none() || asked.send_attempt.is_none() {
        return Err(ApiError::missing_param("client_secret and send_attempt are required"));
    }
    Ok(())
}

fn not_validated() -> ApiError {
    ApiError::threepid_auth_failed("This address has not been validated")
}
