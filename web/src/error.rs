//! The error page: what a Matrix error answer is, and a constructor for each errcode. What each crate's errors become is
//! in `error/domain.rs`, and in `error/peers.rs` for what other servers say and fail to prove.

mod domain;
mod peers;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use ruma::api::client::uiaa::UiaaInfo;
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt, time::Duration};

/// What a handler answers: ruma's response or an error.
pub type Answer<T> = Result<crate::Ruma<T>, ApiError>;

/// An error as Matrix says it: status, errcode, message, and what else the errcode carries.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The errcode; none in the first answer of interactive authentication.
    pub errcode: Option<Cow<'static, str>>,
    /// For people.
    pub message: Cow<'static, str>,
    /// What the errcode carries besides.
    pub fields: Option<Box<Map<String, Value>>>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

/// One constructor for each errcode.
macro_rules! errcodes {
    ($($(#[$doc:meta])* $name:ident $status:ident $code:literal;)*) => {
        /// The errcodes.
        impl ApiError {
            $($(#[$doc])* pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                Self::new(StatusCode::$status, $code, message)
            })*
        }
    };
}

errcodes! {
    /// Not allowed.
    forbidden FORBIDDEN "M_FORBIDDEN";
    /// Nothing there.
    not_found NOT_FOUND "M_NOT_FOUND";
    /// Not JSON at all.
    not_json BAD_REQUEST "M_NOT_JSON";
    /// JSON of the wrong shape.
    bad_json BAD_REQUEST "M_BAD_JSON";
    /// A parameter with a wrong value.
    invalid_param BAD_REQUEST "M_INVALID_PARAM";
    /// A parameter that is not there.
    missing_param BAD_REQUEST "M_MISSING_PARAM";
    /// No access token.
    missing_token UNAUTHORIZED "M_MISSING_TOKEN";
    /// Not authorised, as servers are told.
    unauthorized UNAUTHORIZED "M_UNAUTHORIZED";
    /// An error no code is made for.
    unknown BAD_REQUEST "M_UNKNOWN";
    /// A conflict that goes away by trying again.
    unavailable SERVICE_UNAVAILABLE "M_UNKNOWN";
    /// The server does not know this endpoint.
    unrecognized NOT_FOUND "M_UNRECOGNIZED";
    /// The server knows the path, not the method.
    wrong_method METHOD_NOT_ALLOWED "M_UNRECOGNIZED";
    /// The user is suspended.
    user_suspended FORBIDDEN "M_USER_SUSPENDED";
    /// The account was closed.
    user_deactivated FORBIDDEN "M_USER_DEACTIVATED";
    /// The user name is taken.
    user_in_use BAD_REQUEST "M_USER_IN_USE";
    /// The user name is not one.
    invalid_username BAD_REQUEST "M_INVALID_USERNAME";
    /// The password is too weak.
    weak_password BAD_REQUEST "M_WEAK_PASSWORD";
    /// The address or alias is reserved for an application service.
    exclusive BAD_REQUEST "M_EXCLUSIVE";
    /// The alias is taken.
    room_in_use BAD_REQUEST "M_ROOM_IN_USE";
    /// The state a room would begin with is wrong.
    invalid_room_state BAD_REQUEST "M_INVALID_ROOM_STATE";
    /// The server does not serve the version.
    unsupported_room_version BAD_REQUEST "M_UNSUPPORTED_ROOM_VERSION";
    /// The change of state is not possible now.
    bad_state FORBIDDEN "M_BAD_STATE";
    /// Guests may not.
    guest_access_forbidden FORBIDDEN "M_GUEST_ACCESS_FORBIDDEN";
    /// A captcha is needed.
    captcha_needed UNAUTHORIZED "M_CAPTCHA_NEEDED";
    /// The captcha is wrong.
    captcha_invalid UNAUTHORIZED "M_CAPTCHA_INVALID";
    /// Too large.
    too_large PAYLOAD_TOO_LARGE "M_TOO_LARGE";
    /// The server cannot tell whether the join is allowed.
    unable_to_authorise_join BAD_REQUEST "M_UNABLE_TO_AUTHORISE_JOIN";
    /// Another server must let this user in.
    unable_to_grant_join BAD_REQUEST "M_UNABLE_TO_GRANT_JOIN";
    /// One does not leave the server notices' room.
    cannot_leave_server_notice_room FORBIDDEN "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM";
    /// The third-party identifier is in use.
    threepid_in_use BAD_REQUEST "M_THREEPID_IN_USE";
    /// No account has the third-party identifier.
    threepid_not_found BAD_REQUEST "M_THREEPID_NOT_FOUND";
    /// The third-party identifier was not proved.
    threepid_auth_failed BAD_REQUEST "M_THREEPID_AUTH_FAILED";
    /// The third-party identifier is not allowed here.
    threepid_denied FORBIDDEN "M_THREEPID_DENIED";
    /// The kind of third-party identifier is not supported.
    threepid_medium_not_supported BAD_REQUEST "M_THREEPID_MEDIUM_NOT_SUPPORTED";
    /// The other server is not trusted.
    server_not_trusted BAD_REQUEST "M_SERVER_NOT_TRUSTED";
    /// The alias does not point to the room.
    bad_alias BAD_REQUEST "M_BAD_ALIAS";
    /// The same reaction is there already.
    duplicate_annotation BAD_REQUEST "M_DUPLICATE_ANNOTATION";
    /// The media is not there yet.
    not_yet_uploaded GATEWAY_TIMEOUT "M_NOT_YET_UPLOADED";
    /// The media ID has its content already.
    cannot_overwrite_media CONFLICT "M_CANNOT_OVERWRITE_MEDIA";
    /// The position is not known (sliding sync).
    unknown_pos BAD_REQUEST "M_UNKNOWN_POS";
    /// The url is not set in the registration.
    url_not_set BAD_REQUEST "M_URL_NOT_SET";
    /// The application service answered badly.
    bad_status BAD_GATEWAY "M_BAD_STATUS";
    /// The application service could not be reached.
    connection_failed BAD_GATEWAY "M_CONNECTION_FAILED";
    /// The application service was too slow.
    connection_timeout GATEWAY_TIMEOUT "M_CONNECTION_TIMEOUT";
    /// The key's name is too long.
    key_too_large BAD_REQUEST "M_KEY_TOO_LARGE";
    /// The profile would be too large.
    profile_too_large BAD_REQUEST "M_PROFILE_TOO_LARGE";
    /// The session or token typed by a person is wrong.
    token_incorrect BAD_REQUEST "M_TOKEN_INCORRECT";
    /// The invitee does not take this invite.
    invite_blocked FORBIDDEN "M_INVITE_BLOCKED";
    /// An application service asked for a login this server does not do.
    appservice_login_unsupported BAD_REQUEST "M_APPSERVICE_LOGIN_UNSUPPORTED";
    /// The thread's subscription was undone by its owner after the event.
    conflicting_unsubscription CONFLICT "M_CONFLICTING_UNSUBSCRIPTION";
}

impl ApiError {
    /// An error with the given status and code.
    pub fn new(
        status: StatusCode,
        errcode: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, errcode: Some(errcode.into()), message: message.into(), fields: None, retry_after: None }
    }

    /// The same error with another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same error with another code.
    pub fn with_errcode(mut self, errcode: impl Into<Cow<'static, str>>) -> Self {
        self.errcode = Some(errcode.into());
        self
    }

    /// The same error with one more field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.get_or_insert_default().insert(field.to_owned(), value.into());
        self
    }

    /// The access token is not known. `soft_logout`: the client may keep its keys and sign in again.
    pub fn unknown_token(soft_logout: bool) -> Self {
        let message = "The access token is not known or no longer valid";
        Self::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", message).with("soft_logout", soft_logout)
    }

    /// The account is locked (spec, "Account locking": a soft logout).
    pub fn user_locked() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_USER_LOCKED", "This account is locked").with("soft_logout", true)
    }

    /// Too many requests.
    pub fn limit_exceeded(retry_after: Duration) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", "Too many requests");
        error.retry_after = Some(retry_after);
        error.with("retry_after_ms", u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX))
    }

    /// The room has a version the caller did not say it supports.
    pub fn incompatible_room_version(version: &str) -> Self {
        let message = "The room's version is not among those offered";
        Self::new(StatusCode::BAD_REQUEST, "M_INCOMPATIBLE_ROOM_VERSION", message).with("room_version", version)
    }

    /// The server has reached a limit of its own.
    pub fn resource_limit_exceeded(message: impl Into<Cow<'static, str>>, admin_contact: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_RESOURCE_LIMIT_EXCEEDED", message).with("admin_contact", admin_contact)
    }

    /// The key backup has another version by now.
    pub fn wrong_room_keys_version(current: &str) -> Self {
        let message = "The key backup has another version by now";
        Self::new(StatusCode::FORBIDDEN, "M_WRONG_ROOM_KEYS_VERSION", message).with("current_version", current)
    }

    /// More authentication is needed: flows, session and parameters (spec, "User-interactive authentication API").
    pub fn interactive(info: &UiaaInfo) -> Self {
        let mut fields = match serde_json::to_value(info) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => Map::new(),
            Err(error) => return Self::internal(&error),
        };
        if info.auth_error.is_some() {
            // After an attempt clients look what came of it, also if nothing did.
            fields.entry("completed").or_insert_with(|| Value::Array(Vec::new()));
        }
        let message = Cow::Borrowed("");
        Self {
            status: StatusCode::UNAUTHORIZED,
            errcode: None,
            message,
            fields: Some(Box::new(fields)),
            retry_after: None,
        }
    }

    /// Something broke here. The cause goes to the log, not to the caller.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed inside the server");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Something went wrong inside the server")
    }

    fn body(&mut self) -> Bytes {
        let mut object = self.fields.take().map_or_else(Map::new, |fields| *fields);
        if let Some(errcode) = &self.errcode {
            object.insert("errcode".to_owned(), errcode.as_ref().into());
            object.insert("error".to_owned(), self.message.as_ref().into());
        }
        Value::Object(object).to_string().into()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.errcode.as_deref().unwrap_or("interactive"), self.message)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let mut response = Response::new(self.body().into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(retry_after) = self.retry_after {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::api::client::uiaa::{AuthFlow, AuthType};

    #[test]
    fn interactive_authentication_begins_without_an_errcode() {
        let mut info = UiaaInfo::new(vec![AuthFlow::new(vec![AuthType::Password])]);
        info.session = Some("s".into());
        let mut error = ApiError::interactive(&info);
        assert_eq!(error.status, StatusCode::UNAUTHORIZED);
        let json: Value = serde_json::from_slice(&error.body()).expect("JSON");
        assert_eq!(json, serde_json::json!({ "flows": [{ "stages": ["m.login.password"] }], "session": "s" }));
    }

    #[test]
    fn the_cause_stays_inside() {
        let mut error = ApiError::internal(&"the disk is full");
        let body = String::from_utf8(error.body().to_vec()).expect("text");
        assert!(!body.contains("disk"), "{body}");
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
