//! Invites by an address of another kind: an identity server says whose the address is now, and the invite that was left
//! for it in a room becomes one of that person
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#third-party-invites)).

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_peers::{Peers, calls::Invitation};
use lyceum_rooms::{Acceptance, InviteClaim, Place, Rooms};
use lyceum_web::{ApiError, FromServerRaw, PublicRaw, RawJson, body};
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};

/// Invites that may have been left for one address and are claimed at once.
const CLAIMS_MAX: usize = 20;

/// The part of a membership event that is to be completed.
#[derive(Deserialize)]
struct Partial {
    #[serde(rename = "type")]
    kind: String,
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    state_key: OwnedUserId,
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    membership: String,
    third_party_invite: Signed,
}

#[derive(Deserialize)]
struct Signed {
    signed: CanonicalJsonObject,
}

/// `PUT /_matrix/federation/v1/exchange_third_party_invite/{roomId}`.
pub(crate) async fn exchange_third_party_invite(
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    request: FromServerRaw<(OwnedRoomId,)>,
) -> Result<RawJson, ApiError> {
    let ((room,), partial) = (request.path, body::json::<Partial>(&request.body)?);
    if partial.kind != "m.room.member" || partial.content.membership != "invite" {
        return Err(ApiError::invalid_param("This is no invite"));
    }
    if partial.room_id != room {
        return Err(ApiError::invalid_param("The path names another room than the body"));
    }
    let claim = InviteClaim::new(partial.sender, partial.state_key, partial.content.third_party_invite.signed)?;
    let invitation = rooms.write_claimed_invitation(&request.origin, &room, &claim).await?;
    let event = to_raw_value(&invitation.event.object())?;
    let sent = Invitation { room_version: &invitation.version, event: &event, invite_room_state: &invitation.state };
    let answer = peers.invite(&request.origin, &room, invitation.event.id(), &sent).await?;
    // Nothing but the signature is taken from the answer.
    let theirs: CanonicalJsonObject = serde_json::from_str(answer.get())?;
    let signed = rooms.with_signature(&invitation.event, &invitation.version, (&request.origin, &theirs))?;
    match rooms.accept(&signed).await? {
        Acceptance::Accepted | Acceptance::Known(Place::Timeline(_)) => RawJson::of(&json!({})),
        Acceptance::Rejected(why) => Err(ApiError::forbidden(why)),
        _ => Err(ApiError::forbidden("The room does not permit the invite any more")),
    }
}

/// What an identity server says that has found out whose an address is.
#[derive(Deserialize)]
struct Bound {
    mxid: OwnedUserId,
    invites: Vec<Pending>,
}

#[derive(Deserialize)]
struct Pending {
    mxid: OwnedUserId,
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    signed: CanonicalJsonObject,
}

/// `PUT /_matrix/federation/v1/3pid/onbind`. Nobody has to say who they are: a claim is worth what the room's own state says
/// of the key that signed it.
pub(crate) async fn on_bind_third_party_identifier(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    request: PublicRaw<()>,
) -> Result<RawJson, ApiError> {
    let Bound { mxid, invites } = body::json(&request.body)?;
    if !accounts.is_local(&mxid) || accounts.active_user(&mxid).await.is_err() {
        return Err(ApiError::not_found("There is no such person at this server"));
    }
    if invites.len() > CLAIMS_MAX {
        return Err(ApiError::invalid_param(format!("At most {CLAIMS_MAX} invites are claimed at once")));
    }
    let mut trouble = None;
    for pending in invites {
        // One that cannot be claimed is no reason not to claim the others.
        trouble = claim(&rooms, &peers, &mxid, pending).await.err().or(trouble);
    }
    trouble.map_or_else(|| RawJson::of(&json!({})), Err)
}

async fn claim(rooms: &Rooms, peers: &Peers, mxid: &OwnedUserId, pending: Pending) -> Result<(), ApiError> {
    if pending.mxid != *mxid {
        return Err(ApiError::invalid_param("An invite is for somebody else"));
    }
    let (room, claim) = (pending.room_id, InviteClaim::new(pending.sender, pending.mxid, pending.signed)?);
    if rooms.take_claim(&room, &claim).await? {
        return Ok(());
    }
    forward(rooms, peers, &room, &claim).await
}

/// Asks the server of whoever left the invite to make it one of the person's.
async fn forward(rooms: &Rooms, peers: &Peers, room: &RoomId, claim: &InviteClaim) -> Result<(), ApiError> {
    if rooms.is_local(claim.sender()) {
        return Err(ApiError::not_found("There is no such room at this server"));
    }
    let request = to_raw_value(&claim.request(room))?;
    Ok(peers.exchange_third_party_invite(claim.sender().server_name(), room, &request).await?)
}
