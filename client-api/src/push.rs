//! `/pushers` and `/notifications`: where a person wants to be notified, and what would have notified them.

use axum::extract::State;
use lyceum_events::Clock;
use lyceum_push::{NewPusher, Notified, Push, Pusher};
use lyceum_rooms::{Looker, Rooms};
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::sync::Arc;

use crate::answers::{Raw, empty};

/// `GET /_matrix/client/v3/pushers`
pub(crate) async fn get_pushers(State(push): State<Push>, request: AuthedRaw<()>) -> Raw {
    let pushers = push.pushers(&request.session.user_id).await?;
    RawJson::of(&json!({ "pushers": pushers.iter().map(shown).collect::<Vec<_>>() }))
}

pub(crate) fn shown(pusher: &Pusher) -> Value {
    let mut shown = json!({
        "kind": "http",
        "app_id": pusher.key.app_id,
        "pushkey": pusher.key.pushkey,
        "app_display_name": pusher.app_display_name,
        "device_display_name": pusher.device_display_name,
        "lang": pusher.lang,
        "data": pusher.data,
        "org.matrix.msc3881.enabled": pusher.enabled,
    });
    if let Some(tag) = &pusher.profile_tag {
        shown["profile_tag"] = tag.as_str().into();
    }
    if let Some(device) = &pusher.device {
        shown["org.matrix.msc3881.device_id"] = device.as_str().into();
    }
    shown
}

/// The body of setting one. `kind` is looked at first: `null` removes.
#[derive(Deserialize)]
pub(crate) struct Set {
    app_id: Option<String>,
    pushkey: Option<String>,
    app_display_name: Option<String>,
    device_display_name: Option<String>,
    lang: Option<String>,
    profile_tag: Option<String>,
    data: Option<Map<String, Value>>,
    #[serde(default)]
    append: bool,
    #[serde(rename = "org.matrix.msc3881.enabled", alias = "enabled")]
    enabled: Option<bool>,
}

/// `POST /_matrix/client/v3/pushers/set`
pub(crate) async fn set_pusher(State(push): State<Push>, request: AuthedRaw<()>) -> Raw {
    let mut fields: Map<String, Value> = body::json(&request.body)?;
    let kind = match fields.remove("kind") {
        None => return Err(ApiError::missing_param("kind is required")),
        Some(Value::Null) => None,
        Some(Value::String(kind)) => Some(kind),
        Some(_) => return Err(ApiError::invalid_param("kind is a text or null")),
    };
    let set: Set = serde_json::from_value(Value::Object(fields))?;
    let required =
        |value: Option<String>, name: &str| value.ok_or_else(|| ApiError::missing_param(format!("{name} is required")));
    let (app_id, pushkey) = (required(set.app_id, "app_id")?, required(set.pushkey, "pushkey")?);
    let session = &request.session;
    let Some(kind) = kind else {
        push.remove_pusher(&session.user_id, &app_id, &pushkey).await?;
        return empty();
    };
    let new = NewPusher {
        kind,
        app_id,
        pushkey,
        app_display_name: set.app_display_name,
        device_display_name: set.device_display_name,
        lang: set.lang,
        profile_tag: set.profile_tag,
        data: set.data,
        append: set.append,
        enabled: set.enabled,
    };
    let device = session.device_id.as_ref().map(|device| device.as_str());
    push.set_pusher(&session.user_id, device, new).await?;
    empty()
}

/// What is asked of the list.
#[derive(Deserialize)]
pub(crate) struct Listing {
    from: Option<String>,
    limit: Option<usize>,
    only: Option<String>,
}

/// `GET /_matrix/client/v3/notifications`
pub(crate) async fn get_notifications(
    State(push): State<Push>,
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    request: AuthedRaw<(), Listing>,
) -> Raw {
    let Listing { from, limit, only } = &request.query;
    let session = &request.session;
    let loud = only.as_deref() == Some("highlight");
    let page = push.notified(&session.user_id, from.as_deref(), *limit, loud).await?;
    let device = session.device_id.as_deref().map(|device| device.as_str());
    let looker = Looker { user: &session.user_id, device, now: clock.now(), federated: false };
    let events: Vec<_> = page.notified.iter().map(|one| one.known.clone()).collect();
    let forms = rooms.client_forms(looker, &events).await?;
    let notifications: Vec<_> = page.notified.iter().zip(forms).map(|(one, form)| listed(one, form)).collect();
    let mut answer = json!({ "notifications": notifications });
    if let Some(next) = page.next {
        answer["next_token"] = next.into();
    }
    RawJson::of(&answer)
}

fn listed(one: &Notified, event: Box<RawValue>) -> Value {
    json!({
        "actions": one.actions,
        "event": event,
        "read": one.read,
        "room_id": one.known.event().room(),
        "ts": one.known.event().ts(),
    })
}
