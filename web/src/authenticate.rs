//! Who is calling: from a request's token to a session, for people, guests and application services.

use async_trait::async_trait;
use http::{StatusCode, header, request::Parts};
use lyceum_accounts::{AccountError, Accounts, Session};
use lyceum_push::Services;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use std::{borrow::Cow, net::IpAddr, sync::Arc};

use crate::{
    ApiError, WebState,
    facts::{ClientAddress, RouteOptions},
};

/// What a request says about its caller.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The access token.
    pub token: &'a str,
    /// The client's address, where known.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
    /// The query string, for what application services say there.
    pub query: Option<&'a str>,
}

/// Whom an application service speaks as (spec, "Identity assertion").
#[derive(Debug, Default, Deserialize)]
pub struct Assertion {
    /// The user; the service's own when absent.
    pub user_id: Option<OwnedUserId>,
    /// The device.
    pub device_id: Option<OwnedDeviceId>,
    /// The device as bridges say it that know the proposal only; many say both.
    #[serde(rename = "org.matrix.msc3202.device_id")]
    unstable_device_id: Option<OwnedDeviceId>,
}

impl Call<'_> {
    /// Whom the service speaks as.
    pub fn assertion(&self) -> Result<Assertion, ApiError> {
        let Some(query) = self.query else { return Ok(Assertion::default()) };
        let mut assertion: Assertion = serde_html_form::from_str(query)?;
        assertion.device_id = assertion.device_id.or(assertion.unstable_device_id.take());
        Ok(assertion)
    }
}

/// A caller who was recognised.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The session.
    pub session: Arc<Session>,
    /// Whether rate limits count for it: not for application services, unless their registration says so.
    pub rate_limited: bool,
}

/// Who knows clients by their tokens. Locked accounts are recognised: whether they may pass is the route's to say.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The session a token stands for.
    async fn authenticate(&self, call: Call<'_>) -> Result<Caller, ApiError>;

    /// The application service a token stands for.
    fn appservice(&self, token: &str) -> Option<AppserviceFacts>;

    /// Whether the user lies in the service's namespaces.
    fn owns(&self, service: &AppserviceFacts, user: &UserId) -> bool;
}

/// An application service, as far as authentication goes.
#[derive(Debug, Clone)]
pub struct AppserviceFacts {
    /// Its id.
    pub id: String,
    /// Its own user.
    pub sender: OwnedUserId,
    /// Whether rate limits count for it.
    pub rate_limited: bool,
}

/// Who knows the registered application services.
pub trait Appservices: Send + Sync {
    /// The service with this `as_token`.
    fn by_token(&self, token: &str) -> Option<AppserviceFacts>;

    /// Whether the user lies in the service's namespaces.
    fn owns(&self, id: &str, user: &UserId) -> bool;
}

/// No application services.
#[derive(Debug, Clone, Copy)]
pub struct NoAppservices;

impl Appservices for NoAppservices {
    fn by_token(&self, _: &str) -> Option<AppserviceFacts> {
        None
    }

    fn owns(&self, _: &str, _: &UserId) -> bool {
        false
    }
}

impl Appservices for Services {
    fn by_token(&self, token: &str) -> Option<AppserviceFacts> {
        let service = Self::by_token(self, token)?;
        let (id, sender) = (service.registration.id.clone(), service.sender.clone());
        Some(AppserviceFacts { id, sender, rate_limited: service.registration.rate_limited })
    }

    fn owns(&self, id: &str, user: &UserId) -> bool {
        self.by_id(id).is_some_and(|service| service.has_user(user))
    }
}

/// The server's authenticator: application services by their registrations, everybody else by their sessions.
pub struct SessionAuthenticator {
    accounts: Accounts,
    appservices: Arc<dyn Appservices>,
}

impl SessionAuthenticator {
    /// An authenticator over the accounts and the registered services.
    pub fn new(accounts: Accounts, appservices: Arc<dyn Appservices>) -> Self {
        Self { accounts, appservices }
    }

    async fn assume(&self, service: AppserviceFacts, call: Call<'_>) -> Result<Caller, ApiError> {
        let Assertion { user_id, device_id, .. } = call.assertion()?;
        let user = user_id.unwrap_or_else(|| service.sender.clone());
        if user != service.sender && !self.appservices.owns(&service.id, &user) {
            return Err(ApiError::forbidden("The application service may not act as this user"));
        }
        let session = self.accounts.appservice_session(&service.id, &user, device_id.as_deref()).await;
        let session = session.map_err(|error| match error {
            AccountError::NotFound("device") => {
                ApiError::new(StatusCode::BAD_REQUEST, "M_UNKNOWN_DEVICE", "The user has no such device")
            }
            AccountError::NotFound(_) => ApiError::forbidden("The application service has not registered this user"),
            error => error.into(),
        })?;
        Ok(Caller { session: Arc::new(session), rate_limited: service.rate_limited })
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    async fn authenticate(&self, call: Call<'_>) -> Result<Caller, ApiError> {
        if let Some(service) = self.appservices.by_token(call.token) {
            return self.assume(service, call).await;
        }
        let session = self.accounts.authenticate_even_locked(call.token).await?;
        self.accounts.note_seen(&session, call.address, call.user_agent);
        Ok(Caller { session, rate_limited: true })
    }

    fn appservice(&self, token: &str) -> Option<AppserviceFacts> {
        self.appservices.by_token(token)
    }

    fn owns(&self, service: &AppserviceFacts, user: &UserId) -> bool {
        self.appservices.owns(&service.id, user)
    }
}

/// The caller a request must have.
pub(crate) async fn required(parts: &Parts, web: &WebState, route: RouteOptions) -> Result<Caller, ApiError> {
    let token = token(parts, web)?.ok_or_else(|| ApiError::missing_token("Missing access token"))?;
    recognise(parts, web, route, &token).await
}

/// The caller a request may have. A token that is there must be good.
pub(crate) async fn optional(parts: &Parts, web: &WebState, route: RouteOptions) -> Result<Option<Caller>, ApiError> {
    match token(parts, web)? {
        Some(token) => recognise(parts, web, route, &token).await.map(Some),
        None => Ok(None),
    }
}

/// The application service a request must come from.
pub(crate) async fn service(parts: &Parts, web: &WebState, route: RouteOptions) -> Result<AppserviceFacts, ApiError> {
    let token = token(parts, web)?.ok_or_else(|| ApiError::missing_token("Missing access token"))?;
    if let Some(service) = web.authenticator().appservice(&token) {
        return Ok(service);
    }
    recognise(parts, web, route, &token).await?;
    Err(ApiError::forbidden("Only application services may use this endpoint"))
}

/// The application service a request may come from. Anybody else's token says nothing here (spec, `/register`, `/login`).
pub(crate) fn maybe_service(parts: &Parts, web: &WebState) -> Result<Option<AppserviceFacts>, ApiError> {
    Ok(token(parts, web)?.and_then(|token| web.authenticator().appservice(&token)))
}

async fn recognise(parts: &Parts, web: &WebState, route: RouteOptions, token: &str) -> Result<Caller, ApiError> {
    let call = Call {
        token,
        address: parts.extensions.get::<ClientAddress>().map(|address| address.0),
        user_agent: parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()),
        query: parts.uri.query(),
    };
    let caller = web.authenticator().authenticate(call).await?;
    admit(&caller.session, route)?;
    Ok(caller)
}

/// Whether this kind of session may come through this door at all.
fn admit(session: &Session, route: RouteOptions) -> Result<(), ApiError> {
    if session.locked && !route.even_locked {
        return Err(ApiError::user_locked());
    }
    if session.suspended && route.refuse_suspended {
        return Err(ApiError::user_suspended("This account is suspended: it may read and leave rooms"));
    }
    if session.is_guest() && !route.guests {
        return Err(ApiError::guest_access_forbidden("Guests may not do this"));
    }
    Ok(())
}

/// The token of a request: from its header, or from the query where that is allowed.
fn token<'a>(parts: &'a Parts, web: &WebState) -> Result<Option<Cow<'a, str>>, ApiError> {
    const BEARER: &str = "bearer ";
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| ApiError::unknown_token(false))?;
        let bearer = value.get(..BEARER.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER));
        return Ok(bearer.then(|| Cow::Borrowed(value[BEARER.len()..].trim())));
    }
    let Some(query) = parts.uri.query().filter(|_| web.config().access_token_in_query) else { return Ok(None) };
    Ok(query
        .split('&')
        .find_map(|pair| pair.strip_prefix("access_token="))
        .and_then(|token| percent_encoding::percent_decode_str(token).decode_utf8().ok()))
}
