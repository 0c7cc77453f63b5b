//! Following threads (MSC4306), and reading which ones are followed (MSC4308).

use axum::extract::State;
use lyceum_rooms::Rooms;
use lyceum_storage::Position;
use lyceum_sync::{
    Sync,
    sliding::threads::{Stretch, ThreadSubscriptionsAnswer, limit},
};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::{OwnedEventId, OwnedRoomId, api::Direction};
use serde::Deserialize;
use serde_json::json;

use crate::answers::{Raw, empty};

/// Where one subscription is.
pub(crate) const SUBSCRIPTION: &str =
    "/_matrix/client/unstable/io.element.msc4306/rooms/{room_id}/thread/{thread_root}/subscription";
/// Where all of them are.
pub(crate) const SUBSCRIPTIONS: &str = "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions";

type OfThread = (OwnedRoomId, OwnedEventId);

/// `GET` [`SUBSCRIPTION`]
pub(crate) async fn get_thread_subscription(State(rooms): State<Rooms>, request: AuthedRaw<OfThread>) -> Raw {
    let (room, root) = &request.path;
    let automatic = rooms.thread_subscription(&request.session.user_id, room, root).await?;
    let automatic = automatic.ok_or_else(|| ApiError::not_found("You do not follow this thread"))?;
    RawJson::of(&json!({ "automatic": automatic }))
}

#[derive(Deserialize)]
struct Wish {
    /// The event in the thread because of which the client subscribes by itself.
    automatic: Option<OwnedEventId>,
}

/// `PUT` [`SUBSCRIPTION`]
pub(crate) async fn subscribe_thread(State(rooms): State<Rooms>, request: AuthedRaw<OfThread>) -> Raw {
    let (room, root) = &request.path;
    let Wish { automatic } = body::json(&request.body)?;
    rooms.subscribe_to_thread(&request.session.user_id, room, root, automatic.as_deref()).await?;
    empty()
}

/// `DELETE` [`SUBSCRIPTION`]
pub(crate) async fn unsubscribe_thread(State(rooms): State<Rooms>, request: AuthedRaw<OfThread>) -> Raw {
    let (room, root) = &request.path;
    rooms.unsubscribe_from_thread(&request.session.user_id, room, root).await?;
    empty()
}

/// Which page. `to` is not looked at: the token to go on from knows where its stretch begins.
#[derive(Deserialize)]
pub(crate) struct Page {
    dir: Direction,
    from: Option<String>,
    limit: Option<u64>,
}

/// `GET` [`SUBSCRIPTIONS`]
pub(crate) async fn get_thread_subscriptions_changes(
    State(rooms): State<Rooms>,
    State(sync): State<Sync>,
    request: AuthedRaw<(), Page>,
) -> Raw {
    let Page { dir, from, limit: asked } = request.query;
    if dir != Direction::Backward {
        return Err(ApiError::invalid_param("Subscriptions are read backward only"));
    }
    let Stretch { since, to } = match from {
        None => Stretch { since: Position(0), to: sync.token().position },
        Some(from) => from.parse().map_err(|error| ApiError::invalid_param(format!("{error}")))?,
    };
    let moved = rooms.thread_subscriptions_moved(&request.session.user_id, since, to, limit(asked)).await?;
    let ThreadSubscriptionsAnswer { subscribed, unsubscribed, prev_batch } =
        ThreadSubscriptionsAnswer::of(moved, since, true);
    let mut answer = json!({ "subscribed": subscribed, "unsubscribed": unsubscribed });
    if let Some(end) = prev_batch {
        answer["end"] = end.into();
    }
    RawJson::of(&answer)
}
