//! `POST /_matrix/policy/v1/sign`: what policy servers do, of which this is none.

use lyceum_web::{ApiError, FromServerRaw, RawJson};

pub(crate) async fn sign(_: FromServerRaw<()>) -> Result<RawJson, ApiError> {
    Err(ApiError::unrecognized("This server is not a policy server"))
}
