//! The devices of an account.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use lyceum_accounts::{Accounts, Device};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::administered;
use crate::answers::{Raw, empty};

/// `GET /_synapse/admin/v2/users/{userId}/devices`
pub(crate) async fn list(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let devices = accounts.devices(user).await?;
    let told: Vec<_> = devices.iter().map(|device| told(user, device)).collect();
    RawJson::of(&json!({ "devices": told, "total": told.len() }))
}

#[derive(Deserialize)]
struct NewDevice {
    device_id: OwnedDeviceId,
}

/// `POST /_synapse/admin/v2/users/{userId}/devices`
pub(crate) async fn create(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String,)>,
) -> Result<Response, ApiError> {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let NewDevice { device_id } = body::json(&request.body)?;
    if accounts.device(user, &device_id).await.is_err() {
        accounts.create_device(user, &device_id, None).await?;
    }
    Ok((StatusCode::CREATED, empty()?).into_response())
}

/// `GET /_synapse/admin/v2/users/{userId}/devices/{deviceId}`
pub(crate) async fn get(State(accounts): State<Accounts>, request: AuthedRaw<(String, String)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    RawJson::of(&told(user, &accounts.device(user, &device(&request.path.1)).await?))
}

#[derive(Deserialize)]
struct Named {
    display_name: Option<String>,
}

/// `PUT /_synapse/admin/v2/users/{userId}/devices/{deviceId}`
pub(crate) async fn rename(State(accounts): State<Accounts>, request: AuthedRaw<(String, String)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let Named { display_name } = body::json(&request.body)?;
    accounts.rename_device(user, &device(&request.path.1), display_name).await?;
    empty()
}

/// `DELETE /_synapse/admin/v2/users/{userId}/devices/{deviceId}`
pub(crate) async fn delete(State(accounts): State<Accounts>, request: AuthedRaw<(String, String)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    accounts.remove_devices(user, &[device(&request.path.1)]).await?;
    empty()
}

#[derive(Deserialize)]
struct Several {
    devices: Vec<OwnedDeviceId>,
}

/// `POST /_synapse/admin/v2/users/{userId}/delete_devices`
pub(crate) async fn delete_several(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let Several { devices } = body::json(&request.body)?;
    accounts.remove_devices(user, &devices).await?;
    empty()
}

fn device(text: &str) -> OwnedDeviceId {
    <&DeviceId>::from(text).to_owned()
}

fn told(user: &UserId, device: &Device) -> Value {
    json!({
        "device_id": device.id,
        "display_name": device.display_name,
        "last_seen_ip": device.last_seen_ip,
        "last_seen_ts": device.last_seen_ms,
        "last_seen_user_agent": device.user_agent,
        "user_id": user,
    })
}
