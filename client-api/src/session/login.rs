//! `/login`: the ways to sign in, and signing in by each.

use axum::extract::State;
use lyceum_accounts::{Accounts, DeviceChoice, Identifier, SignedIn};
use lyceum_web::{ApiError, AppserviceFacts, Family, MaybeAppserviceRaw, Public, RawJson, WebState, Who, body};
use ruma::{OwnedDeviceId, OwnedUserId, UserId, api::client::session::get_login_types};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{WellKnownConfig, answers::Raw};

/// What a client sends. Everything is optional here, so that what is missing is named and not merely malformed.
#[derive(Deserialize)]
pub(crate) struct Login {
    #[serde(rename = "type")]
    kind: Option<String>,
    identifier: Option<Identifier>,
    /// How older clients name the person.
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    refresh_token: bool,
}

impl Login {
    fn choice(&self) -> DeviceChoice {
        DeviceChoice {
            device_id: self.device_id.clone(),
            display_name: self.initial_device_display_name.clone(),
            can_refresh: self.refresh_token,
        }
    }

    fn identifier(&self) -> Result<Identifier, ApiError> {
        let old = || self.user.clone().map(|user| Identifier::User { user });
        self.identifier.clone().or_else(old).ok_or_else(|| ApiError::missing_param("identifier is required"))
    }

    fn token(&self) -> Result<&str, ApiError> {
        self.token.as_deref().ok_or_else(|| ApiError::missing_param("token is required"))
    }
}

/// `GET /_matrix/client/v3/login`
pub(crate) async fn get_login_types(State(accounts): State<Accounts>, _: Public<get_login_types::v3::Request>) -> Raw {
    let mut flows = vec![
        json!({ "type": "m.login.password" }),
        json!({ "type": "m.login.token", "get_login_token": true }),
        json!({ "type": "m.login.application_service" }),
    ];
    if accounts.takes_jwt() {
        flows.push(json!({ "type": "org.matrix.login.jwt" }));
    }
    RawJson::of(&json!({ "flows": flows }))
}

/// `POST /_matrix/client/v3/login`
pub(crate) async fn login(
    State(accounts): State<Accounts>,
    State(web): State<WebState>,
    State(well_known): State<WellKnownConfig>,
    request: MaybeAppserviceRaw<()>,
) -> Raw {
    let login: Login = body::json(&request.body)?;
    let kind = login.kind.as_deref().ok_or_else(|| ApiError::missing_param("type is required"))?;
    let signed_in = match kind {
        "m.login.password" => {
            let password = login.password.as_deref().ok_or_else(|| ApiError::missing_param("password is required"))?;
            let identifier = login.identifier()?;
            check_tries(&web, &identifier)?;
            accounts.sign_in_by_password(&identifier, password, login.choice()).await?
        }
        "m.login.token" => accounts.sign_in_by_token(login.token()?, login.choice()).await?,
        "org.matrix.login.jwt" if accounts.takes_jwt() => {
            accounts.sign_in_by_jwt(login.token()?, login.choice()).await?
        }
        "m.login.application_service" => {
            let user = bridged(&accounts, &web, request.service, &login)?;
            accounts.sign_in(&user, login.choice()).await?
        }
        _ => return Err(ApiError::unknown("This way of signing in is not offered")),
    };
    RawJson::of(&answer(signed_in, &well_known))
}

/// Counts a try against the account's own limit, whatever addresses the tries come from.
fn check_tries(web: &WebState, identifier: &Identifier) -> Result<(), ApiError> {
    let Identifier::User { user } = identifier else { return Ok(()) };
    let localpart = user.strip_prefix('@').unwrap_or(user).split(':').next().unwrap_or(user);
    web.check_limit(Family::Login, Who::Account(&localpart.to_lowercase()))
}

/// Whom an application service signs in: its own user or one in its namespace.
fn bridged(
    accounts: &Accounts,
    web: &WebState,
    service: Option<AppserviceFacts>,
    login: &Login,
) -> Result<OwnedUserId, ApiError> {
    let service = service.ok_or_else(|| ApiError::missing_token("Only application services sign in this way"))?;
    let Identifier::User { user } = login.identifier()? else {
        return Err(ApiError::invalid_param("identifier must be of the type m.id.user"));
    };
    let user = match UserId::parse(&user) {
        Ok(user) => user,
        Err(_) => UserId::parse_with_server_name(user, accounts.server_name())?,
    };
    if user != service.sender && !web.owns(&service, &user) {
        return Err(
            ApiError::forbidden("The user is not in the application service's namespace").with_errcode("M_EXCLUSIVE")
        );
    }
    Ok(user)
}

/// A session as `/login` and `/register` tell it.
pub(crate) fn session_json(signed_in: SignedIn) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("user_id".into(), signed_in.user_id.as_str().into());
    answer.insert("home_server".into(), signed_in.user_id.server_name().as_str().into());
    answer.insert("device_id".into(), signed_in.device_id.as_str().into());
    answer.insert("access_token".into(), signed_in.access_token.reveal().into());
    if let Some(token) = signed_in.refresh_token {
        answer.insert("refresh_token".into(), token.reveal().into());
    }
    if let Some(expires) = signed_in.expires_in_ms {
        answer.insert("expires_in_ms".into(), expires.into());
    }
    answer
}

fn answer(signed_in: SignedIn, well_known: &WellKnownConfig) -> Map<String, Value> {
    let mut answer = session_json(signed_in);
    if let Some(base_url) = &well_known.client_base_url {
        let base_url = base_url.as_str().trim_end_matches('/');
        answer.insert("well_known".into(), json!({ "m.homeserver": { "base_url": base_url } }));
    }
    answer
}
