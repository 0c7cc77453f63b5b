//! `/upgrade`.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_rooms::Rooms;
use lyceum_web::{Answer, Authed, Ruma};
use ruma::api::client::room::upgrade_room;

use super::join::carry_over;

/// `POST /_matrix/client/v3/rooms/{roomId}/upgrade`.
pub(crate) async fn upgrade_room(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<upgrade_room::v3::Request>,
) -> Answer<upgrade_room::v3::Response> {
    let user = &session.user_id;
    let successor = rooms.upgrade(user, &body.room_id, &body.new_version, &body.additional_creators).await?;
    carry_over(&rooms, &accounts, user, &successor).await?;
    Ok(Ruma(upgrade_room::v3::Response::new(successor)))
}
