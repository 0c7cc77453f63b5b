//! The typed extractors: an auth scheme each, over ruma's requests. Handlers for hot or unstable endpoints take the raw ones
//! in `extract/raw.rs`.

pub(crate) mod raw;

use axum::{
    body::Body,
    extract::{FromRef, FromRequest, FromRequestParts, RawPathParams, Request},
};
use bytes::Bytes;
use http::request::Parts;
use lyceum_accounts::Session;
use ruma::{
    OwnedServerName,
    api::{IncomingRequest, Metadata},
};
use std::{sync::Arc, time::Duration};

use crate::{
    ApiError, AppserviceFacts, Caller, WebState, Who, authenticate, body,
    facts::{self, ClientAddress},
    scheme::{ByAppservice, ByAppserviceOrNot, ByNothing, ByServer, ByToken, ByTokenOrNot},
    servers,
};

/// A request of somebody signed in.
#[derive(Debug)]
pub struct Authed<R> {
    /// Who.
    pub session: Arc<Session>,
    /// What they ask.
    pub body: R,
}

/// A request of anybody, signed in or not.
#[derive(Debug)]
pub struct MaybeAuthed<R> {
    /// Who, if they said so.
    pub session: Option<Arc<Session>>,
    /// What they ask.
    pub body: R,
}

/// A request of anybody.
#[derive(Debug)]
pub struct Public<R> {
    /// What they ask.
    pub body: R,
}

/// A request of an application service in its own name.
#[derive(Debug)]
pub struct Appservice<R> {
    /// Which service.
    pub service: AppserviceFacts,
    /// What it asks.
    pub body: R,
}

/// A request of anybody or of an application service in its own name.
#[derive(Debug)]
pub struct MaybeAppservice<R> {
    /// Which service, if it is one.
    pub service: Option<AppserviceFacts>,
    /// What is asked.
    pub body: R,
}

/// A request of another server, its signature verified.
#[derive(Debug)]
pub struct FromServer<R> {
    /// Which server.
    pub origin: OwnedServerName,
    /// What it asks.
    pub body: R,
}

impl<R, S> FromRequest<S> for Authed<R>
where
    R: IncomingRequest<Authentication: ByToken>,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let arrived = Arrived::new(request, state);
        let caller = arrived.head.caller().await?;
        let (parts, bytes) = arrived.read().await?;
        Ok(Self { session: caller.session, body: parse(parts, &bytes).await? })
    }
}

impl<R, S> FromRequest<S> for MaybeAuthed<R>
where
    R: IncomingRequest<Authentication: ByTokenOrNot>,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let arrived = Arrived::new(request, state);
        let caller = arrived.head.maybe_caller().await?;
        let (parts, bytes) = arrived.read().await?;
        Ok(Self { session: caller.map(|caller| caller.session), body: parse(parts, &bytes).await? })
    }
}

impl<R, S> FromRequest<S> for Public<R>
where
    R: IncomingRequest<Authentication: ByNothing>,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let arrived = Arrived::new(request, state);
        arrived.head.limit_address()?;
        let (parts, bytes) = arrived.read().await?;
        Ok(Self { body: parse(parts, &bytes).await? })
    }
}

impl<R, S> FromRequest<S> for Appservice<R>
where
    R: IncomingRequest<Authentication: ByAppservice>,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let arrived = Arrived::new(request, state);
        let service = arrived.head.service().await?;
        let (parts, bytes) = arrived.read().await?;
        Ok(Self { service, body: parse(parts, &bytes).await? })
    }
}

impl<R, S> FromRequest<S> for MaybeAppservice<R>
where
    R: IncomingRequest<Authentication: ByAppserviceOrNot>,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let arrived = Arrived::new(request, state);
        let service = arrived.head.maybe_service()?;
        let (parts, bytes) = arrived.read().await?;
        Ok(Self { service, body: parse(parts, &bytes).await? })
    }
}

impl<R, S> FromRequest<S> for FromServer<R>
where
    R: IncomingRequest<Authentication: ByServer>,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let arrived = Arrived::new(request, state);
        let (origin, parts, bytes) = arrived.read_from_server().await?;
        Ok(Self { origin, body: parse(parts, &bytes).await? })
    }
}

/// A request at the door: its head, and its body not yet read.
pub(crate) struct Arrived {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

/// A request without its body: enough to say who is calling.
pub(crate) struct Head {
    pub(crate) parts: Parts,
    web: WebState,
    route: facts::RouteOptions,
}

impl Arrived {
    pub(crate) fn new<S>(request: Request, state: &S) -> Self
    where
        WebState: FromRef<S>,
    {
        let (parts, body) = request.into_parts();
        let route = facts::options(&parts.extensions);
        Self { head: Head { parts, web: WebState::from_ref(state), route }, body }
    }

    /// Reads a client's body and checks its depth.
    pub(crate) async fn read(self) -> Result<(Parts, Bytes), ApiError> {
        let bytes_max = self.head.web.config().body_bytes_max;
        self.read_up_to(bytes_max).await
    }

    /// Reads a server's body, checks its depth and who sent it.
    pub(crate) async fn read_from_server(self) -> Result<(OwnedServerName, Parts, Bytes), ApiError> {
        self.head.limit_address()?;
        let (web, family) = (self.head.web.clone(), self.head.route.family);
        let (parts, bytes) = self.read_up_to(web.config().federation_body_bytes_max).await?;
        let origin = servers::origin(&parts, &web, &bytes).await?;
        if let Some(family) = family {
            web.check_limit(family, Who::Server(&origin))?;
        }
        Ok((origin, parts, bytes))
    }

    async fn read_up_to(self, bytes_max: usize) -> Result<(Parts, Bytes), ApiError> {
        let bytes_max = self.head.route.body_bytes_max.unwrap_or(bytes_max);
        let within = Duration::from_secs(self.head.web.config().body_timeout_secs);
        let bytes = body::read(&self.head.parts, self.body, bytes_max, within).await?;
        body::check(&bytes)?;
        Ok((self.head.parts, bytes))
    }
}

impl Head {
    /// Who must be calling, counted against their limit.
    pub(crate) async fn caller(&self) -> Result<Caller, ApiError> {
        let caller = authenticate::required(&self.parts, &self.web, self.route).await?;
        self.limit_caller(&caller)?;
        Ok(caller)
    }

    /// Who may be calling, counted against their limit, or against their address's.
    pub(crate) async fn maybe_caller(&self) -> Result<Option<Caller>, ApiError> {
        let caller = authenticate::optional(&self.parts, &self.web, self.route).await?;
        caller.as_ref().map_or_else(|| self.limit_address(), |caller| self.limit_caller(caller))?;
        Ok(caller)
    }

    /// The application service that may be calling; everybody else is counted against their address's limit.
    pub(crate) fn maybe_service(&self) -> Result<Option<AppserviceFacts>, ApiError> {
        let service = authenticate::maybe_service(&self.parts, &self.web)?;
        if service.as_ref().is_none_or(|service| service.rate_limited) {
            self.limit_address()?;
        }
        Ok(service)
    }

    /// The application service that must be calling.
    async fn service(&self) -> Result<AppserviceFacts, ApiError> {
        authenticate::service(&self.parts, &self.web, self.route).await
    }

    fn limit_caller(&self, caller: &Caller) -> Result<(), ApiError> {
        match self.route.family {
            Some(family) if caller.rate_limited => self.web.check_session(family, &caller.session),
            _ => Ok(()),
        }
    }

    /// Counts the request against its address's limit.
    pub(crate) fn limit_address(&self) -> Result<(), ApiError> {
        let address = self.parts.extensions.get::<ClientAddress>();
        match (self.route.family, address) {
            (Some(family), Some(address)) => self.web.check_limit(family, Who::Address(address.0)),
            _ => Ok(()),
        }
    }
}

/// Ruma's parse: path, query, headers, body, once each.
async fn parse<R: IncomingRequest>(mut parts: Parts, bytes: &Bytes) -> Result<R, ApiError> {
    let params = path_params(&mut parts).await?;
    let args: Vec<&str> = params.iter().map(|(_, value)| value).collect();
    // Clients send no body where every field of it may be left out: matrix-nio joins like that.
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    Ok(R::try_from_http_request_inner(http::Request::from_parts(parts, bytes), &args)?)
}

/// The path's parameters, decoded. Control characters belong into none of Matrix's identifiers.
pub(crate) async fn path_params(parts: &mut Parts) -> Result<RawPathParams, ApiError> {
    let params = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| ApiError::invalid_param("The path is not UTF-8"))?;
    if params.iter().any(|(_, value)| value.contains(char::is_control)) {
        return Err(ApiError::invalid_param("The path has control characters in it"));
    }
    Ok(params)
}

/// Whose endpoint a typed extractor's handler serves.
pub trait Typed {
    /// Ruma's request.
    type Request: Metadata;
}

impl<R: Metadata> Typed for Authed<R> {
    type Request = R;
}
impl<R: Metadata> Typed for MaybeAuthed<R> {
    type Request = R;
}
impl<R: Metadata> Typed for Public<R> {
    type Request = R;
}
impl<R: Metadata> Typed for Appservice<R> {
    type Request = R;
}
impl<R: Metadata> Typed for MaybeAppservice<R> {
    type Request = R;
}
impl<R: Metadata> Typed for FromServer<R> {
    type Request = R;
}
