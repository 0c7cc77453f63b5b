//! The place where tests put another server instead of the network.

use async_trait::async_trait;
use bytes::Bytes;

use crate::OutboundError;

/// Carries a request to whoever answers it. The URI is absolute: scheme, host and port say who is meant; the `Host` header
/// is set when it differs.
#[async_trait]
pub trait Wire: Send + Sync + 'static {
    /// The answer, or why there is none.
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, OutboundError>;
}
