//! `/register` and what belongs to it.

use axum::extract::State;
use lyceum_accounts::{Accounts, DeviceChoice, InteractiveAuth, NewPerson, Registered};
use lyceum_web::{Answer, ApiError, MaybeAppserviceRaw, Public, RawJson, Ruma, WebState, body};
use ruma::{
    OwnedDeviceId, OwnedUserId, UserId,
    api::client::account::{check_registration_token_validity, get_username_availability},
};
use serde::Deserialize;
use serde_json::json;

use crate::{answers::Raw, session::login::session_json};

#[derive(Deserialize)]
pub(crate) struct Query {
    kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
    auth: Option<InteractiveAuth>,
    username: Option<String>,
    password: Option<String>,
    /// Of the guest who becomes a person.
    guest_access_token: Option<String>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    inhibit_login: bool,
    #[serde(default)]
    refresh_token: bool,
}

impl Body {
    fn choice(&self) -> Option<DeviceChoice> {
        (!self.inhibit_login).then(|| DeviceChoice {
            device_id: self.device_id.clone(),
            display_name: self.initial_device_display_name.clone(),
            can_refresh: self.refresh_token,
        })
    }
}

/// `POST /_matrix/client/v3/register`
pub(crate) async fn register(
    State(accounts): State<Accounts>,
    State(web): State<WebState>,
    request: MaybeAppserviceRaw<(), Query>,
) -> Raw {
    let body: Body = body::json(&request.body)?;
    let registered = match (request.query.kind.as_deref().unwrap_or("user"), body.kind.as_deref()) {
        ("guest", _) => accounts.register_guest(body.initial_device_display_name).await?,
        ("user", Some("m.login.application_service")) => {
            let service = request.service.ok_or_else(|| ApiError::missing_token("Missing access token"))?;
            let name = body.username.as_deref().ok_or_else(|| ApiError::missing_param("username is required"))?;
            let user = UserId::parse_with_server_name(name, accounts.server_name())
                .map_err(|_| ApiError::invalid_username("This cannot be a user name"))?;
            if user != service.sender && !web.owns(&service, &user) {
                return Err(ApiError::exclusive("The user name is not in the application service's namespace"));
            }
            accounts.register_bridged(&service.id, name, body.choice()).await?
        }
        ("user", _) => {
            let choice = body.choice();
            let guest = match body.guest_access_token.as_deref() {
                Some(token) => Some(guest_of(&accounts, token).await?),
                None => None,
            };
            let (localpart, password) = (body.username, body.password);
            let person = NewPerson { localpart, password, guest, ..NewPerson::default() };
            accounts.register_interactively(person, choice, body.auth.as_ref()).await?
        }
        _ => return Err(ApiError::invalid_param("kind must be user or guest")),
    };
    answer(registered)
}

/// The guest whose token this is.
async fn guest_of(accounts: &Accounts, token: &str) -> Result<OwnedUserId, ApiError> {
    let session = accounts.authenticate(token).await?;
    if session.is_guest() {
        Ok(session.user_id.clone())
    } else {
        Err(ApiError::forbidden("This is not a guest's access token"))
    }
}

/// A new account as its maker is told of it.
pub(crate) fn answer(registered: Registered) -> Raw {
    match registered.session {
        Some(session) => RawJson::of(&session_json(session)),
        None => RawJson::of(&json!({
            "user_id": registered.user_id,
            "home_server": registered.user_id.server_name(),
        })),
    }
}

/// `GET /_matrix/client/v3/register/available`
pub(crate) async fn get_username_availability(
    State(accounts): State<Accounts>,
    request: Public<get_username_availability::v3::Request>,
) -> Answer<get_username_availability::v3::Response> {
    accounts.available(&request.body.username).await?;
    Ok(Ruma(get_username_availability::v3::Response::new(true)))
}

/// `GET /_matrix/client/v1/register/m.login.registration_token/validity`
pub(crate) async fn check_registration_token_validity(
    State(accounts): State<Accounts>,
    request: Public<check_registration_token_validity::v1::Request>,
) -> Answer<check_registration_token_validity::v1::Response> {
    let valid = accounts.lets_in(&request.body.token).await?;
    Ok(Ruma(check_registration_token_validity::v1::Response::new(valid)))
}
