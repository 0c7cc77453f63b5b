//! `/keys/claim`: one-time keys of devices here and elsewhere.

use axum::extract::State;
use futures_util::future::join_all;
use lyceum_accounts::Accounts;
use lyceum_peers::Peers;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

use super::{PEOPLE_MAX, by_server};
use crate::answers::Raw;

/// How long other servers are waited for, unless the client says how long, and at most.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
pub(crate) struct Body {
    one_time_keys: Option<BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>>,
    timeout: Option<u64>,
}

/// `POST /_matrix/client/v3/keys/claim`
pub(crate) async fn claim_keys(
    State(accounts): State<Accounts>,
    State(peers): State<Peers>,
    request: AuthedRaw<()>,
) -> Raw {
    let body: Body = body::json(&request.body)?;
    let wanted = body.one_time_keys.ok_or_else(|| ApiError::missing_param("one_time_keys is required"))?;
    if wanted.values().map(BTreeMap::len).sum::<usize>() > PEOPLE_MAX {
        return Err(ApiError::invalid_param("There are too many devices in one request"));
    }
    let timeout = body.timeout.map_or(TIMEOUT, Duration::from_millis).min(TIMEOUT_MAX);
    let mut servers = by_server(wanted);
    let here = servers.remove(accounts.server_name()).unwrap_or_default();

    let mut keys: BTreeMap<OwnedUserId, BTreeMap<String, Value>> = BTreeMap::new();
    for (user, devices) in accounts.claim_keys(&here).await? {
        let devices = devices.into_iter().map(|(device, (name, key))| (device.to_string(), json!({ name: key })));
        keys.insert(user, devices.collect());
    }
    let asking = servers.into_iter().map(|(server, users)| {
        let peers = &peers;
        async move {
            let named = |devices: BTreeMap<OwnedDeviceId, String>| {
                devices.into_iter().map(|(device, algorithm)| (device.to_string(), algorithm)).collect()
            };
            let wanted = users.into_iter().map(|(user, devices)| (user, named(devices))).collect();
            let answer = tokio::time::timeout(timeout, peers.claim_keys(&server, &wanted)).await;
            (server, wanted, answer)
        }
    });
    let mut failures = BTreeMap::new();
    for (server, wanted, answer) in join_all(asking).await {
        let Ok(Ok(claimed)) = answer else {
            failures.insert(server, json!({ "errcode": "M_UNAVAILABLE", "error": "The server did not answer" }));
            continue;
        };
        // A server speaks for its own people only.
        for (user, devices) in claimed.one_time_keys.into_iter().filter(|(user, _)| wanted.contains_key(user)) {
            let parsed =
                devices.into_iter().filter_map(|(device, key)| Some((device, serde_json::from_str(key.get()).ok()?)));
            keys.insert(user, parsed.collect());
        }
    }
    RawJson::of(&json!({ "one_time_keys": keys, "failures": failures }))
}
