//! What went wrong with several servers that were asked in turn, and which of it is told. Pure.

use http::StatusCode;
use lyceum_peers::PeerError;
use lyceum_web::ApiError;
use ruma::RoomId;

/// The most telling of several errors.
#[derive(Default)]
pub(super) struct Trouble(Option<ApiError>);

impl Trouble {
    /// Notes what one server answered, so that the next can be asked. An error of this server itself ends the asking.
    pub(super) fn note(&mut self, error: ApiError) -> Result<(), ApiError> {
        if error.status == StatusCode::INTERNAL_SERVER_ERROR {
            return Err(error);
        }
        if self.0.as_ref().is_none_or(|told| weight(&error) > weight(told)) {
            self.0 = Some(error);
        }
        Ok(())
    }

    /// What the client is told when no server helped.
    pub(super) fn told(self, room: &RoomId) -> ApiError {
        self.0.unwrap_or_else(|| ApiError::not_found(format!("There is no server that could be asked about {room}")))
    }
}

/// What a server said to an event that this one has made. If it found a parameter missing or wrong, that is none of the
/// client's (spec, `send_join` and `invite`: "the Client-Server API request SHOULD fail with a 5xx error").
pub(super) fn of_handing_in(error: PeerError) -> ApiError {
    let is_ours = matches!(&error, PeerError::Refused { errcode, .. } if errcode == "M_MISSING_PARAM" || errcode == "M_INVALID_PARAM");
    match is_ours {
        true => ApiError::unknown(error.to_string()).with_status(StatusCode::BAD_GATEWAY),
        false => error.into(),
    }
}

/// A refusal says more than ignorance, and that more than silence.
fn weight(error: &ApiError) -> u8 {
    match error.status {
        StatusCode::FORBIDDEN => 3,
        StatusCode::NOT_FOUND => 1,
        status if status.is_client_error() => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::{owned_server_name, room_id};

    #[test]
    fn a_client_is_not_blamed_for_what_this_server_wrote() {
        let refused = |errcode: &str| PeerError::Refused {
            server: owned_server_name!("far.example"),
            status: 400,
            errcode: errcode.to_owned(),
            message: "no".to_owned(),
            body: "{}".into(),
        };
        for (errcode, status) in [("M_MISSING_PARAM", 502), ("M_INVALID_PARAM", 502), ("M_UNABLE_TO_GRANT_JOIN", 400)] {
            assert_eq!(of_handing_in(refused(errcode)).status.as_u16(), status, "{errcode}");
        }
    }

    #[test]
    fn the_most_telling_error_is_told() {
        let mut trouble = Trouble::default();
        assert_eq!(Trouble::default().told(room_id!("!r:x")).status, StatusCode::NOT_FOUND);
        trouble.note(ApiError::unknown("silence").with_status(StatusCode::BAD_GATEWAY)).expect("noted");
        trouble.note(ApiError::not_found("no such room")).expect("noted");
        trouble.note(ApiError::forbidden("banned")).expect("noted");
        trouble.note(ApiError::bad_json("odd")).expect("noted");
        assert!(trouble.note(ApiError::internal(&"broken")).is_err());
        assert_eq!(trouble.told(room_id!("!r:x")).message, "banned");
    }
}
