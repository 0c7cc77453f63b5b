//! What each crate's errors become for the outside: one `From` a crate, one arm a reason. Other servers' errors are in
//! `error/peers.rs`.

use http::StatusCode;
use lyceum_accounts::AccountError;
use lyceum_events::EventError;
use lyceum_institution::InstitutionError;
use lyceum_media::MediaError;
use lyceum_push::{PingError, PushError};
use lyceum_rooms::RoomError;
use lyceum_search::SearchError;
use lyceum_storage::{CommitError, StorageError};
use lyceum_sync::SyncError;
use lyceum_workers::moderation::ModerationError;
use lyceum_workers::notices::NoticeError;
use lyceum_workers::{deletions::DeletionError, past_purges::PastPurgeError, redactions::RedactionError};
use ruma::{
    IdParseError,
    api::error::{DeserializationError, FromHttpRequestError, IntoHttpError},
};
use serde_json::error::Category;

use super::ApiError;

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::bad_json(error.to_string()),
            // Grammatically JSON, of a number that no event can hold.
            Category::Syntax if error.to_string().starts_with("number out of range") => {
                Self::bad_json(error.to_string())
            }
            Category::Syntax | Category::Eof | Category::Io => Self::not_json("The body is not valid JSON"),
        }
    }
}

/// Query and path parameters: ruma gives the same error for both, and the missing only in words.
impl From<serde_html_form::de::Error> for ApiError {
    fn from(error: serde_html_form::de::Error) -> Self {
        let message = error.to_string();
        if message.starts_with("missing field") { Self::missing_param(message) } else { Self::invalid_param(message) }
    }
}

impl From<IdParseError> for ApiError {
    fn from(error: IdParseError) -> Self {
        Self::invalid_param(error.to_string())
    }
}

impl From<DeserializationError> for ApiError {
    fn from(error: DeserializationError) -> Self {
        match error {
            DeserializationError::Json(error) => error.into(),
            DeserializationError::Query(error) => error.into(),
            DeserializationError::Ident(error) => error.into(),
            DeserializationError::Utf8(_) => Self::not_json("The body is not UTF-8"),
            DeserializationError::Header(error) => Self::invalid_param(error.to_string()),
            error => Self::unknown(error.to_string()),
        }
    }
}

impl From<FromHttpRequestError> for ApiError {
    fn from(error: FromHttpRequestError) -> Self {
        match error {
            FromHttpRequestError::Deserialization(error) => error.into(),
            error => Self::wrong_method(error.to_string()),
        }
    }
}

impl From<IntoHttpError> for ApiError {
    fn from(error: IntoHttpError) -> Self {
        Self::internal(&error)
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::internal(&error)
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) => Self::unavailable("Too many changes at once; try again"),
            CommitError::Storage(error) => error.into(),
            CommitError::Closed => Self::unavailable("The server is shutting down"),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let message = error.to_string();
        match error {
            AccountError::UnknownToken { soft_logout } => Self::unknown_token(soft_logout),
            AccountError::Locked => Self::user_locked(),
            AccountError::Suspended => Self::user_suspended(message),
            AccountError::WrongCredentials | AccountError::Forbidden(_) => Self::forbidden(message),
            // Synapse's administration API: a refusal without a code of its own.
            AccountError::WrongMac => Self::unknown(message).with_status(StatusCode::FORBIDDEN),
            AccountError::Deactivated => Self::user_deactivated(message),
            AccountError::UserInUse => Self::user_in_use(message),
            AccountError::InvalidUsername(_) => Self::invalid_username(message),
            AccountError::Exclusive => Self::exclusive(message),
            AccountError::WeakPassword(_) => Self::weak_password(message),
            AccountError::Interactive(info) => Self::interactive(&info),
            AccountError::NotFound(_) => Self::not_found(message),
            AccountError::InvalidParam(_) => Self::invalid_param(message),
            AccountError::Unknown(_) => Self::unknown(message),
            AccountError::MissingParam(_) => Self::missing_param(message),
            AccountError::BadJson(_) => Self::bad_json(message),
            AccountError::TooLarge(_) => Self::too_large(message),
            AccountError::KeyTooLarge => Self::key_too_large(message),
            AccountError::ProfileTooLarge => Self::profile_too_large(message),
            AccountError::TooMany(_) => Self::forbidden(message),
            AccountError::Unrecognized(_) => Self::unrecognized(message),
            // Spec, account data: "M_BAD_JSON … 405 … this type of account data is controlled by the server".
            AccountError::NotThisWay(_) => Self::bad_json(message).with_status(StatusCode::METHOD_NOT_ALLOWED),
            AccountError::WrongBackupVersion { current } => Self::wrong_room_keys_version(&current),
            AccountError::InvalidSignature(_) => Self::new(StatusCode::BAD_REQUEST, "M_INVALID_SIGNATURE", message),
            AccountError::Busy | AccountError::Closed => Self::unavailable(message),
            AccountError::Storage(error) => error.into(),
        }
    }
}

impl From<EventError> for ApiError {
    fn from(error: EventError) -> Self {
        match error {
            EventError::TooLarge => Self::too_large(error.to_string()),
            error => Self::bad_json(error.to_string()),
        }
    }
}

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        let message = error.to_string();
        match error {
            RoomError::UnknownRoom(_) | RoomError::UnknownEvent(_) | RoomError::NotFound(_) => Self::not_found(message),
            RoomError::Forbidden(_) => Self::forbidden(message),
            // The rule is told in words and, for programs, in a field.
            RoomError::Refused { rule, .. } => Self::forbidden(message).with("rule", rule),
            RoomError::Held(rule) => Self::forbidden(message).with("rule", rule).with("held", true),
            // In the policy server's own words (spec, server-server API, "Validating Policy Server signatures").
            RoomError::NotRecommended(why) => {
                let status = StatusCode::from_u16(why.status).unwrap_or(StatusCode::FORBIDDEN);
                Self::new(status, why.errcode, message)
            }
            RoomError::Bad(_) => Self::bad_json(message),
            RoomError::InvalidParam(_) => Self::invalid_param(message),
            RoomError::TooLarge(_) => Self::too_large(message),
            RoomError::UnsupportedVersion(_) => Self::unsupported_room_version(message),
            RoomError::IncompatibleVersion(version) => Self::incompatible_room_version(&version),
            RoomError::InvalidRoomState(_) => Self::invalid_room_state(message),
            RoomError::RoomInUse(_) => Self::room_in_use(message),
            RoomError::BadAlias(_) => Self::bad_alias(message),
            RoomError::InviteBlocked => Self::invite_blocked(message),
            RoomError::DuplicateAnnotation => Self::duplicate_annotation(message),
            // The codes of MSC4306, which has no others yet.
            RoomError::NotInThread => Self::new(StatusCode::BAD_REQUEST, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD", message),
            RoomError::UnsubscribedSince => {
                Self::new(StatusCode::CONFLICT, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION", message)
            }
            RoomError::StillIn | RoomError::Limit(_) => Self::unknown(message),
            RoomError::UnableToAuthorizeJoin => Self::unable_to_authorise_join(message),
            RoomError::UnableToGrantJoin(_) => Self::unable_to_grant_join(message),
            RoomError::Busy | RoomError::InPart => Self::unavailable(message),
            RoomError::Storage(error) => error.into(),
            RoomError::Commit(error) => error.into(),
            RoomError::Damaged(cause) => Self::internal(&cause),
        }
    }
}

impl From<InstitutionError> for ApiError {
    fn from(error: InstitutionError) -> Self {
        let message = error.to_string();
        match error {
            InstitutionError::NotFound(_) => Self::not_found(message),
            InstitutionError::Wrong(_) | InstitutionError::Limit(_) => Self::invalid_param(message),
            InstitutionError::Refused { rule, .. } => Self::forbidden(message).with("rule", rule),
            InstitutionError::Busy => Self::unavailable(message),
            InstitutionError::Storage(error) => error.into(),
            InstitutionError::Commit(error) => error.into(),
            InstitutionError::Damaged(cause) => Self::internal(&cause),
        }
    }
}

impl From<ModerationError> for ApiError {
    fn from(error: ModerationError) -> Self {
        let message = error.to_string();
        match error {
            ModerationError::NotFound(_) => Self::not_found(message),
            ModerationError::Wrong(_) => Self::invalid_param(message),
            ModerationError::Institution(error) => error.into(),
            ModerationError::Rooms(error) => error.into(),
            ModerationError::Accounts(error) => error.into(),
            ModerationError::Notices(error) => error.into(),
            ModerationError::Storage(error) => error.into(),
            ModerationError::Busy => Self::unavailable(message),
            ModerationError::Keep(error) => Self::internal(&error),
            ModerationError::Search(_) => Self::unavailable(message),
        }
    }
}

impl From<MediaError> for ApiError {
    fn from(error: MediaError) -> Self {
        let message = error.to_string();
        match error {
            MediaError::NotFound | MediaError::Quarantined => Self::not_found(message),
            MediaError::NotYetUploaded => Self::not_yet_uploaded(message),
            MediaError::CannotOverwrite => Self::cannot_overwrite_media(message),
            MediaError::NotYours | MediaError::QuotaReached(_) => Self::forbidden(message),
            MediaError::TooManyUnused(_, retry_after) => Self::limit_exceeded(retry_after),
            MediaError::TooLarge(_) | MediaError::TooManyPixels => Self::too_large(message),
            MediaError::NoPicture(_) => Self::unknown(message),
            MediaError::TooSlow => Self::unknown(message).with_status(StatusCode::REQUEST_TIMEOUT),
            MediaError::NoPreviews => Self::unrecognized(message),
            MediaError::NoAddress => Self::invalid_param(message),
            MediaError::AddressRefused => Self::forbidden(message),
            MediaError::Unreachable(_) => Self::unknown(message).with_status(StatusCode::BAD_GATEWAY),
            MediaError::Busy => Self::unavailable(message),
            MediaError::Bucket(_) => Self::internal(&message),
            MediaError::File(error) => Self::internal(&error),
            MediaError::Storage(error) => error.into(),
            MediaError::Commit(error) => error.into(),
        }
    }
}

impl From<NoticeError> for ApiError {
    fn from(error: NoticeError) -> Self {
        let message = error.to_string();
        match error {
            NoticeError::CannotLeave => Self::new(StatusCode::FORBIDDEN, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM", message),
            NoticeError::Account => Self::internal(&message),
            NoticeError::Accounts(error) => error.into(),
            NoticeError::Rooms(error) => error.into(),
            NoticeError::Storage(error) => error.into(),
        }
    }
}

impl From<DeletionError> for ApiError {
    fn from(error: DeletionError) -> Self {
        match error {
            DeletionError::Busy => Self::unavailable(error.to_string()),
            DeletionError::UnderWay | DeletionError::NotLocal(_) => Self::invalid_param(error.to_string()),
            DeletionError::Rooms(error) => error.into(),
            DeletionError::Storage(error) => error.into(),
            DeletionError::Commit(error) => error.into(),
        }
    }
}

impl From<PastPurgeError> for ApiError {
    fn from(error: PastPurgeError) -> Self {
        match error {
            PastPurgeError::Busy => Self::unavailable(error.to_string()),
            // As Synapse has it.
            PastPurgeError::UnderWay => Self::new(StatusCode::BAD_REQUEST, "M_UNKNOWN", error.to_string()),
            PastPurgeError::Rooms(error) => error.into(),
            PastPurgeError::Storage(error) => error.into(),
            PastPurgeError::Commit(error) => error.into(),
        }
    }
}

impl From<RedactionError> for ApiError {
    fn from(error: RedactionError) -> Self {
        match error {
            RedactionError::Busy => Self::unavailable(error.to_string()),
            RedactionError::Rooms(error) => error.into(),
            RedactionError::Storage(error) => error.into(),
            RedactionError::Commit(error) => error.into(),
        }
    }
}

impl From<PingError> for ApiError {
    fn from(error: PingError) -> Self {
        let message = error.to_string();
        match error {
            PingError::NoUrl => Self::new(StatusCode::BAD_REQUEST, "M_URL_NOT_SET", message),
            PingError::BadStatus { status, body } => {
                Self::new(StatusCode::BAD_GATEWAY, "M_BAD_STATUS", message).with("status", status).with("body", body)
            }
            PingError::Unreachable(_) => Self::new(StatusCode::BAD_GATEWAY, "M_CONNECTION_FAILED", message),
            PingError::Timeout => Self::new(StatusCode::GATEWAY_TIMEOUT, "M_CONNECTION_TIMEOUT", message),
        }
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        let message = error.to_string();
        match error {
            PushError::Missing(_) => Self::missing_param(message),
            PushError::Invalid(_) => Self::invalid_param(message),
            PushError::Limit(_) => Self::forbidden(message),
            PushError::Rooms(error) => error.into(),
            PushError::Accounts(error) => error.into(),
            PushError::Storage(error) => error.into(),
            PushError::Commit(error) => error.into(),
        }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Off => Self::unrecognized(error.to_string()),
            SearchError::Index(cause) => Self::internal(&cause),
            SearchError::Rooms(error) => error.into(),
            SearchError::Storage(error) => error.into(),
        }
    }
}

impl From<SyncError> for ApiError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::UnknownPos => Self::unknown_pos(error.to_string()),
            SyncError::Rooms(error) => error.into(),
            SyncError::Accounts(error) => error.into(),
            SyncError::Storage(error) => error.into(),
        }
    }
}
