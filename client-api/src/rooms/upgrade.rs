//! `/upgrade`.

use axum::extract::State;
use lyceum_rooms::Rooms;
use lyceum_web::{Answer, Authed, Ruma};
use ruma::api::client::room::upgrade_room;

/// `POST /_matrix/client/v3/rooms/{roomId}/upgrade`.
pub(crate) async fn upgrade_room(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<upgrade_room::v3::Request>,
) -> Answer<upgrade_room::v3::Response> {
    let user = &session.user_id;
    let successor = rooms.upgrade(user, &body.room_id, &body.new_version, &body.additional_creators).await?;
    Ok(Ruma(upgrade_room::v3::Response::new(successor)))
}
