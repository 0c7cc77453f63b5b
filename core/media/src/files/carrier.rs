//! The way to an S3 service: what `object_store` asks goes through the server's one HTTP client.

use async_trait::async_trait;
use futures_util::stream;
use http::{HeaderValue, Method, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use lyceum_outbound::{Outbound, OutboundError, Request};
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
};
use std::{fmt, time::Duration};

/// How long one exchange may take: a large file may go to somebody on a slow line. Silence ends it much sooner.
const EXCHANGE_MAX: Duration = Duration::from_secs(60 * 60);

/// The largest answer that is no file: a list of a thousand names, or what went wrong.
const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The server's HTTP client as `object_store` wants it.
#[derive(Clone)]
pub(super) struct Carrier(pub(super) Outbound);

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

impl HttpConnector for Carrier {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Carrier {
    async fn call(&self, asked: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = asked.into_parts();
        let is_file = parts.method == Method::GET && parts.uri.query().is_none();
        let body = body.collect().await?.to_bytes();
        let mut request = Request::new(parts.method, &parts.uri.to_string())
            .map_err(failed)?
            // The endpoint is the operator's own word: it may well be a private address.
            .configured()
            .timeout(EXCHANGE_MAX)
            // A file is as long as it was when it was kept, and is passed on piece by piece.
            .body_bytes_max(if is_file { usize::MAX } else { DOCUMENT_BYTES_MAX })
            .body(body);
        for (name, value) in &parts.headers {
            request = request.header(name.clone(), value.clone());
        }
        // A range is one of the bytes as they are kept.
        let request = request.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let answer = self.0.send(request).await.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let pieces = stream::try_unfold(answer, |mut answer| async move {
            let piece = answer.chunk().await.map_err(failed)?;
            Ok(piece.map(|piece| (Frame::data(piece), answer)))
        });
        let mut response = HttpResponse::new(HttpResponseBody::new(StreamBody::new(pieces)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// What went wrong, so that `object_store` knows whether to try again.
fn failed(error: OutboundError) -> HttpError {
    let kind = match &error {
        OutboundError::Connect(_) | OutboundError::NoAddress(_) => HttpErrorKind::Connect,
        OutboundError::Timeout => HttpErrorKind::Timeout,
        OutboundError::Broken(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
