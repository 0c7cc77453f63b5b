//! Bringing people into rooms, and giving them the room's powers.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_push::Services;
use lyceum_rooms::{Joining, Membership, Outcome, Rooms, Sender, Snapshot};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomOrAliasId, UserId,
    events::{StateEventType, room::power_levels::UserPowerLevel},
    int,
    room::JoinRule,
};
use serde::Deserialize;
use serde_json::json;

use super::administered;
use crate::{
    answers::{Raw, empty},
    remote::Remote,
    rooms::join::find,
};

#[derive(Deserialize)]
struct Whom {
    user_id: String,
}

/// `POST /_synapse/admin/v1/join/{roomIdOrAlias}`: brings somebody of this server into a room. Into one that is not open the
/// administrator must be able to invite.
pub(crate) async fn join(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(services): State<Services>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    request.session.check_admin()?;
    let Whom { user_id } = body::json(&request.body)?;
    let user = administered(&accounts, &request.session, &user_id).await?;
    let (room, via) = find(&rooms, &remote, &services, RoomOrAliasId::parse(&request.path.0)?, Vec::new()).await?;
    let snapshot = rooms.snapshot(&room).await;
    if let Ok(snapshot) = &snapshot
        && snapshot.facts().join_rule != JoinRule::Public
        && !snapshot.membership(user).is_in_or_invited()
    {
        rooms.invite(&request.session.user_id, &room, user, None).await?;
    }
    let joining = Joining { user, reason: None, is_guest: false, more: CanonicalJsonObject::new() };
    if rooms.join(&joining, &room).await? == Outcome::ByAnotherServer {
        remote.join(&joining, &room, &via).await?;
    }
    RawJson::of(&json!({ "room_id": room }))
}

#[derive(Default, Deserialize)]
struct MaybeWhom {
    user_id: Option<OwnedUserId>,
}

/// `POST /_synapse/admin/v1/rooms/{roomIdOrAlias}/make_room_admin`: by the hand of the most powerful local member.
pub(crate) async fn make_room_admin(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(services): State<Services>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    request.session.check_admin()?;
    let MaybeWhom { user_id } = if request.body.is_empty() { MaybeWhom::default() } else { body::json(&request.body)? };
    let target = user_id.unwrap_or_else(|| request.session.user_id.clone());
    let (room, _) = find(&rooms, &remote, &services, RoomOrAliasId::parse(&request.path.0)?, Vec::new()).await?;
    let snapshot = rooms.snapshot(&room).await?;
    let (giver, level) = most_powerful(&snapshot)
        .ok_or_else(|| ApiError::unknown("No member of this server may change the power levels of this room"))?;
    if !matches!(snapshot.power_levels().for_user(&target), UserPowerLevel::Infinite) {
        let kind = StateEventType::RoomPowerLevels;
        let mut content: CanonicalJsonObject =
            snapshot.kept(&kind).and_then(|event| event.content_as()).unwrap_or_default();
        let users = content.entry("users".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
        if let CanonicalJsonValue::Object(users) = users {
            users.insert(target.to_string(), CanonicalJsonValue::Integer(level));
        }
        rooms.set_state(Sender::of(&giver), &room, (kind, ""), content).await?;
    }
    let invited = snapshot.membership(&target).is_in_or_invited();
    if !invited && snapshot.facts().join_rule != JoinRule::Public && snapshot.membership(&target) != Membership::Ban {
        rooms.invite(&giver, &room, &target, None).await?;
    }
    empty()
}

/// The local member with the most power of those who may change the power levels, and what they can give.
fn most_powerful(snapshot: &Snapshot) -> Option<(OwnedUserId, ruma::Int)> {
    let levels = snapshot.power_levels();
    let able = snapshot.local_joined().filter(|user| levels.user_can_send_state(user, StateEventType::RoomPowerLevels));
    // A creator's power has no number: what changing power levels takes is enough.
    let given = |user: &UserId| match levels.for_user(user) {
        UserPowerLevel::Int(level) => (false, level),
        _ => (true, int!(100).max(levels.for_state(StateEventType::RoomPowerLevels))),
    };
    able.map(|user| (given(user), user.clone())).max().map(|((_, level), user)| (user, level))
}
