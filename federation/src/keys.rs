//! Devices and keys of this server's people
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption)).

use axum::extract::State;
use lyceum_accounts::{Accounts, QueriedKeys, UserDevices};
use lyceum_web::{ApiError, FromServer, FromServerRaw, RawJson, body};
use ruma::{OwnedDeviceId, OwnedUserId, api::federation::device::get_devices};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `GET …/user/devices/{userId}`.
pub(crate) async fn get_devices(
    State(accounts): State<Accounts>,
    FromServer { body, .. }: FromServer<get_devices::v1::Request>,
) -> Result<RawJson, ApiError> {
    let user = body.user_id;
    if !accounts.is_local(&user) {
        return Err(ApiError::not_found("This server knows the devices of its own people only"));
    }
    let UserDevices { stream_id, devices, master_key, self_signing_key } = accounts.user_devices(&user).await?;
    let devices: Vec<_> = devices.into_iter().map(device).collect();
    let mut answer = Map::new();
    answer.insert("user_id".to_owned(), user.as_str().into());
    answer.insert("stream_id".to_owned(), stream_id.into());
    answer.insert("devices".to_owned(), devices.into());
    for (name, key) in [("master_key", master_key), ("self_signing_key", self_signing_key)] {
        answer.extend(key.map(|key| (name.to_owned(), Value::Object(key))));
    }
    RawJson::of(&answer)
}

/// A device: its id, its keys where there are any, its name.
fn device((id, keys, name): (String, Option<Map<String, Value>>, Option<String>)) -> Value {
    let mut device = json!({ "device_id": id });
    if let Some(keys) = keys {
        device["keys"] = keys.into();
    }
    if let Some(name) = name {
        device["device_display_name"] = name.into();
    }
    device
}

#[derive(Deserialize)]
struct Query {
    device_keys: BTreeMap<OwnedUserId, Vec<OwnedDeviceId>>,
}

/// `POST …/user/keys/query`.
pub(crate) async fn get_keys(
    State(accounts): State<Accounts>,
    request: FromServerRaw<()>,
) -> Result<RawJson, ApiError> {
    let Query { device_keys } = body::json(&request.body)?;
    let mut found = QueriedKeys::default();
    for (user, devices) in device_keys.iter().filter(|(user, _)| accounts.is_local(user)) {
        accounts.query_keys(None, user, devices, &mut found).await?;
    }
    RawJson::of(&json!({
        "device_keys": found.device_keys,
        "master_keys": found.master_keys,
        "self_signing_keys": found.self_signing_keys,
    }))
}

#[derive(Deserialize)]
struct Claims {
    one_time_keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>,
}

/// `POST …/user/keys/claim`.
pub(crate) async fn claim_keys(
    State(accounts): State<Accounts>,
    request: FromServerRaw<()>,
) -> Result<RawJson, ApiError> {
    let Claims { mut one_time_keys } = body::json(&request.body)?;
    one_time_keys.retain(|user, _| accounts.is_local(user));
    let claimed = accounts.claim_keys(&one_time_keys).await?;
    let of_device = |(device, (name, key))| (device, BTreeMap::from([(name, key)]));
    let keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, BTreeMap<String, Value>>> =
        claimed.into_iter().map(|(user, devices)| (user, devices.into_iter().map(of_device).collect())).collect();
    RawJson::of(&json!({ "one_time_keys": keys }))
}
