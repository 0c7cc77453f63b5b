//! What went wrong with several servers that were asked in turn, and which of it is told. Pure.

use http::StatusCode;
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
    use ruma::room_id;

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
