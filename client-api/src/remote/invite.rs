//! Asking people of other servers into rooms
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room)).

use lyceum_peers::{PeerError, calls::Invitation};
use lyceum_rooms::{Acceptance, Place};
use lyceum_web::ApiError;
use ruma::{CanonicalJsonObject, RoomId, UserId};

use super::{Remote, as_sent, trouble::of_handing_in};

impl Remote {
    /// Asks somebody of another server into a room: their server signs the invite before anybody else sees it.
    pub(crate) async fn invite(
        &self,
        inviter: &UserId,
        room: &RoomId,
        invitee: &UserId,
        reason: Option<&str>,
        is_direct: bool,
    ) -> Result<(), ApiError> {
        if self.rooms.is_unheard(inviter).await {
            return Ok(());
        }
        let invitation = self.rooms.write_invitation(inviter, room, invitee, reason, is_direct).await?;
        let server = invitee.server_name();
        let sent = Invitation {
            room_version: &invitation.version,
            event: as_sent(&invitation.event)?,
            invite_room_state: &invitation.state,
        };
        let answer = self.peers.invite(server, room, invitation.event.id(), &sent).await.map_err(of_invite)?;
        // Nothing but the signature is taken from the answer.
        let theirs: CanonicalJsonObject = serde_json::from_str(answer.get())?;
        let signed = self.rooms.with_signature(&invitation.event, &invitation.version, (server, &theirs))?;
        match self.rooms.accept(&signed).await? {
            Acceptance::Accepted | Acceptance::Known(Place::Timeline(_)) => Ok(()),
            Acceptance::Rejected(why) => Err(ApiError::forbidden(why)),
            _ => Err(ApiError::forbidden("The room does not permit the invite any more")),
        }
    }
}

/// What a server says that does not invite its person. That it cannot be in such a room has another code between servers than
/// for clients (spec, `POST …/invite`: "residents of a homeserver which does not support the requested room version").
fn of_invite(error: PeerError) -> ApiError {
    match &error {
        PeerError::Refused { errcode, .. } if errcode == "M_INCOMPATIBLE_ROOM_VERSION" => {
            ApiError::unsupported_room_version("The server of who is invited does not support the version of this room")
        }
        _ => of_handing_in(error),
    }
}
