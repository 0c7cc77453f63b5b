//! `/devices`: seeing, naming and removing one's devices.

use axum::extract::State;
use lyceum_accounts::{Accounts, Device, InteractiveAuth, SessionKind};
use lyceum_web::{Authed, AuthedRaw, RawJson, body};
use ruma::{
    OwnedDeviceId,
    api::client::device::{get_device, get_devices},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers::{Raw, empty};

/// Devices removed in one request.
const DELETED_MAX: usize = 1000;

/// A device as its owner is shown it. The fields of the specification are there even when nothing is known (matrix-nio refuses
/// a list without them).
fn device_json(device: &Device) -> Value {
    let mut json = json!({
        "device_id": device.id,
        "display_name": device.display_name,
        "last_seen_ip": device.last_seen_ip,
        "last_seen_ts": device.last_seen_ms,
    });
    if let Some(user_agent) = &device.user_agent {
        json["last_seen_user_agent"] = user_agent.as_str().into();
    }
    json
}

/// `GET /_matrix/client/v3/devices`
pub(crate) async fn get_devices(State(accounts): State<Accounts>, request: Authed<get_devices::v3::Request>) -> Raw {
    let devices = accounts.devices(&request.session.user_id).await?;
    let devices: Vec<_> = devices.iter().map(device_json).collect();
    RawJson::of(&json!({ "devices": devices }))
}

/// `GET /_matrix/client/v3/devices/{deviceId}`
pub(crate) async fn get_device(State(accounts): State<Accounts>, request: Authed<get_device::v3::Request>) -> Raw {
    let device = accounts.device(&request.session.user_id, &request.body.device_id).await?;
    RawJson::of(&device_json(&device))
}

#[derive(Deserialize)]
pub(crate) struct Update {
    display_name: Option<String>,
}

/// `PUT /_matrix/client/v3/devices/{deviceId}`. For an application service this also makes the device (MSC4190).
pub(crate) async fn update_device(State(accounts): State<Accounts>, request: AuthedRaw<(OwnedDeviceId,)>) -> Raw {
    let Update { display_name } = body::json(&request.body)?;
    let (user, device) = (&request.session.user_id, &request.path.0);
    let is_service = matches!(request.session.kind, SessionKind::Appservice(_));
    if is_service && !accounts.device_ids(user).await?.contains(device) {
        accounts.create_device(user, device, display_name).await?;
    } else {
        accounts.rename_device(user, device, display_name).await?;
    }
    empty()
}

#[derive(Deserialize)]
pub(crate) struct Confirmation {
    auth: Option<InteractiveAuth>,
}

/// `DELETE /_matrix/client/v3/devices/{deviceId}`
pub(crate) async fn delete_device(State(accounts): State<Accounts>, request: AuthedRaw<(OwnedDeviceId,)>) -> Raw {
    let Confirmation { auth } = body::json(&request.body)?;
    let act = format!("DELETE /devices/{}", request.path.0);
    remove(&accounts, &request.session, &act, std::slice::from_ref(&request.path.0), auth.as_ref()).await
}

#[derive(Deserialize)]
pub(crate) struct DeleteMany {
    auth: Option<InteractiveAuth>,
    devices: Option<Vec<OwnedDeviceId>>,
}

/// `POST /_matrix/client/v3/delete_devices`
pub(crate) async fn delete_devices(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let DeleteMany { auth, devices } = body::json(&request.body)?;
    let devices = devices.ok_or_else(|| lyceum_web::ApiError::missing_param("devices is required"))?;
    if devices.len() > DELETED_MAX {
        return Err(lyceum_web::ApiError::invalid_param("There are too many devices in one request"));
    }
    remove(&accounts, &request.session, "POST /delete_devices", &devices, auth.as_ref()).await
}

async fn remove(
    accounts: &Accounts,
    session: &lyceum_web::Session,
    act: &str,
    devices: &[OwnedDeviceId],
    auth: Option<&InteractiveAuth>,
) -> Raw {
    if !matches!(session.kind, SessionKind::Appservice(_)) {
        let proof = accounts.confirm(act, &session.user_id, auth).await?;
        accounts.remove_devices_confirmed(&session.user_id, devices, &proof).await?;
    } else {
        accounts.remove_devices(&session.user_id, devices).await?;
    }
    empty()
}
