//! Telling the moderators about events, rooms and people.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_rooms::Rooms;
use lyceum_web::{Answer, ApiError, Authed, Ruma};
use ruma::api::client::{
    reporting::report_user,
    room::{report_content, report_room},
};

/// `POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}`.
pub(crate) async fn report_content(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<report_content::v3::Request>,
) -> Answer<report_content::v3::Response> {
    let reason = body.reason.as_deref().unwrap_or_default();
    rooms.report_event(&session.user_id, &body.room_id, &body.event_id, reason).await?;
    Ok(Ruma(report_content::v3::Response::new()))
}

/// `POST /_matrix/client/v3/rooms/{roomId}/report`.
pub(crate) async fn report_room(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<report_room::v3::Request>,
) -> Answer<report_room::v3::Response> {
    rooms.report_room(&session.user_id, &body.room_id, &body.reason).await?;
    Ok(Ruma(report_room::v3::Response::new()))
}

/// `POST /_matrix/client/v3/users/{userId}/report`.
pub(crate) async fn report_user(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<report_user::v3::Request>,
) -> Answer<report_user::v3::Response> {
    if rooms.is_local(&body.user_id) && !accounts.exists(&body.user_id).await? {
        return Err(ApiError::not_found("There is no such person here"));
    }
    rooms.report_user(&session.user_id, &body.user_id, &body.reason).await?;
    Ok(Ruma(report_user::v3::Response::new()))
}
