//! Invites by an address of another kind, such as one of e-mail: whoever the address was proved to belong to claims the
//! invite that was left for it in the room
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#third-party-invites)).

use lyceum_events::Draft;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId, ServerName, UserId, events::StateEventType};

use crate::{
    Acceptance, Invitation, Membership, Place, Result, RoomError, Rooms, Sender,
    membership_acts::{draft, member_content},
    write::Writing,
};

/// A claim: that an invite left for an address is for this person.
#[derive(Debug, Clone)]
pub struct InviteClaim {
    sender: OwnedUserId,
    invitee: OwnedUserId,
    token: String,
    signed: CanonicalJsonObject,
}

impl InviteClaim {
    /// A claim of `invitee` to what `sender` left, as an identity server has signed it.
    pub fn new(sender: OwnedUserId, invitee: OwnedUserId, signed: CanonicalJsonObject) -> Result<Self> {
        let text = |name: &str| signed.get(name).and_then(CanonicalJsonValue::as_str);
        if text("mxid") != Some(invitee.as_str()) {
            return Err(RoomError::InvalidParam("`signed` is for somebody else".to_owned()));
        }
        let token = text("token").ok_or_else(|| RoomError::InvalidParam("`signed` names no invite".to_owned()))?;
        Ok(Self { sender, invitee, token: token.to_owned(), signed })
    }

    /// Who left the invite in the room.
    pub fn sender(&self) -> &UserId {
        &self.sender
    }

    /// Who claims it.
    pub fn invitee(&self) -> &UserId {
        &self.invitee
    }

    /// The part of a membership event that is asked to be completed by the sender's server.
    pub fn request(&self, room: &RoomId) -> serde_json::Value {
        serde_json::json!({
            "type": "m.room.member", "room_id": room, "sender": self.sender, "state_key": self.invitee,
            "content": { "membership": "invite", "third_party_invite": { "signed": self.signed } },
        })
    }
}

impl Rooms {
    /// Makes the invite that somebody of the server `origin` claims. It is nothing before that server has signed it.
    pub async fn write_claimed_invitation(
        &self,
        origin: &ServerName,
        room: &RoomId,
        claim: &InviteClaim,
    ) -> Result<Invitation> {
        if claim.invitee.server_name() != origin {
            return Err(RoomError::forbidden("you may claim invites for your own people only"));
        }
        if !self.is_local(&claim.sender) {
            return Err(RoomError::forbidden("that invite was left by nobody of this server"));
        }
        let writing = self.write(room).await?;
        self.check_lending(writing.snapshot(), origin).await?;
        let draft = writing.claimed(claim).await?;
        writing.invitation(&claim.sender, draft).await
    }

    /// Takes up a claim of somebody of this server in a room that this server is in, whoever left the invite. Answers
    /// whether it is.
    pub async fn take_claim(&self, room: &RoomId, claim: &InviteClaim) -> Result<bool> {
        match self.snapshot(room).await {
            Ok(snapshot) if snapshot.is_local() => {}
            Ok(_) | Err(RoomError::UnknownRoom(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let event = {
            let writing = self.write(room).await?;
            let draft = writing.claimed(claim).await?;
            writing.invitation(&claim.sender, draft).await?.event
        };
        match self.accept(&event).await? {
            Acceptance::Accepted | Acceptance::Known(Place::Timeline(_)) => Ok(true),
            Acceptance::Rejected(why) => Err(RoomError::Forbidden(why)),
            _ => Err(RoomError::forbidden("the room does not permit that invite any more")),
        }
    }
}

impl Writing {
    /// The membership event that a claim is for, if the room and the campus permit it.
    async fn claimed(&self, claim: &InviteClaim) -> Result<Draft> {
        // The room's rules forbid it only of who is banned.
        if self.snapshot().is_joined(&claim.invitee) {
            return Err(RoomError::forbidden("that person is in the room already"));
        }
        let left = self.state_event(&StateEventType::RoomThirdPartyInvite, &claim.token).await?;
        let left = left.ok_or_else(|| RoomError::forbidden("there is no such invite in the room"))?;
        let shown = left.content_as::<CanonicalJsonObject>().and_then(|mut content| content.remove("display_name"));
        let shown = shown.unwrap_or_else(|| CanonicalJsonValue::String(String::new()));
        let invite = CanonicalJsonObject::from([
            ("display_name".to_owned(), shown),
            ("signed".to_owned(), CanonicalJsonValue::Object(claim.signed.clone())),
        ]);
        let profile = self.rooms.0.people.profile(&claim.invitee).await;
        let mut content = member_content(Membership::Invite, &profile);
        content.insert("third_party_invite".to_owned(), CanonicalJsonValue::Object(invite));
        let draft = draft(&claim.invitee, content, None);
        self.ask_judge(Sender::of(&claim.sender), &draft).await?;
        Ok(draft)
    }
}
