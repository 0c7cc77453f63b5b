//! The handle: checks a request, carries it over the network or the wire, follows redirects.

use bytes::Bytes;
use std::{sync::Arc, time::Instant};

use crate::{
    ConfigError, OutboundConfig, OutboundError, Request, Response, Wire, network::Network, redirect, request::Reach,
    response::Body,
};

/// The guarded client. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    carrier: Carrier,
}

#[derive(Clone)]
enum Carrier {
    Network(Arc<Network>),
    Wire(Arc<dyn Wire>),
}

impl Outbound {
    /// A client over the network.
    pub fn new(config: &OutboundConfig) -> Result<Self, ConfigError> {
        Ok(Self { carrier: Carrier::Network(Arc::new(Network::new(config)?)) })
    }

    /// A client over a wire, for tests.
    pub fn over(wire: impl Wire) -> Self {
        Self { carrier: Carrier::Wire(Arc::new(wire)) }
    }

    /// Sends a request and answers with the response as soon as its headers are here.
    pub async fn send(&self, mut request: Request) -> Result<Response, OutboundError> {
        let deadline = Instant::now() + request.timeout;
        for hops in 0..=u8::MAX {
            let response = self.once(&request).await?;
            let Some(next) = redirect::next(&request, hops, response.status, &response.headers)? else {
                return Ok(response);
            };
            request = next;
            request.timeout = deadline.saturating_duration_since(Instant::now());
        }
        Err(OutboundError::TooManyRedirects(u8::MAX))
    }

    /// One exchange, no redirects.
    async fn once(&self, request: &Request) -> Result<Response, OutboundError> {
        match &self.carrier {
            Carrier::Network(network) => network.send(request).await,
            Carrier::Wire(wire) => {
                let answer = tokio::time::timeout(request.timeout, wire.call(carried(request)?));
                let (parts, body) = answer.await.map_err(|_| OutboundError::Timeout)??.into_parts();
                Ok(response(request, parts.status, parts.headers, Body::Whole(body)))
            }
        }
    }
}

/// The request in the form a wire takes.
fn carried(request: &Request) -> Result<http::Request<Bytes>, OutboundError> {
    let mut carried = http::Request::builder()
        .method(request.method.clone())
        .uri(request.url.as_str())
        .body(request.body.clone())
        .map_err(|error| OutboundError::Url(error.to_string()))?;
    *carried.headers_mut() = request.headers.clone();
    Ok(carried)
}

/// A response to `request`, nothing of its body read yet.
pub(crate) fn response(request: &Request, status: http::StatusCode, headers: http::HeaderMap, body: Body) -> Response {
    let (url, bytes_max) = (request.url.clone(), request.body_bytes_max);
    Response { status, headers, url, body, bytes_max, bytes_read: 0 }
}

impl Reach {
    pub(crate) fn is_guarded(self) -> bool {
        self == Self::Guarded
    }
}
