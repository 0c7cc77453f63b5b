//! `/admin/whois`: from where a person is signed in. Open to themselves and to administrators.

use axum::extract::State;
use lyceum_accounts::{Accounts, Device};
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use serde_json::{Map, Value, json};

use crate::answers::{Raw, user_id};

/// `GET /_matrix/client/v3/admin/whois/{userId}`
pub(crate) async fn get_user_info(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = user_id(&request.path.0)?;
    if request.session.user_id != user {
        request.session.check_admin()?;
        if !accounts.is_local(user) {
            return Err(ApiError::invalid_param("The user does not belong to this server"));
        }
        if !accounts.exists(user).await? {
            return Err(ApiError::not_found("There is no such user"));
        }
    }
    let devices = accounts.devices(user).await?;
    let devices: Map<String, Value> = devices.iter().map(|device| (device.id.to_string(), seen(device))).collect();
    RawJson::of(&json!({ "user_id": user, "devices": devices }))
}

/// A device as one session, with the connection it was last seen on.
fn seen(device: &Device) -> Value {
    let connection = device.last_seen_ms.map(|at| {
        let mut connection = json!({ "last_seen": at });
        for (name, text) in [("ip", &device.last_seen_ip), ("user_agent", &device.user_agent)] {
            if let Some(text) = text {
                connection[name] = text.as_str().into();
            }
        }
        connection
    });
    json!({ "sessions": [{ "connections": connection.into_iter().collect::<Vec<_>>() }] })
}
