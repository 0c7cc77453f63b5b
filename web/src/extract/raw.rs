//! The raw extractors: the same auth schemes for handlers that take the path's parameters, the query and the body's bytes
//! themselves, because the endpoint is hot, streams, or has no ruma type.

use axum::{
    body::Body,
    extract::{FromRef, FromRequest, FromRequestParts, Path, Request},
};
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use lyceum_accounts::Session;
use ruma::OwnedServerName;
use serde::de::DeserializeOwned;
use std::sync::Arc;

use crate::{ApiError, AppserviceFacts, WebState, extract::Arrived, extract::path_params};

/// A raw request of somebody signed in. `P` is a tuple of the path's parameters in order, `Q` a struct of the query's.
#[derive(Debug)]
pub struct AuthedRaw<P, Q = Nothing> {
    /// Who.
    pub session: Arc<Session>,
    /// The path's parameters.
    pub path: P,
    /// The query's parameters.
    pub query: Q,
    /// The body; its depth was checked. [`crate::body::json`] parses it.
    pub body: Bytes,
}

/// A raw request of anybody, signed in or not.
#[derive(Debug)]
pub struct MaybeAuthedRaw<P, Q = Nothing> {
    /// Who, if they said so.
    pub session: Option<Arc<Session>>,
    /// The path's parameters.
    pub path: P,
    /// The query's parameters.
    pub query: Q,
    /// The body; its depth was checked.
    pub body: Bytes,
}

/// A raw request of anybody.
#[derive(Debug)]
pub struct PublicRaw<P, Q = Nothing> {
    /// The path's parameters.
    pub path: P,
    /// The query's parameters.
    pub query: Q,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The body; its depth was checked.
    pub body: Bytes,
}

/// A raw request of anybody or of an application service in its own name.
#[derive(Debug)]
pub struct MaybeAppserviceRaw<P, Q = Nothing> {
    /// Which service, if it is one.
    pub service: Option<AppserviceFacts>,
    /// The path's parameters.
    pub path: P,
    /// The query's parameters.
    pub query: Q,
    /// The body; its depth was checked.
    pub body: Bytes,
}

/// A request of somebody signed in whose body is still on its way: uploads, and whatever else is not JSON, since the other
/// extractors check every body as JSON.
#[derive(Debug)]
pub struct AuthedStream<P, Q = Nothing> {
    /// Who.
    pub session: Arc<Session>,
    /// The path's parameters.
    pub path: P,
    /// The query's parameters.
    pub query: Q,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The body, unread and unlimited: [`crate::body::stream`] reads it up to a limit.
    pub body: Body,
}

/// A raw request of another server, its signature verified.
#[derive(Debug)]
pub struct FromServerRaw<P, Q = Nothing> {
    /// Which server.
    pub origin: OwnedServerName,
    /// The path's parameters.
    pub path: P,
    /// The query's parameters.
    pub query: Q,
    /// The body; its depth was checked.
    pub body: Bytes,
}

/// No parameters are looked at.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
pub struct Nothing {}

async fn parameters<P, Q>(parts: &mut Parts) -> Result<(P, Q), ApiError>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned,
{
    path_params(parts).await?;
    let Path(path) =
        Path::from_request_parts(parts, &()).await.map_err(|error| ApiError::invalid_param(error.body_text()))?;
    let query = serde_html_form::from_str(parts.uri.query().unwrap_or(""))?;
    Ok((path, query))
}

impl<P, Q, S> FromRequest<S> for AuthedRaw<P, Q>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let mut arrived = Arrived::new(request, state);
        let caller = arrived.head.caller().await?;
        let (path, query) = parameters(&mut arrived.head.parts).await?;
        let (_, body) = arrived.read().await?;
        Ok(Self { session: caller.session, path, query, body })
    }
}

impl<P, Q, S> FromRequest<S> for MaybeAuthedRaw<P, Q>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let mut arrived = Arrived::new(request, state);
        let caller = arrived.head.maybe_caller().await?;
        let (path, query) = parameters(&mut arrived.head.parts).await?;
        let (_, body) = arrived.read().await?;
        Ok(Self { session: caller.map(|caller| caller.session), path, query, body })
    }
}

impl<P, Q, S> FromRequest<S> for PublicRaw<P, Q>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let mut arrived = Arrived::new(request, state);
        arrived.head.limit_address()?;
        let (path, query) = parameters(&mut arrived.head.parts).await?;
        let (parts, body) = arrived.read().await?;
        Ok(Self { path, query, headers: parts.headers, body })
    }
}

impl<P, Q, S> FromRequest<S> for MaybeAppserviceRaw<P, Q>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let mut arrived = Arrived::new(request, state);
        let service = arrived.head.maybe_service()?;
        let (path, query) = parameters(&mut arrived.head.parts).await?;
        let (_, body) = arrived.read().await?;
        Ok(Self { service, path, query, body })
    }
}

impl<P, Q, S> FromRequest<S> for AuthedStream<P, Q>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let mut arrived = Arrived::new(request, state);
        let caller = arrived.head.caller().await?;
        let (path, query) = parameters(&mut arrived.head.parts).await?;
        Ok(Self { session: caller.session, path, query, headers: arrived.head.parts.headers, body: arrived.body })
    }
}

impl<P, Q, S> FromRequest<S> for FromServerRaw<P, Q>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
    S: Send + Sync,
    WebState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (origin, mut parts, body) = Arrived::new(request, state).read_from_server().await?;
        let (path, query) = parameters(&mut parts).await?;
        Ok(Self { origin, path, query, body })
    }
}
