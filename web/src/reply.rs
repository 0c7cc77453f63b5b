//! Answers: ruma's responses and bytes that are JSON already.

use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use ruma::api::{OutgoingResponse, OutgoingResponseExt};

use crate::ApiError;

/// A ruma response on its way out.
#[derive(Debug, Clone)]
pub struct Ruma<T>(pub T);

impl<T: OutgoingResponse> IntoResponse for Ruma<T> {
    fn into_response(self) -> Response {
        match self.0.try_into_http_response::<BytesMut>() {
            Ok(response) => response.map(|body| axum::body::Body::from(body.freeze())),
            Err(error) => ApiError::from(error).into_response(),
        }
    }
}

/// A body that is JSON already, written once and sent as it is.
#[derive(Debug, Clone)]
pub struct RawJson(pub Bytes);

impl RawJson {
    /// Writes `value` as the body.
    pub fn of(value: &impl serde::Serialize) -> Result<Self, ApiError> {
        serde_json::to_vec(value).map(|bytes| Self(bytes.into())).map_err(|error| ApiError::internal(&error))
    }
}

impl IntoResponse for RawJson {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.0.into());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
