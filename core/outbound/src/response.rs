//! A response whose body is read under a limit.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{OutboundError, network};

/// Where the body comes from.
pub(crate) enum Body {
    Whole(Bytes),
    Network(Box<reqwest::Response>),
}

/// A response. Its status and headers are here; the body is still to be read.
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Body,
    pub(crate) bytes_max: usize,
    pub(crate) bytes_read: usize,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The URL that answered, after redirects.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The next piece of the body, `None` at its end. Fails once more than the request's limit has come.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        let piece = match &mut self.body {
            Body::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Body::Network(response) => response.chunk().await.map_err(|error| network::failure(&error))?,
        };
        self.bytes_read += piece.as_ref().map_or(0, Bytes::len);
        if self.bytes_read > self.bytes_max {
            return Err(OutboundError::TooLarge(self.bytes_max));
        }
        Ok(piece)
    }

    /// The whole body.
    pub async fn bytes(mut self) -> Result<Bytes, OutboundError> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(more) = self.chunk().await? {
            whole.extend_from_slice(&more);
        }
        Ok(whole.freeze())
    }

    /// The whole body, as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, OutboundError> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| OutboundError::Json(error.to_string()))
    }
}
