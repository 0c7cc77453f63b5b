//! `/account_data`, tags and filters: what clients keep on the server for a person.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_web::{ApiError, AuthedRaw, RawJson, Session, body};
use ruma::{OwnedRoomId, RoomId};
use serde_json::{Map, Value, json, value::RawValue};

use crate::answers::{Raw, check_own, empty, user_id};

/// `GET /_matrix/client/v3/user/{userId}/account_data/{type}`
pub(crate) async fn get_global_account_data(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (user, kind) = &request.path;
    get(&accounts, &request.session, user, None, kind).await
}

/// `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}`
pub(crate) async fn get_room_account_data(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String, String)>,
) -> Raw {
    let (user, room, kind) = &request.path;
    get(&accounts, &request.session, user, Some(&room_id(room)?), kind).await
}

async fn get(accounts: &Accounts, session: &Session, user: &str, room: Option<&RoomId>, kind: &str) -> Raw {
    let user = user_id(user)?;
    check_own(session, user)?;
    let content = accounts.account_data_shown(user, room, kind).await?;
    let content = content.ok_or_else(|| ApiError::not_found("There is no account data of this type"))?;
    Ok(RawJson(content.into()))
}

/// `PUT /_matrix/client/v3/user/{userId}/account_data/{type}`
pub(crate) async fn set_global_account_data(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (user, kind) = &request.path;
    set(&accounts, &request.session, user, None, kind, &request.body).await
}

/// `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}`
pub(crate) async fn set_room_account_data(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String, String)>,
) -> Raw {
    let (user, room, kind) = &request.path;
    set(&accounts, &request.session, user, Some(&room_id(room)?), kind, &request.body).await
}

async fn set(
    accounts: &Accounts,
    session: &Session,
    user: &str,
    room: Option<&RoomId>,
    kind: &str,
    content: &[u8],
) -> Raw {
    let user = user_id(user)?;
    check_own(session, user)?;
    let content: Box<RawValue> = serde_json::from_slice(content)?;
    accounts.set_account_data(user, room, kind, &content).await?;
    empty()
}

/// `DELETE …/unstable/org.matrix.msc3391/user/{userId}/account_data/{type}`
pub(crate) async fn delete_global_account_data(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (user, kind) = &request.path;
    delete(&accounts, &request.session, user, None, kind).await
}

/// `DELETE …/unstable/org.matrix.msc3391/user/{userId}/rooms/{roomId}/account_data/{type}`
pub(crate) async fn delete_room_account_data(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String, String)>,
) -> Raw {
    let (user, room, kind) = &request.path;
    delete(&accounts, &request.session, user, Some(&room_id(room)?), kind).await
}

async fn delete(accounts: &Accounts, session: &Session, user: &str, room: Option<&RoomId>, kind: &str) -> Raw {
    let user = user_id(user)?;
    check_own(session, user)?;
    accounts.delete_account_data(user, room, kind).await?;
    empty()
}

/// `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags`
pub(crate) async fn get_tags(State(accounts): State<Accounts>, request: AuthedRaw<(String, String)>) -> Raw {
    let (user, room) = (user_id(&request.path.0)?, room_id(&request.path.1)?);
    check_own(&request.session, user)?;
    RawJson::of(&json!({ "tags": accounts.tags(user, &room).await? }))
}

/// `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}`
pub(crate) async fn create_tag(State(accounts): State<Accounts>, request: AuthedRaw<(String, String, String)>) -> Raw {
    let (user, room) = (user_id(&request.path.0)?, room_id(&request.path.1)?);
    check_own(&request.session, user)?;
    let info: Map<String, Value> = body::json(&request.body)?;
    accounts.add_tag(user, &room, &request.path.2, info).await?;
    empty()
}

/// `DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}`
pub(crate) async fn delete_tag(State(accounts): State<Accounts>, request: AuthedRaw<(String, String, String)>) -> Raw {
    let (user, room) = (user_id(&request.path.0)?, room_id(&request.path.1)?);
    check_own(&request.session, user)?;
    accounts.remove_tag(user, &room, &request.path.2).await?;
    empty()
}

/// `POST /_matrix/client/v3/user/{userId}/filter`
pub(crate) async fn create_filter(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = user_id(&request.path.0)?;
    check_own(&request.session, user)?;
    // Only what could be applied later is stored.
    let filter: Box<RawValue> = body::json(&request.body)?;
    lyceum_sync::filter::SyncFilter::read(filter.get())?;
    RawJson::of(&json!({ "filter_id": accounts.create_filter(user, &filter).await? }))
}

/// `GET /_matrix/client/v3/user/{userId}/filter/{filterId}`
pub(crate) async fn get_filter(State(accounts): State<Accounts>, request: AuthedRaw<(String, String)>) -> Raw {
    let user = user_id(&request.path.0)?;
    check_own(&request.session, user)?;
    let filter = accounts.filter(user, &request.path.1).await?;
    Ok(RawJson(filter.ok_or_else(|| ApiError::not_found("There is no such filter"))?.into()))
}

fn room_id(text: &str) -> Result<OwnedRoomId, ApiError> {
    Ok(RoomId::parse(text)?)
}
