//! Files: whose they are, keeping them from everybody, taking them away.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_media::{Kept, Media, MediaError};
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use ruma::{OwnedMxcUri, OwnedRoomId, OwnedServerName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{administered, page};
use crate::answers::{Raw, empty};

type OfFile = (OwnedServerName, String);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    from: usize,
    limit: Option<usize>,
}

/// `GET /_synapse/admin/v1/users/{userId}/media`
pub(crate) async fn list(
    State(accounts): State<Accounts>,
    State(media): State<Media>,
    request: AuthedRaw<(String,), Query>,
) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let all = media.uploaded_by(user).await?;
    let total = all.len();
    let (shown, next) = page(all, request.query.from, request.query.limit);
    let mut answer = json!({ "media": shown.iter().map(told).collect::<Vec<_>>(), "total": total });
    if let Some(next) = next {
        answer["next_token"] = next.into();
    }
    RawJson::of(&answer)
}

/// `DELETE /_synapse/admin/v1/users/{userId}/media`
pub(crate) async fn delete_of_user(
    State(accounts): State<Accounts>,
    State(media): State<Media>,
    request: AuthedRaw<(String,), Query>,
) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let (chosen, _) = page(media.uploaded_by(user).await?, request.query.from, request.query.limit);
    let mut deleted = Vec::with_capacity(chosen.len());
    for one in chosen {
        if media.remove(media.server(), &one.id).await? {
            deleted.push(one.id);
        }
    }
    RawJson::of(&json!({ "total": deleted.len(), "deleted_media": deleted }))
}

/// `POST /_synapse/admin/v1/user/{userId}/media/quarantine`
pub(crate) async fn quarantine_of_user(
    State(accounts): State<Accounts>,
    State(media): State<Media>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let all = media.uploaded_by(user).await?;
    for one in &all {
        media.quarantine(media.server(), &one.id, &request.session.user_id).await?;
    }
    RawJson::of(&json!({ "num_quarantined": all.len() }))
}

/// `GET /_synapse/admin/v1/room/{roomId}/media`
pub(crate) async fn of_room(State(rooms): State<Rooms>, request: AuthedRaw<(OwnedRoomId,)>) -> Raw {
    request.session.check_admin()?;
    let files = rooms.files_in(&request.path.0).await?;
    let own = |file: &OwnedMxcUri| file.server_name().is_ok_and(|server| server == rooms.server());
    let (local, remote): (Vec<_>, Vec<_>) = files.into_iter().partition(own);
    RawJson::of(&json!({ "local": local, "remote": remote }))
}

/// `POST /_synapse/admin/v1/room/{roomId}/media/quarantine`
pub(crate) async fn quarantine_of_room(
    State(rooms): State<Rooms>,
    State(media): State<Media>,
    request: AuthedRaw<(OwnedRoomId,)>,
) -> Raw {
    request.session.check_admin()?;
    let mut quarantined = 0;
    for file in rooms.files_in(&request.path.0).await? {
        let Ok((server, id)) = file.parts() else { continue };
        match media.quarantine(server, id, &request.session.user_id).await {
            Ok(()) => quarantined += 1,
            // Somebody named a file that is not there, or is gone.
            Err(MediaError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    RawJson::of(&json!({ "num_quarantined": quarantined }))
}

/// `GET /_synapse/admin/v1/media/{serverName}/{mediaId}`
pub(crate) async fn get(State(media): State<Media>, request: AuthedRaw<OfFile>) -> Raw {
    request.session.check_admin()?;
    let (server, id) = &request.path;
    let kept = media.kept(server, id).await?.ok_or_else(|| ApiError::not_found("There are no such media"))?;
    let mut info = told(&kept);
    info["media_origin"] = kept.server.into();
    info["user_id"] = kept.owner.into();
    RawJson::of(&json!({ "media_info": info }))
}

/// `DELETE /_synapse/admin/v1/media/{serverName}/{mediaId}`
pub(crate) async fn delete(State(media): State<Media>, request: AuthedRaw<OfFile>) -> Raw {
    request.session.check_admin()?;
    let (server, id) = &request.path;
    if !media.is_own(server) {
        return Err(ApiError::unknown("Only media of this server can be deleted"));
    }
    match media.remove(server, id).await? {
        true => RawJson::of(&json!({ "deleted_media": [id], "total": 1 })),
        false => Err(ApiError::not_found("There are no such media")),
    }
}

/// `POST /_synapse/admin/v1/media/quarantine/{serverName}/{mediaId}`
pub(crate) async fn quarantine(State(media): State<Media>, request: AuthedRaw<OfFile>) -> Raw {
    request.session.check_admin()?;
    media.quarantine(&request.path.0, &request.path.1, &request.session.user_id).await?;
    empty()
}

/// `POST /_synapse/admin/v1/media/unquarantine/{serverName}/{mediaId}`
pub(crate) async fn release(State(media): State<Media>, request: AuthedRaw<OfFile>) -> Raw {
    request.session.check_admin()?;
    media.release(&request.path.0, &request.path.1).await?;
    empty()
}

#[derive(Debug, Deserialize)]
pub(crate) struct Old {
    before_ts: u64,
    #[serde(default)]
    size_gt: u64,
}

/// `POST /_synapse/admin/v1/media/delete`
pub(crate) async fn delete_old(State(media): State<Media>, request: AuthedRaw<(), Old>) -> Raw {
    request.session.check_admin()?;
    let deleted = media.remove_own(request.query.before_ts, request.query.size_gt).await?;
    RawJson::of(&json!({ "total": deleted.len(), "deleted_media": deleted }))
}

/// `POST /_synapse/admin/v1/purge_media_cache`
pub(crate) async fn purge_fetched(State(media): State<Media>, request: AuthedRaw<(), Old>) -> Raw {
    request.session.check_admin()?;
    let deleted = media.remove_fetched(request.query.before_ts).await?;
    RawJson::of(&json!({ "deleted": deleted.len() }))
}

fn told(kept: &Kept) -> Value {
    json!({
        "media_id": kept.id,
        "media_type": kept.content_type,
        "media_length": kept.bytes,
        "upload_name": kept.filename,
        "created_ts": kept.created_ms,
        // Nobody writes down who looks at what.
        "last_access_ts": null,
        "quarantined_by": kept.quarantined_by,
        "safe_from_quarantine": false,
    })
}
