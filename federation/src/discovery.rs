//! Who this server is: version, keys, and other servers' keys as their notary
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys)).

use axum::extract::State;
use lyceum_peers::{KeyQuery, Peers};
use lyceum_web::{ApiError, PublicRaw, RawJson, body};
use ruma::OwnedServerName;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NotaryQuery {
    minimum_valid_until_ts: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct NotaryBody {
    server_keys: BTreeMap<OwnedServerName, BTreeMap<String, Criteria>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Criteria {
    minimum_valid_until_ts: Option<u64>,
}

/// `GET /_matrix/federation/v1/version`.
pub(crate) async fn get_server_version(_: PublicRaw<()>) -> Result<RawJson, ApiError> {
    RawJson::of(&json!({ "server": { "name": "Lyceum", "version": env!("CARGO_PKG_VERSION") } }))
}

/// `GET /_matrix/key/v2/server`.
pub(crate) async fn get_server_keys(State(peers): State<Peers>, _: PublicRaw<()>) -> Result<RawJson, ApiError> {
    RawJson::of(&peers.key_document()?)
}

/// `GET /_matrix/key/v2/server/{keyId}`: long deprecated, and the same document.
pub(crate) async fn get_server_keys_of_id(
    State(peers): State<Peers>,
    _: PublicRaw<(String,)>,
) -> Result<RawJson, ApiError> {
    RawJson::of(&peers.key_document()?)
}

/// `GET /_matrix/key/v2/query/{serverName}`.
pub(crate) async fn get_remote_server_keys(
    State(peers): State<Peers>,
    request: PublicRaw<(OwnedServerName,), NotaryQuery>,
) -> Result<RawJson, ApiError> {
    let any_key = BTreeMap::from([(String::new(), request.query.minimum_valid_until_ts)]);
    let keys = if request.query.minimum_valid_until_ts.is_some() { any_key } else { BTreeMap::new() };
    notarize(&peers, KeyQuery::from([(request.path.0, keys)])).await
}

/// `GET /_matrix/key/v2/query/{serverName}/{keyId}`: long deprecated, and answered with all keys of that server.
pub(crate) async fn get_remote_server_keys_of_id(
    State(peers): State<Peers>,
    request: PublicRaw<(OwnedServerName, String), NotaryQuery>,
) -> Result<RawJson, ApiError> {
    let (server, key) = request.path;
    let wanted = BTreeMap::from([(key, request.query.minimum_valid_until_ts)]);
    notarize(&peers, KeyQuery::from([(server, wanted)])).await
}

/// `POST /_matrix/key/v2/query`.
pub(crate) async fn get_remote_server_keys_batch(
    State(peers): State<Peers>,
    request: PublicRaw<()>,
) -> Result<RawJson, ApiError> {
    let asked: NotaryBody = body::json(&request.body)?;
    let criteria = |keys: BTreeMap<String, Criteria>| {
        keys.into_iter().map(|(key, criteria)| (key, criteria.minimum_valid_until_ts)).collect()
    };
    let query = asked.server_keys.into_iter().map(|(server, keys)| (server, criteria(keys))).collect();
    notarize(&peers, query).await
}

async fn notarize(peers: &Peers, query: KeyQuery) -> Result<RawJson, ApiError> {
    RawJson::of(&json!({ "server_keys": peers.notarize(query).await? }))
}
