//! Forgetting what was said in a room up to a moment, as Synapse's tools ask for it.

use axum::extract::State;
use lyceum_institution::Institution;
use lyceum_rooms::{Rooms, Whose};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use lyceum_workers::{
    deletions,
    past_purges::{Past, PastPurges},
};
use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId};
use serde::Deserialize;
use serde_json::json;

use super::audit;
use crate::answers::Raw;

#[derive(Deserialize)]
struct Wish {
    purge_up_to_event_id: Option<OwnedEventId>,
    purge_up_to_ts: Option<MilliSecondsSinceUnixEpoch>,
    #[serde(default)]
    delete_local_events: bool,
}

/// `POST /_synapse/admin/v1/purge_history/{roomId}`
pub(crate) async fn purge(
    State(rooms): State<Rooms>,
    State(purges): State<PastPurges>,
    State(institution): State<Institution>,
    request: AuthedRaw<(OwnedRoomId,)>,
) -> Raw {
    request.session.check_admin()?;
    let wish = body::json::<Wish>(&request.body)?;
    begin((&rooms, &purges, &institution), &request, &request.path.0, wish).await
}

/// `POST /_synapse/admin/v1/purge_history/{roomId}/{eventId}`
pub(crate) async fn purge_before_event(
    State(rooms): State<Rooms>,
    State(purges): State<PastPurges>,
    State(institution): State<Institution>,
    request: AuthedRaw<(OwnedRoomId, OwnedEventId)>,
) -> Raw {
    request.session.check_admin()?;
    let wish = match request.body.is_empty() {
        true => Wish { purge_up_to_event_id: None, purge_up_to_ts: None, delete_local_events: false },
        false => body::json::<Wish>(&request.body)?,
    };
    let wish = Wish { purge_up_to_event_id: Some(request.path.1.clone()), ..wish };
    begin((&rooms, &purges, &institution), &request, &request.path.0, wish).await
}

async fn begin<P>(
    (rooms, purges, institution): (&Rooms, &PastPurges, &Institution),
    request: &AuthedRaw<P>,
    room: &RoomId,
    wish: Wish,
) -> Raw {
    rooms.snapshot(room).await?;
    let up_to = match (&wish.purge_up_to_event_id, wish.purge_up_to_ts) {
        (Some(event), _) => rooms.past_before_event(room, event).await?,
        (None, Some(ts)) => rooms.past_before_time(room, ts).await?,
        (None, None) => {
            return Err(ApiError::bad_json("purge_up_to_event_id or purge_up_to_ts has to say up to where"));
        }
    };
    audit(institution, &request.session, "room.purge_history", room.as_str()).await?;
    let whose = if wish.delete_local_events { Whose::Everybodys } else { Whose::Others };
    let id = purges.begin(Past { room: room.to_owned(), up_to, whose }).await?;
    RawJson::of(&json!({ "purge_id": id.to_string() }))
}

/// `GET /_synapse/admin/v1/purge_history_status/{purgeId}`
pub(crate) async fn status(State(purges): State<PastPurges>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    let job = match request.path.0.parse().ok() {
        Some(id) => purges.progress(id).await?,
        None => None,
    };
    let job = job.ok_or_else(|| ApiError::not_found("There is no such purge"))?;
    let status = match job.state {
        deletions::State::Scheduled | deletions::State::Active => "active",
        deletions::State::Complete => "complete",
        deletions::State::Failed => "failed",
    };
    let mut told = json!({ "status": status });
    if let Some(error) = job.error {
        told["error"] = error.into();
    }
    RawJson::of(&told)
}
