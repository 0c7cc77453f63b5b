//! Requests of other servers: what was signed, and who verifies it.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Uri, header, request::Parts};
use lyceum_peers::{Credentials, Peers, Signed};
use ruma::OwnedServerName;

use crate::{ApiError, WebState};

/// Signatures of one request that are looked at: a server changes its key seldom, and each may have to be asked for.
const SIGNATURES_MAX: usize = 5;

/// How the headers of servers begin.
const SCHEME: &[u8] = b"X-Matrix";

/// A request as its sender signed it (spec, "Request authentication").
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The `Authorization` headers, one for each key. How old servers write theirs is the verifier's to know.
    pub authorizations: &'a [&'a HeaderValue],
    /// The method.
    pub method: &'a Method,
    /// The path and query, as they came.
    pub uri: &'a Uri,
    /// The body as it came; empty when there is none. Its depth was checked.
    pub body: &'a Bytes,
}

/// Who verifies other servers' requests: destination, keys, signature.
#[async_trait]
pub trait ServerVerifier: Send + Sync {
    /// The server that sent this, proved.
    async fn verify(&self, request: SignedRequest<'_>) -> Result<OwnedServerName, ApiError>;
}

#[async_trait]
impl ServerVerifier for Peers {
    async fn verify(&self, request: SignedRequest<'_>) -> Result<OwnedServerName, ApiError> {
        let SignedRequest { authorizations, method, uri, body } = request;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let credentials =
            authorizations.iter().map(|header| Credentials::parse(header)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.authenticate_by_any(Signed { method: method.as_str(), target, body }, &credentials).await?)
    }
}

/// The server a request comes from.
pub(crate) async fn origin(parts: &Parts, web: &WebState, body: &Bytes) -> Result<OwnedServerName, ApiError> {
    // What a proxy on the way adds for itself is none of ours.
    let is_ours = |header: &&HeaderValue| {
        header.as_bytes().get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
    };
    let all: Vec<_> = parts.headers.get_all(header::AUTHORIZATION).iter().collect();
    let ours: Vec<_> = all.iter().copied().filter(is_ours).collect();
    let authorizations = if ours.is_empty() { all } else { ours };
    match authorizations.len() {
        0 => return Err(ApiError::unauthorized("The request is not signed")),
        1..=SIGNATURES_MAX => {}
        _ => return Err(ApiError::unauthorized("The request has too many signatures")),
    }
    let request = SignedRequest { authorizations: &authorizations, method: &parts.method, uri: &parts.uri, body };
    web.servers().verify(request).await
}
