//! `/dehydrated_device` (MSC3814): a device that takes messages while its owner has none signed in.

use axum::extract::State;
use lyceum_accounts::{Accounts, KeysUpload};
use lyceum_storage::Position;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::OwnedDeviceId;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::answers::Raw;

/// Messages in one answer.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Put {
    device_id: Option<OwnedDeviceId>,
    device_data: Option<Box<RawValue>>,
    device_keys: Option<Map<String, Value>>,
    #[serde(default)]
    one_time_keys: Map<String, Value>,
    #[serde(default)]
    fallback_keys: Map<String, Value>,
}

/// `PUT …/unstable/org.matrix.msc3814.v1/dehydrated_device`
pub(crate) async fn put_dehydrated_device(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let body: Put = body::json(&request.body)?;
    let device = body.device_id.ok_or_else(|| ApiError::missing_param("device_id is required"))?;
    let data = body.device_data.ok_or_else(|| ApiError::missing_param("device_data is required"))?;
    let upload = KeysUpload {
        device_keys: body.device_keys,
        one_time_keys: body.one_time_keys,
        fallback_keys: body.fallback_keys,
    };
    accounts.put_dehydrated_device(&request.session.user_id, &device, data.get().to_owned(), upload).await?;
    RawJson::of(&json!({ "device_id": device }))
}

/// `GET …/unstable/org.matrix.msc3814.v1/dehydrated_device`
pub(crate) async fn get_dehydrated_device(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let (device, data) = accounts.dehydrated_device(&request.session.user_id).await?;
    let data: Box<RawValue> = serde_json::from_str(&data).map_err(|error| ApiError::internal(&error))?;
    RawJson::of(&json!({ "device_id": device, "device_data": data }))
}

/// `DELETE …/unstable/org.matrix.msc3814.v1/dehydrated_device`
pub(crate) async fn delete_dehydrated_device(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let device = accounts.delete_dehydrated_device(&request.session.user_id).await?;
    RawJson::of(&json!({ "device_id": device }))
}

#[derive(Deserialize)]
pub(crate) struct Since {
    next_batch: Option<String>,
}

/// `POST …/unstable/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events`
pub(crate) async fn get_events(State(accounts): State<Accounts>, request: AuthedRaw<(OwnedDeviceId,)>) -> Raw {
    let Since { next_batch } = body::json(&request.body)?;
    let after = match &next_batch {
        Some(token) => token.parse().map_err(|_| ApiError::invalid_param("next_batch is not of this server"))?,
        None => 0,
    };
    let user = &request.session.user_id;
    let messages = accounts.dehydrated_events(user, &request.path.0, Position(after), PAGE).await?;
    let next = messages.last().map_or(after, |message| message.position.0).to_string();
    let events = messages.iter().map(|message| {
        let content = serde_json::from_str::<Value>(&message.content).unwrap_or_default();
        json!({ "type": message.kind, "sender": message.sender, "content": content })
    });
    RawJson::of(&json!({ "events": events.collect::<Vec<_>>(), "next_batch": next }))
}
