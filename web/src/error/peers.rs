//! What trouble with other servers becomes: their refusals are passed on to the client, their silence is a bad gateway.

use http::StatusCode;
use lyceum_peers::{AuthenticationError, PeerError, VerifyError};
use serde_json::{Map, Value};

use super::ApiError;

/// Codes that speak of the connection between the two servers and would tell a client to sign in again.
const BETWEEN_SERVERS: &[&str] = &["M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_UNAUTHORIZED", "M_LIMIT_EXCEEDED"];

impl From<PeerError> for ApiError {
    fn from(error: PeerError) -> Self {
        let message = error.to_string();
        match error {
            PeerError::Refused { status, errcode, message, body, .. } => refused(status, errcode, message, &body),
            PeerError::NotAllowed(_) => Self::forbidden(message),
            PeerError::Unsendable(_) | PeerError::Unsignable(_) => Self::invalid_param(message),
            PeerError::Myself(_) => Self::not_found(message),
            PeerError::LeftAlone(_) | PeerError::Unreachable { .. } | PeerError::Nonsense { .. } => {
                Self::unknown(message).with_status(StatusCode::BAD_GATEWAY)
            }
            PeerError::Source(cause) => Self::internal(&cause),
            PeerError::Storage(error) => error.into(),
            PeerError::Commit(error) => error.into(),
        }
    }
}

/// The refusal of another server in its own words and with what it carries.
fn refused(status: u16, errcode: String, message: String, body: &str) -> ApiError {
    let passed_on = (400..500).contains(&status) && status != 401 && !BETWEEN_SERVERS.contains(&errcode.as_str());
    let Some(status) = StatusCode::from_u16(status).ok().filter(|_| passed_on) else {
        let message = format!("Another server answered {status} {errcode}: {message}");
        return ApiError::unknown(message).with_status(StatusCode::BAD_GATEWAY);
    };
    let mut fields: Map<String, Value> = serde_json::from_str(body).unwrap_or_default();
    fields.retain(|name, _| name != "errcode" && name != "error");
    let mut error = ApiError::new(status, errcode, message);
    error.fields = (!fields.is_empty()).then(|| Box::new(fields));
    error
}

impl From<AuthenticationError> for ApiError {
    fn from(error: AuthenticationError) -> Self {
        let message = error.to_string();
        match error {
            AuthenticationError::Malformed(_)
            | AuthenticationError::WrongDestination(_)
            | AuthenticationError::NoKey { .. }
            | AuthenticationError::Signature => Self::unauthorized(message),
            AuthenticationError::NotAllowed(_) => Self::forbidden(message),
            AuthenticationError::Body(_) => Self::not_json(message),
            AuthenticationError::Storage(error) => error.into(),
        }
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::NoKey(_) | VerifyError::NoKeyYet(_) | VerifyError::Signature(_) => {
                Self::forbidden(error.to_string())
            }
            VerifyError::Event(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, errcode: &str, body: &str) -> ApiError {
        PeerError::Refused {
            server: ruma::owned_server_name!("far.example"),
            status,
            errcode: errcode.into(),
            message: "no".into(),
            body: body.into(),
        }
        .into()
    }

    #[test]
    fn a_refusal_is_passed_on_with_what_it_carries() {
        let body = r#"{"errcode":"M_INCOMPATIBLE_ROOM_VERSION","error":"no","room_version":"12"}"#;
        let error = answered(400, "M_INCOMPATIBLE_ROOM_VERSION", body);
        assert_eq!((error.status.as_u16(), error.errcode.as_deref()), (400, Some("M_INCOMPATIBLE_ROOM_VERSION")));
        let fields = error.fields.expect("the version is passed on");
        assert_eq!((fields.len(), &fields["room_version"]), (1, &Value::from("12")));
    }

    #[test]
    fn a_client_is_not_signed_out_by_another_server() {
        for (status, errcode) in [(401, "M_UNAUTHORIZED"), (403, "M_UNKNOWN_TOKEN"), (500, "M_UNKNOWN"), (302, "M_X")] {
            let error = answered(status, errcode, "{}");
            assert_eq!(
                (error.status.as_u16(), error.errcode.as_deref()),
                (502, Some("M_UNKNOWN")),
                "{status} {errcode}"
            );
        }
    }
}
