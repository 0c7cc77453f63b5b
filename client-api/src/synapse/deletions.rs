//! Taking rooms away, and keeping people out of them.

use axum::extract::State;
use lyceum_institution::Institution;
use lyceum_rooms::{RoomError, Rooms};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use lyceum_workers::deletions::{self, Deletion, Deletions, Purge, Wanted};
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit;
use crate::answers::Raw;

/// What the new room is called, and what is said in it, unless administrators say otherwise.
const NEW_ROOM_NAME: &str = "Content Violation Notification";
const MESSAGE: &str = "Sharing illegal content on this server is not permitted and rooms in violation will be blocked.";

#[derive(Deserialize)]
struct Wish {
    new_room_user_id: Option<OwnedUserId>,
    room_name: Option<String>,
    message: Option<String>,
    #[serde(default)]
    block: bool,
    #[serde(default = "yes")]
    purge: bool,
    #[serde(default)]
    force_purge: bool,
}

fn yes() -> bool {
    true
}

impl Wish {
    fn purge(&self) -> Purge {
        match (self.purge, self.force_purge) {
            (false, _) => Purge::Nothing,
            (true, false) => Purge::WhenEmpty,
            (true, true) => Purge::Always,
        }
    }
}

type OfRoom = AuthedRaw<(String,)>;

/// `DELETE /_synapse/admin/v1/rooms/{roomId}`: answers once the room is gone.
pub(crate) async fn delete(
    State(deletions): State<Deletions>,
    State(rooms): State<Rooms>,
    State(institution): State<Institution>,
    request: OfRoom,
) -> Raw {
    let id = begin((&deletions, &rooms, &institution), &request).await?;
    let done = deletions.wait(id).await?.ok_or_else(|| ApiError::unknown("The deletion is not known any more"))?;
    match &done.error {
        Some(error) => Err(ApiError::unknown(error.clone())),
        None => RawJson::of(&shut_down(&done)),
    }
}

/// `DELETE /_synapse/admin/v2/rooms/{roomId}`: answers at once.
pub(crate) async fn delete_in_background(
    State(deletions): State<Deletions>,
    State(rooms): State<Rooms>,
    State(institution): State<Institution>,
    request: OfRoom,
) -> Raw {
    let id = begin((&deletions, &rooms, &institution), &request).await?;
    RawJson::of(&json!({ "delete_id": id.to_string() }))
}

async fn begin(
    (deletions, rooms, institution): (&Deletions, &Rooms, &Institution),
    request: &OfRoom,
) -> Result<u64, ApiError> {
    request.session.check_admin()?;
    let (room, wish) = (RoomId::parse(&request.path.0)?, body::json::<Wish>(&request.body)?);
    if let (false, Err(RoomError::UnknownRoom(_))) = (wish.block, rooms.snapshot(&room).await) {
        return Err(ApiError::invalid_param("There is no such room here"));
    }
    audit(institution, &request.session, "room.delete", room.as_str()).await?;
    let purge = wish.purge();
    let wanted = Wanted {
        room,
        by: request.session.user_id.clone(),
        new_room_by: wish.new_room_user_id,
        new_room_name: wish.room_name.unwrap_or_else(|| NEW_ROOM_NAME.to_owned()),
        message: wish.message.unwrap_or_else(|| MESSAGE.to_owned()),
        block: wish.block,
        purge,
    };
    Ok(deletions.begin(wanted).await?)
}

/// `GET /_synapse/admin/v2/rooms/{roomId}/delete_status`
pub(crate) async fn status_of_room(State(deletions): State<Deletions>, request: OfRoom) -> Raw {
    request.session.check_admin()?;
    let jobs = deletions.of_room(&RoomId::parse(&request.path.0)?).await?;
    if jobs.is_empty() {
        return Err(ApiError::not_found("The room is not being deleted"));
    }
    RawJson::of(&json!({ "results": jobs.iter().map(|(id, job)| told(*id, job)).collect::<Vec<_>>() }))
}

/// `GET /_synapse/admin/v2/rooms/delete_status/{deleteId}`
pub(crate) async fn status(State(deletions): State<Deletions>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    let id = request.path.0.parse().ok();
    let job = match id {
        Some(id) => deletions.progress(id).await?.map(|job| (id, job)),
        None => None,
    };
    let (id, job) = job.ok_or_else(|| ApiError::not_found("There is no such deletion"))?;
    RawJson::of(&told(id, &job))
}

fn told(id: u64, job: &Deletion) -> Value {
    let status = match job.state {
        deletions::State::Scheduled => "scheduled",
        deletions::State::Active => "active",
        deletions::State::Complete => "complete",
        deletions::State::Failed => "failed",
    };
    let mut told = json!({
        "delete_id": id.to_string(),
        "room_id": job.room_id,
        "status": status,
        "shutdown_room": shut_down(job),
    });
    if let Some(error) = &job.error {
        told["error"] = error.as_str().into();
    }
    told
}

fn shut_down(job: &Deletion) -> Value {
    json!({
        "kicked_users": job.left,
        "failed_to_kick_users": job.stayed,
        "local_aliases": job.aliases,
        "new_room_id": job.new_room,
    })
}

#[derive(Deserialize)]
struct Block {
    block: bool,
}

/// `PUT /_synapse/admin/v1/rooms/{roomId}/block`
pub(crate) async fn set_block(
    State(rooms): State<Rooms>,
    State(institution): State<Institution>,
    request: AuthedRaw<(OwnedRoomId,)>,
) -> Raw {
    request.session.check_admin()?;
    let (room, Block { block }) = (&request.path.0, body::json(&request.body)?);
    let act = if block { "room.block" } else { "room.unblock" };
    audit(&institution, &request.session, act, room.as_str()).await?;
    match block {
        true => rooms.block(room, &request.session.user_id).await?,
        false => rooms.unblock(room).await?,
    }
    RawJson::of(&json!({ "block": block }))
}

/// `GET /_synapse/admin/v1/rooms/{roomId}/block`
pub(crate) async fn block(State(rooms): State<Rooms>, request: AuthedRaw<(OwnedRoomId,)>) -> Raw {
    request.session.check_admin()?;
    match rooms.blocked_by(&request.path.0).await? {
        Some(by) => RawJson::of(&json!({ "block": true, "user_id": by })),
        None => RawJson::of(&json!({ "block": false })),
    }
}
