//! E-mail addresses and telephone numbers. Nobody has any on this server, and none can be added: clients are told so by
//! `m.3pid_changes` in the capabilities, and here when they ask all the same.

use axum::extract::State;
use lyceum_accounts::{Accounts, InteractiveAuth};
use lyceum_web::{Answer, ApiError, Authed, AuthedRaw, PublicRaw, RawJson, Ruma, body};
use ruma::api::client::account::ThirdPartyIdRemovalStatus;
use ruma::api::client::account::{bind_3pid, delete_3pid, get_3pids, unbind_3pid};
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

#[derive(Deserialize)]
struct Add {
    auth: Option<InteractiveAuth>,
    client_secret: Option<String>,
    sid: Option<String>,
}

/// `POST /_matrix/client/v3/account/3pid/add`. Who asks is confirmed first, as everywhere.
pub(crate) async fn add_3pid(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let asked: Add = body::json(&request.body)?;
    if asked.client_secret.is_none() || asked.sid.is_none() {
        return Err(ApiError::missing_param("client_secret and sid are required"));
    }
    accounts.confirm("POST /account/3pid/add", &request.session.user_id, asked.auth.as_ref()).await?;
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
    email: Option<String>,
    phone_number: Option<String>,
    id_server: Option<String>,
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
    if asked.email.is_some_and(|email| !is_email(&email)) || asked.phone_number.is_some_and(|phone| !is_phone(&phone)) {
        return Err(ApiError::invalid_param("This is no address that anything could be sent to"));
    }
    match asked.id_server {
        Some(_) => Err(ApiError::server_not_trusted("This server works with no identity server")),
        None => Ok(()),
    }
}

/// Whether an e-mail could have this address, as far as its form tells.
fn is_email(address: &str) -> bool {
    let plain = !address.contains(|c: char| c.is_whitespace() || c.is_control());
    plain && address.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

/// Whether a telephone number could be dialled: digits, and what people write between them.
fn is_phone(number: &str) -> bool {
    let written = |c: char| c.is_ascii_digit() || " +-()./".contains(c);
    number.chars().all(written) && number.contains(|c: char| c.is_ascii_digit())
}

fn not_validated() -> ApiError {
    ApiError::threepid_auth_failed("This address has not been validated")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_form() {
        assert!(is_email("anna@alpha.example") && is_email("\"a@b\"@alpha.example"));
        for wrong in ["", "anna", "@alpha.example", "anna@", "an na@alpha.example", "anna@alpha\n.example"] {
            assert!(!is_email(wrong), "{wrong:?}");
        }
        assert!(is_phone("+43 1 234-56") && is_phone("07700900001"));
        for wrong in ["", "+", "call me", "12\u{0}3"] {
            assert!(!is_phone(wrong), "{wrong:?}");
        }
    }
}
