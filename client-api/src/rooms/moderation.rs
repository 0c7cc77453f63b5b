//! Asking people in, sending them away, and leaving.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_peers::Partners;
use lyceum_push::Services;
use lyceum_rooms::{Outcome, Rooms};
use lyceum_web::{Answer, ApiError, Authed, Ruma};
use lyceum_workers::notices::Notices;
use ruma::api::client::membership::{
    ban_user, forget_room, invite_user, invite_user::v3::InvitationRecipient, kick_user, leave_room, unban_user,
};

use crate::remote::Remote;

/// `POST /_matrix/client/v3/rooms/{roomId}/invite`.
pub(crate) async fn invite_user(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(accounts): State<Accounts>,
    State(services): State<Services>,
    State(partners): State<Partners>,
    Authed { session, body }: Authed<invite_user::v3::Request>,
) -> Answer<invite_user::v3::Response> {
    let invite = match body.recipient {
        InvitationRecipient::UserId(invite) => invite,
        _ => return Err(ApiError::threepid_denied("This server does not invite by address")),
    };
    let (inviter, invitee, reason) = (&session.user_id, &invite.user_id, invite.reason.as_deref());
    if rooms.is_local(invitee) {
        services.make_known(&accounts, &[invitee]).await?;
        rooms.invite(inviter, &body.room_id, invitee, reason).await?;
    } else {
        partners.meet(&[invitee]).await;
        remote.invite(inviter, &body.room_id, invitee, reason, false).await?;
    }
    Ok(Ruma(invite_user::v3::Response::new()))
}

/// `POST /_matrix/client/v3/rooms/{roomId}/leave`.
pub(crate) async fn leave_room(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(notices): State<Notices>,
    Authed { session, body }: Authed<leave_room::v3::Request>,
) -> Answer<leave_room::v3::Response> {
    notices.check_leave(&session.user_id, &body.room_id).await?;
    let reason = body.reason.as_deref();
    if rooms.leave(&session.user_id, &body.room_id, reason).await? == Outcome::ByAnotherServer {
        remote.leave(&session.user_id, &body.room_id, reason).await?;
    }
    Ok(Ruma(leave_room::v3::Response::new()))
}

/// `POST /_matrix/client/v3/rooms/{roomId}/forget`.
pub(crate) async fn forget_room(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<forget_room::v3::Request>,
) -> Answer<forget_room::v3::Response> {
    rooms.forget(&session.user_id, &body.room_id).await?;
    Ok(Ruma(forget_room::v3::Response::new()))
}

/// `POST /_matrix/client/v3/rooms/{roomId}/kick`.
pub(crate) async fn kick_user(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<kick_user::v3::Request>,
) -> Answer<kick_user::v3::Response> {
    rooms.kick(&session.user_id, &body.room_id, &body.user_id, body.reason.as_deref()).await?;
    Ok(Ruma(kick_user::v3::Response::new()))
}

/// `POST /_matrix/client/v3/rooms/{roomId}/ban`.
pub(crate) async fn ban_user(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<ban_user::v3::Request>,
) -> Answer<ban_user::v3::Response> {
    rooms.ban(&session.user_id, &body.room_id, &body.user_id, body.reason.as_deref()).await?;
    Ok(Ruma(ban_user::v3::Response::new()))
}

/// `POST /_matrix/client/v3/rooms/{roomId}/unban`.
pub(crate) async fn unban_user(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<unban_user::v3::Request>,
) -> Answer<unban_user::v3::Response> {
    rooms.unban(&session.user_id, &body.room_id, &body.user_id, body.reason.as_deref()).await?;
    Ok(Ruma(unban_user::v3::Response::new()))
}
