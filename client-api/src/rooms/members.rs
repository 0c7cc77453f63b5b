//! Who is in which room.

use axum::extract::State;
use lyceum_events::Clock;
use lyceum_rooms::{Membership, Rooms, TimelineToken};
use lyceum_web::{Answer, ApiError, Authed, AuthedRaw, RawJson, Ruma};
use ruma::{
    OwnedRoomId, UInt,
    api::client::membership::{get_member_events, get_mutual_rooms, joined_rooms},
    events::room::member::MembershipState,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

use super::{looker, raws};
use crate::answers::Raw;

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

/// `GET /_matrix/client/v3/rooms/{roomId}/joined_members`. Answers `null` for what a member does not show, as other servers
/// do and ruma's type would not.
pub(crate) async fn joined_members(State(rooms): State<Rooms>, request: AuthedRaw<(OwnedRoomId,)>) -> Raw {
    #[derive(Serialize)]
    struct Member {
        display_name: Option<String>,
        avatar_url: Option<String>,
    }
    let members = rooms.joined_members_for(&request.session.user_id, &request.path.0).await?;
    let member = |mut content: Map<String, Value>| {
        let mut text = |name: &str| match content.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Member { display_name: text("displayname"), avatar_url: text("avatar_url") }
    };
    let joined: BTreeMap<&str, _> = members
        .iter()
        .filter_map(|known| Some((known.event().state_key()?, member(known.event().content_as().unwrap_or_default()))))
        .collect();
    RawJson::of(&json!({ "joined": joined }))
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
