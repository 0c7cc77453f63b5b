//! A request on its way out, and what it allows.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;
use std::time::Duration;
use url::Url;

use crate::OutboundError;

/// How long a whole exchange may take unless the request says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest response body unless the request says otherwise.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Which redirects a request follows. Only `GET` and `HEAD` are ever sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// None: the 3xx response is the answer.
    No,
    /// At most so many, and only to `https`.
    Secure(u8),
    /// At most so many, to `http` or `https`.
    Web(u8),
}

/// Whether the address rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// They do.
    Guarded,
    /// They do not: the operator named the target.
    Configured,
}

/// Where to connect instead of the URL's host and port. TLS still expects the URL's host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Via {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A request. Build it, then give it to [`crate::Outbound::send`].
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) via: Option<Via>,
    pub(crate) reach: Reach,
    pub(crate) redirects: Redirects,
    pub(crate) timeout: Duration,
    pub(crate) body_bytes_max: usize,
}

impl Request {
    /// A request for an `http` or `https` URL.
    pub fn new(method: Method, url: &str) -> Result<Self, OutboundError> {
        let url = Url::parse(url).map_err(|error| OutboundError::Url(format!("{url}: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(OutboundError::Url(url.into()));
        }
        Ok(Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            via: None,
            reach: Reach::Guarded,
            redirects: Redirects::No,
            timeout: TIMEOUT,
            body_bytes_max: BODY_BYTES_MAX,
        })
    }

    /// The path and query exactly as they will be sent: what a signature over the request covers.
    pub fn target(&self) -> String {
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", self.url.path())
    }

    /// With a header, replacing one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With another `Host` header than the URL says. Such a request is sent by HTTP/1.1.
    #[must_use]
    pub fn host(self, value: HeaderValue) -> Self {
        self.header(header::HOST, value)
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With a JSON body and its content type.
    pub fn json(self, body: &impl Serialize) -> Result<Self, OutboundError> {
        let body = serde_json::to_vec(body).map_err(|error| OutboundError::Json(error.to_string()))?;
        Ok(self.json_bytes(body))
    }

    /// With a body that is JSON already, and its content type.
    #[must_use]
    pub fn json_bytes(self, body: impl Into<Bytes>) -> Self {
        self.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body)
    }

    /// Connects to `host` (a name or an address) and `port`, while TLS expects the URL's host.
    #[must_use]
    pub fn via(mut self, host: &str, port: u16) -> Self {
        self.via = Some(Via { host: host.to_owned(), port });
        self
    }

    /// For a URL from the operator's own configuration: the address rules do not hold, redirects are not followed.
    #[must_use]
    pub fn configured(mut self) -> Self {
        self.reach = Reach::Configured;
        self
    }

    /// Follows these redirects (default: none).
    #[must_use]
    pub fn follow(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// The time for the whole exchange, body included (default a minute).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest body to read (default 1 MiB).
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }
}
