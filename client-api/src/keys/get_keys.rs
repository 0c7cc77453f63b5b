//! `/keys/query`: devices and cross-signing keys of people here and elsewhere.

use axum::extract::State;
use futures_util::future::join_all;
use lyceum_accounts::{Accounts, QueriedKeys, RemoteDevice, RemoteDevices};
use lyceum_peers::Peers;
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::{collections::BTreeMap, time::Duration};

use super::{PEOPLE_MAX, by_server};
use crate::answers::Raw;

/// How long other servers are waited for, unless the client says how long, and at most.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

type Asked = BTreeMap<OwnedUserId, Vec<OwnedDeviceId>>;

#[derive(Deserialize)]
pub(crate) struct Body {
    device_keys: Option<Asked>,
    timeout: Option<u64>,
}

/// `POST /_matrix/client/v3/keys/query`
pub(crate) async fn get_keys(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    State(peers): State<Peers>,
    request: AuthedRaw<()>,
) -> Raw {
    let body: Body = body::json(&request.body)?;
    let asked = body.device_keys.ok_or_else(|| ApiError::missing_param("device_keys is required"))?;
    if asked.len() > PEOPLE_MAX {
        return Err(ApiError::invalid_param("There are too many people in one request"));
    }
    let timeout = body.timeout.map_or(TIMEOUT, Duration::from_millis).min(TIMEOUT_MAX);
    let me = &request.session.user_id;
    let mut found = QueriedKeys::default();
    let mut elsewhere = Asked::new();
    for (user, devices) in asked {
        let is_kept = match accounts.remote_devices_told_at(&user).await? {
            Some(told_at) => rooms.share_a_room_since(me, &user, told_at).await?,
            None => accounts.is_local(&user),
        };
        if is_kept {
            accounts.query_keys(Some(me), &user, &devices, &mut found).await?;
        } else {
            elsewhere.insert(user, devices);
        }
    }
    let asking = by_server(elsewhere).into_iter().map(|(server, users)| {
        let (accounts, rooms, peers) = (&accounts, &rooms, &peers);
        async move {
            let answer = tokio::time::timeout(timeout, ask(accounts, rooms, peers, me, &server, users)).await;
            (server, answer)
        }
    });
    let mut failures = BTreeMap::new();
    for (server, answer) in join_all(asking).await {
        match answer {
            Ok(Ok(keys)) => merge(&mut found, keys),
            Ok(Err(error)) => failures.insert(server, error.message.into_owned()).map_or((), drop),
            Err(_) => failures.insert(server, "The server took too long".into()).map_or((), drop),
        }
    }
    answer(&found, &failures)
}

fn merge(into: &mut QueriedKeys, keys: QueriedKeys) {
    into.device_keys.extend(keys.device_keys);
    into.master_keys.extend(keys.master_keys);
    into.self_signing_keys.extend(keys.self_signing_keys);
}

fn answer(found: &QueriedKeys, failures: &BTreeMap<OwnedServerName, String>) -> Raw {
    let failed = |why: &String| json!({ "errcode": "M_UNAVAILABLE", "error": why });
    let failures: BTreeMap<_, _> = failures.iter().map(|(server, why)| (server, failed(why))).collect();
    RawJson::of(&json!({
        "device_keys": found.device_keys,
        "master_keys": found.master_keys,
        "self_signing_keys": found.self_signing_keys,
        "user_signing_keys": found.user_signing_keys,
        "failures": failures,
    }))
}

/// Asks another server. The devices of people with whom a room is shared are kept: their server tells of changes.
async fn ask(
    accounts: &Accounts,
    rooms: &Rooms,
    peers: &Peers,
    me: &UserId,
    server: &ServerName,
    users: Asked,
) -> Result<QueriedKeys, ApiError> {
    let mut found = QueriedKeys::default();
    let mut strangers = BTreeMap::new();
    for (user, devices) in users {
        let shares = rooms.share_a_room(me, &user).await?;
        if shares && keep(accounts, peers, server, &user).await.is_ok() {
            accounts.query_keys(Some(me), &user, &devices, &mut found).await?;
            continue;
        }
        if shares {
            accounts.note_remote_devices_asked(&user).await?;
        }
        strangers.insert(user, devices.iter().map(ToString::to_string).collect());
    }
    if !strangers.is_empty() {
        let told = peers.query_keys(server, &strangers).await?;
        // A server speaks for its own people only.
        for (user, devices) in told.device_keys.into_iter().filter(|(user, _)| strangers.contains_key(user)) {
            let devices = devices.into_iter().filter_map(|(device, keys)| Some((device, object(&keys)?)));
            found.device_keys.insert(user, devices.collect());
        }
        let theirs = |keys: BTreeMap<OwnedUserId, Box<RawValue>>| {
            let known = keys.into_iter().filter(|(user, _)| strangers.contains_key(user));
            known.filter_map(|(user, key)| Some((user, object(&key)?))).collect::<Vec<_>>()
        };
        found.master_keys.extend(theirs(told.master_keys));
        found.self_signing_keys.extend(theirs(told.self_signing_keys));
    }
    Ok(found)
}

async fn keep(accounts: &Accounts, peers: &Peers, server: &ServerName, user: &UserId) -> Result<(), ApiError> {
    let told = peers.user_devices(server, user).await?;
    if told.user_id != user {
        return Err(ApiError::unknown("Another server answered for somebody else"));
    }
    let devices = told.devices.into_iter().filter_map(|device| {
        let text = |name: &str| device.get(name).and_then(Value::as_str).map(str::to_owned);
        let keys = device.get("keys").and_then(Value::as_object).cloned();
        Some(RemoteDevice { id: text("device_id")?, keys, display_name: text("device_display_name") })
    });
    let kept = RemoteDevices {
        stream_id: told.stream_id,
        devices: devices.collect(),
        master_key: told.master_key.as_deref().and_then(object),
        self_signing_key: told.self_signing_key.as_deref().and_then(object),
    };
    Ok(accounts.keep_remote_devices(user, kept).await?)
}

fn object(json: &RawValue) -> Option<Map<String, Value>> {
    serde_json::from_str(json.get()).ok()
}
