//! Small answers and checks that many handlers share.

use bytes::Bytes;
use lyceum_web::{ApiError, RawJson, Session};
use ruma::UserId;

/// What a raw handler answers.
pub(crate) type Raw = Result<RawJson, ApiError>;

/// `{}`
pub(crate) fn empty() -> Raw {
    Ok(RawJson(Bytes::from_static(b"{}")))
}

/// Refuses everybody but the person themselves.
pub(crate) fn check_own(session: &Session, user: &UserId) -> Result<(), ApiError> {
    if session.user_id == user { Ok(()) } else { Err(ApiError::forbidden("This belongs to somebody else")) }
}

/// A user id in a path.
pub(crate) fn user_id(text: &str) -> Result<&UserId, ApiError> {
    Ok(<&UserId>::try_from(text)?)
}
