//! `/room_keys`: a person's encrypted room keys, kept for their next device.

use axum::extract::State;
use lyceum_accounts::{Accounts, Backup, BackupKey, BackupKeys, BackupScope};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::collections::BTreeMap;

use crate::answers::{Raw, empty};

#[derive(Deserialize)]
pub(crate) struct Algorithm {
    algorithm: Option<String>,
    auth_data: Option<Box<RawValue>>,
    version: Option<String>,
}

impl Algorithm {
    fn parts(self) -> Result<(String, String), ApiError> {
        let algorithm = self.algorithm.ok_or_else(|| ApiError::missing_param("algorithm is required"))?;
        let auth_data = self.auth_data.ok_or_else(|| ApiError::missing_param("auth_data is required"))?;
        // The specification has an object; what is in it is the client's, and some write a text.
        if !auth_data.get().starts_with(['{', '"']) {
            return Err(ApiError::bad_json("auth_data must be an object"));
        }
        Ok((algorithm, auth_data.get().to_owned()))
    }
}

/// Which backup.
#[derive(Deserialize)]
pub(crate) struct Version {
    version: Option<String>,
}

impl Version {
    fn named(&self) -> Result<&str, ApiError> {
        self.version.as_deref().ok_or_else(|| ApiError::missing_param("version is required"))
    }
}

fn info(backup: &Backup) -> Raw {
    let auth_data: Box<RawValue> =
        serde_json::from_str(&backup.auth_data).map_err(|error| ApiError::internal(&error))?;
    RawJson::of(&json!({
        "algorithm": backup.algorithm, "auth_data": auth_data, "count": backup.count,
        "etag": backup.etag.to_string(), "version": backup.version.to_string(),
    }))
}

fn counted(backup: &Backup) -> Raw {
    RawJson::of(&json!({ "count": backup.count, "etag": backup.etag.to_string() }))
}

/// `POST /_matrix/client/v3/room_keys/version`
pub(crate) async fn create_backup_version(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let (algorithm, auth_data) = body::json::<Algorithm>(&request.body)?.parts()?;
    let version = accounts.create_backup(&request.session.user_id, algorithm, auth_data).await?;
    RawJson::of(&json!({ "version": version.to_string() }))
}

/// `GET /_matrix/client/v3/room_keys/version`
pub(crate) async fn get_latest_backup_info(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    info(&accounts.current_backup(&request.session.user_id).await?)
}

/// `GET /_matrix/client/v3/room_keys/version/{version}`
pub(crate) async fn get_backup_info(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    info(&accounts.backup(&request.session.user_id, &request.path.0).await?)
}

/// `PUT /_matrix/client/v3/room_keys/version/{version}`
pub(crate) async fn update_backup_version(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let body: Algorithm = body::json(&request.body)?;
    if body.version.as_ref().is_some_and(|version| *version != request.path.0) {
        return Err(ApiError::invalid_param("version does not match the path"));
    }
    let (algorithm, auth_data) = body.parts()?;
    accounts.update_backup(&request.session.user_id, &request.path.0, &algorithm, auth_data).await?;
    empty()
}

/// `DELETE /_matrix/client/v3/room_keys/version/{version}`
pub(crate) async fn delete_backup_version(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    accounts.delete_backup(&request.session.user_id, &request.path.0).await?;
    empty()
}

/// The sessions of a room.
#[derive(Deserialize)]
pub(crate) struct Sessions {
    sessions: Option<BTreeMap<String, BackupKey>>,
}

#[derive(Deserialize)]
pub(crate) struct RoomKeys {
    rooms: Option<BTreeMap<String, Sessions>>,
}

async fn put<P>(accounts: &Accounts, request: &AuthedRaw<P, Version>, keys: BackupKeys) -> Raw {
    counted(&accounts.put_backup_keys(&request.session.user_id, request.query.named()?, keys).await?)
}

/// `PUT /_matrix/client/v3/room_keys/keys`
pub(crate) async fn add_backup_keys(State(accounts): State<Accounts>, request: AuthedRaw<(), Version>) -> Raw {
    let RoomKeys { rooms } = body::json(&request.body)?;
    let rooms = rooms.ok_or_else(|| ApiError::missing_param("rooms is required"))?;
    let keys = rooms.into_iter().map(|(room, sessions)| (room, sessions.sessions.unwrap_or_default())).collect();
    put(&accounts, &request, keys).await
}

/// `PUT /_matrix/client/v3/room_keys/keys/{roomId}`
pub(crate) async fn add_backup_keys_for_room(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String,), Version>,
) -> Raw {
    let Sessions { sessions } = body::json(&request.body)?;
    let sessions = sessions.ok_or_else(|| ApiError::missing_param("sessions is required"))?;
    put(&accounts, &request, BTreeMap::from([(request.path.0.clone(), sessions)])).await
}

/// `PUT /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
pub(crate) async fn add_backup_keys_for_session(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String), Version>,
) -> Raw {
    let key: BackupKey = body::json(&request.body)?;
    let (room, session) = request.path.clone();
    put(&accounts, &request, BTreeMap::from([(room, BTreeMap::from([(session, key)]))])).await
}

/// `GET /_matrix/client/v3/room_keys/keys`
pub(crate) async fn get_backup_keys(State(accounts): State<Accounts>, request: AuthedRaw<(), Version>) -> Raw {
    let keys = accounts.backup_keys(&request.session.user_id, request.query.named()?, BackupScope::All).await?;
    let rooms: BTreeMap<_, _> =
        keys.into_iter().map(|(room, sessions)| (room, json!({ "sessions": sessions }))).collect();
    RawJson::of(&json!({ "rooms": rooms }))
}

/// `GET /_matrix/client/v3/room_keys/keys/{roomId}`
pub(crate) async fn get_backup_keys_for_room(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String,), Version>,
) -> Raw {
    let scope = BackupScope::Room(&request.path.0);
    let mut keys = accounts.backup_keys(&request.session.user_id, request.query.named()?, scope).await?;
    RawJson::of(&json!({ "sessions": keys.remove(&request.path.0).unwrap_or_default() }))
}

/// `GET /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
pub(crate) async fn get_backup_keys_for_session(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String), Version>,
) -> Raw {
    let (room, session) = &request.path;
    let scope = BackupScope::Session(room, session);
    let mut keys = accounts.backup_keys(&request.session.user_id, request.query.named()?, scope).await?;
    let key = keys.get_mut(room).and_then(|sessions| sessions.remove(session));
    RawJson::of(&key.ok_or_else(|| ApiError::not_found("The backup has no such key"))?)
}

async fn delete<P>(accounts: &Accounts, request: &AuthedRaw<P, Version>, scope: BackupScope<'_>) -> Raw {
    counted(&accounts.delete_backup_keys(&request.session.user_id, request.query.named()?, scope).await?)
}

/// `DELETE /_matrix/client/v3/room_keys/keys`
pub(crate) async fn delete_backup_keys(State(accounts): State<Accounts>, request: AuthedRaw<(), Version>) -> Raw {
    delete(&accounts, &request, BackupScope::All).await
}

/// `DELETE /_matrix/client/v3/room_keys/keys/{roomId}`
pub(crate) async fn delete_backup_keys_for_room(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String,), Version>,
) -> Raw {
    delete(&accounts, &request, BackupScope::Room(&request.path.0)).await
}

/// `DELETE /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
pub(crate) async fn delete_backup_keys_for_session(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String), Version>,
) -> Raw {
    delete(&accounts, &request, BackupScope::Session(&request.path.0, &request.path.1)).await
}
