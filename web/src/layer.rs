//! What happens to every request and answer: address, request id, span, CORS, panics, metrics. [`finish`] puts it around
//! the routes.

mod address;

use axum::{
    Router,
    extract::{ConnectInfo, MatchedPath, Request},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::{
    convert::Infallible,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::{ApiError, Routes, WebState, facts::ClientAddress};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids of others are replaced by our own.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// The finished router: routes, the answers for what is no route, and the layer around all of it.
pub fn finish(routes: Routes, web: &WebState) -> Router {
    routes
        .into_router()
        .fallback(async || ApiError::unrecognized("There is no such endpoint"))
        .method_not_allowed_fallback(async || ApiError::wrong_method("The endpoint has no such method"))
        .layer(Around { web: web.clone() })
}

#[derive(Clone)]
struct Around {
    web: WebState,
}

impl<I> Layer<I> for Around {
    type Service = Surrounded<I>;

    fn layer(&self, inner: I) -> Surrounded<I> {
        Surrounded { web: self.web.clone(), inner }
    }
}

#[derive(Clone)]
struct Surrounded<I> {
    web: WebState,
    inner: I,
}

impl<I> Service<Request> for Surrounded<I>
where
    I: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = request_id(request.headers(), &self.web);
        if request.method() == Method::OPTIONS {
            return std::future::ready(Ok(dressed(StatusCode::NO_CONTENT.into_response(), id))).boxed();
        }
        note_address(&mut request, &self.web);
        let seen = Seen { method: label(request.method()), route: request.extensions().get::<MatchedPath>().cloned() };
        let span = tracing::info_span!(
            "request",
            id = id.to_str().unwrap_or_default(),
            method = seen.method,
            route = seen.route.as_ref().map_or("", |path| path.as_str()),
        );
        let web = self.web.clone();
        let started = web.clock().monotonic();
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        async move {
            let response = match answer.await {
                Ok(Ok(response)) => response,
                Err(_) => panicked(&seen),
            };
            let took = web.clock().monotonic().saturating_sub(started);
            seen.count(response.status(), took);
            Ok(dressed(response, id))
        }
        .instrument(span)
        .boxed()
    }
}

/// What is known of a request once it is gone.
struct Seen {
    method: &'static str,
    route: Option<MatchedPath>,
}

impl Seen {
    fn count(&self, status: StatusCode, took: Duration) {
        let route: Arc<str> = self.route.as_ref().map_or_else(|| "none".into(), |path| path.as_str().into());
        let (method, code) = (self.method, status.as_str().to_owned());
        tracing::debug!(status = status.as_u16(), took_ms = took.as_millis(), "answered");
        metrics::counter!("lyceum_http_requests_total", "route" => route.clone(), "method" => method, "status" => code)
            .increment(1);
        metrics::histogram!("lyceum_http_request_seconds", "route" => route, "method" => method).record(took);
    }
}

fn panicked(seen: &Seen) -> Response {
    let route = seen.route.as_ref().map_or("none", |path| path.as_str());
    metrics::counter!("lyceum_http_panics_total", "route" => route.to_owned()).increment(1);
    ApiError::internal(&"a handler panicked").into_response()
}

/// Methods are the client's text: only the known ones become labels.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn note_address(request: &mut Request, web: &WebState) {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else { return };
    let client = address::client(peer.ip(), request.headers(), &web.config().trusted_proxies);
    request.extensions_mut().insert(ClientAddress(client));
}

fn request_id(headers: &HeaderMap, web: &WebState) -> HeaderValue {
    let fits = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        !bytes.is_empty() && bytes.len() <= REQUEST_ID_BYTES_MAX && bytes.iter().all(plain)
    };
    headers.get(REQUEST_ID).filter(fits).cloned().unwrap_or_else(|| web.next_request_id())
}

/// Adds what every answer carries (spec, "Web browser clients").
fn dressed(mut response: Response, id: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With, Content-Type, Authorization"),
    );
    // About half of a browser's requests are preflights: it may remember the answer for a day.
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    headers.insert(REQUEST_ID, id);
    response
}
