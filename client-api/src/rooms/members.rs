//! Who is in which room.

use axum::extract::State;
use lyceum_events::Clock;
use lyceum_rooms::{Membership, Rooms, TimelineToken};
use lyceum_web::{Answer, ApiError, Authed, Ruma};
use ruma::{
    OwnedUserId, UInt,
    api::client::membership::{get_member_events, get_mutual_rooms, joined_members, joined_rooms},
    events::room::member::MembershipState,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

use super::{looker, raws};

/// `GET /_matrix/client/v3/rooms/{roomId}/members`.
pub(crate) async fn get_member_events(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<get_member_events::v3::Request>,
) -> Answer<get_member_events::v3::Response> {
    let at = body.at.as_deref().map(str::parse::<TimelineToken>).transpose()?.map(|token| token.0);
    let (only, not) = (membership(body.membership)?, membership(body.not_membership)?);
    let wanted = |one: Membership| only.is_none_or(|only| one == only) && not != Some(one);
    let members = rooms.members_for(&session.user_id, &body.room_id, at, wanted).await?;
    let forms = rooms.present_state(looker(&session, &*clock), &members).await?;
    Ok(Ruma(get_member_events::v3::Response::new(raws(forms))))
}

fn membership(asked: Option<MembershipState>) -> Result<Option<Membership>, ApiError> {
    let named = |asked: MembershipState| {
        Membership::named(asked.as_str()).ok_or_else(|| ApiError::invalid_param("There is no such membership"))
    };
    asked.map(named).transpose()
}

/// `GET /_matrix/client/v3/rooms/{roomId}/joined_members`.
pub(crate) async fn joined_members(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<joined_members::v3::Request>,
) -> Answer<joined_members::v3::Response> {
    let members = rooms.joined_members_for(&session.user_id, &body.room_id).await?;
    let member = |content: Map<String, Value>| {
        let text = |name: &str| content.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let mut member = joined_members::v3::RoomMember::new();
        member.display_name = text("displayname");
        member.avatar_url = text("avatar_url").map(Into::into);
        member
    };
    let joined: BTreeMap<OwnedUserId, _> = members
        .iter()
        .filter_map(|known| {
            let user = OwnedUserId::try_from(known.event().state_key()?).ok()?;
            Some((user, member(known.event().content_as().unwrap_or_default())))
        })
        .collect();
    Ok(Ruma(joined_members::v3::Response::new(joined)))
}

/// `GET /_matrix/client/v3/joined_rooms`.
pub(crate) async fn joined_rooms(
    State(rooms): State<Rooms>,
    Authed { session, .. }: Authed<joined_rooms::v3::Request>,
) -> Answer<joined_rooms::v3::Response> {
    Ok(Ruma(joined_rooms::v3::Response::new(rooms.joined_rooms(&session.user_id).await?)))
}

/// `GET /_matrix/client/v1/mutual_rooms`.
pub(crate) async fn get_mutual_rooms(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<get_mutual_rooms::v1::Request>,
) -> Answer<get_mutual_rooms::v1::Response> {
    let joined = rooms.mutual_rooms(&session.user_id, &body.user_id).await?;
    let count = UInt::new_saturating(joined.len() as u64);
    Ok(Ruma(get_mutual_rooms::v1::Response::new(count, joined)))
}

/// `GET /_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms`.
pub(crate) async fn get_mutual_rooms_unstable(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<get_mutual_rooms::unstable::Request>,
) -> Answer<get_mutual_rooms::unstable::Response> {
    let joined = rooms.mutual_rooms(&session.user_id, &body.user_id).await?;
    Ok(Ruma(get_mutual_rooms::unstable::Response::new(joined)))
}
