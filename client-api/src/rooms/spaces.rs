//! Spaces as trees, and what may be told of one room.

use axum::extract::State;
use lyceum_push::Services;
use lyceum_rooms::{Asker, Membership, RoomError, Rooms, Walk};
use lyceum_web::{Answer, ApiError, Authed, MaybeAuthed, Ruma};
use ruma::api::client::{
    room::get_summary,
    space::{SpaceHierarchyRoomsChunk, get_hierarchy},
};

use super::{join::find, raws};
use crate::remote::Remote;

/// Rooms on one page of a hierarchy, unless fewer are asked for.
const PAGE_ROOMS_MAX: usize = 100;

/// `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`.
pub(crate) async fn get_hierarchy(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    Authed { session, body }: Authed<get_hierarchy::v1::Request>,
) -> Answer<get_hierarchy::v1::Response> {
    let limit = body.limit.map_or(PAGE_ROOMS_MAX, |limit| usize::try_from(u64::from(limit)).unwrap_or(PAGE_ROOMS_MAX));
    let mut walk = Walk {
        skip: 0,
        limit: limit.clamp(1, PAGE_ROOMS_MAX),
        depth_max: body.max_depth.map(Into::into),
        suggested_only: body.suggested_only,
    };
    if let Some(from) = &body.from {
        walk.skip = skipped(from, &walk)?;
    }
    let via = rooms.servers_outside(&session.user_id, &body.room_id).await?;
    let asker = Asker::Person(&session.user_id);
    let page = rooms.hierarchy(asker, (&body.room_id, &via), &walk, &remote).await?;
    let mut answer = get_hierarchy::v1::Response::new();
    answer.next_batch = page.next.map(|skip| format!("{}{skip}", token_of(&walk)));
    let chunk = |room: lyceum_rooms::SpaceRoom| SpaceHierarchyRoomsChunk::new(room.summary, raws(room.children));
    answer.rooms = page.rooms.into_iter().map(chunk).collect();
    Ok(Ruma(answer))
}

/// What the tokens of a walk begin with: how it was begun, which may not change between its pages.
fn token_of(walk: &Walk) -> String {
    let depth = walk.depth_max.map_or_else(String::new, |depth| depth.to_string());
    format!("h2_{depth}_{}_", u8::from(walk.suggested_only))
}

/// How many rooms were on the pages before this token (spec: 400 if "the `from` token is unknown to the server" or
/// "`suggested_only` or `max_depth` changed during pagination").
fn skipped(token: &str, walk: &Walk) -> Result<usize, ApiError> {
    let skip = token.strip_prefix(&token_of(walk)).and_then(|skip| skip.parse().ok());
    skip.ok_or_else(|| ApiError::invalid_param("The token was not made by this server, or for another depth or choice"))
}

/// `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}`.
pub(crate) async fn get_summary(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(services): State<Services>,
    MaybeAuthed { session, body }: MaybeAuthed<get_summary::v1::Request>,
) -> Answer<get_summary::v1::Response> {
    let (room, via) = find(&rooms, &remote, &services, body.room_id_or_alias, body.via).await?;
    let asker = session.as_ref().map_or(Asker::Anybody, |session| Asker::Person(&session.user_id));
    let (summary, membership) = match rooms.summary_for(asker, &room).await {
        Err(RoomError::UnknownRoom(_)) => {
            let membership = match &session {
                Some(session) => rooms.membership(&session.user_id, &room).await?.map(|row| row.membership),
                None => None,
            };
            (remote.summary(asker, &room, &via).await?, membership)
        }
        found => found?,
    };
    let mut answer = get_summary::v1::Response::new(summary);
    answer.membership = membership.map(Membership::into);
    Ok(Ruma(answer))
}
