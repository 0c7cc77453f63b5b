//! What servers may ask of each other's people, published rooms and spaces.

use http::Method;
use serde_json::{Value, json};

use crate::support::{encoded, peer::Shared};

const KEYS: &str = "/_matrix/client/v3/keys";

/// Ann uploads the keys of her device.
async fn with_keys() -> Shared {
    let shared = Shared::begin().await;
    let ann = &shared.ann;
    let (ed, curve) = (format!("ed25519:{}", ann.device), format!("curve25519:{}", ann.device));
    let device_keys = json!({
        "user_id": ann.id, "device_id": ann.device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { ed: "e", curve: "c" }, "signatures": {},
    });
    let one_time = json!({ "signed_curve25519:A": { "key": "a" } });
    let upload = json!({ "device_keys": device_keys, "one_time_keys": one_time });
    ann.post(&format!("{KEYS}/upload"), upload).await.ok();
    shared
}

#[tokio::test]
async fn a_persons_devices_are_told() {
    let shared = with_keys().await;
    let (alpha, beta, ann) = (shared.alpha(), shared.beta(), &shared.ann);
    let path = |user: &str| format!("/_matrix/federation/v1/user/devices/{}", encoded(user));
    let told = beta.gets(alpha, &path(&ann.id)).await.ok();
    assert_eq!(told["user_id"], ann.id.as_str());
    assert_eq!(told["devices"][0]["device_id"], ann.device.as_str());
    assert_eq!(told["devices"][0]["keys"]["device_id"], ann.device.as_str());
    assert!(told["stream_id"].as_u64().is_some_and(|stream| stream > 0));
    beta.gets(alpha, &path(&shared.ben.id)).await.refused(404, "M_NOT_FOUND");
    alpha.stranger().get(&path(&ann.id)).await.refused(401, "M_UNAUTHORIZED");
}

#[tokio::test]
async fn keys_are_told_and_one_time_keys_given_once() {
    let shared = with_keys().await;
    let (alpha, beta, ann) = (shared.alpha(), shared.beta(), &shared.ann);
    let post = async |what: &str, body: Value| {
        beta.asks(alpha, Method::POST, &format!("/_matrix/federation/v1/user/keys/{what}"), Some(body)).await
    };
    let wanted = json!({ "device_keys": { &ann.id: [], &shared.ben.id: [] } });
    let told = post("query", wanted).await.ok();
    assert_eq!(told["device_keys"][&ann.id][&ann.device]["user_id"], ann.id.as_str());
    assert_eq!(told["device_keys"].get(&shared.ben.id), None, "alpha speaks for its own people only");
    let claim = json!({ "one_time_keys": { &ann.id: { &ann.device: "signed_curve25519" } } });
    let given = post("claim", claim.clone()).await.ok();
    assert_eq!(given["one_time_keys"][&ann.id][&ann.device], json!({ "signed_curve25519:A": { "key": "a" } }));
    assert_eq!(post("claim", claim.clone()).await.ok(), json!({ "one_time_keys": {} }));
    for what in ["query", "claim"] {
        post(what, json!({})).await.refused(400, "M_BAD_JSON");
        let path = format!("/_matrix/federation/v1/user/keys/{what}");
        alpha.stranger().post(&path, claim.clone()).await.refused(401, "M_UNAUTHORIZED");
    }
}

#[tokio::test]
async fn queries_that_nobody_has_defined_have_no_answer() {
    let shared = Shared::begin().await;
    let path = "/_matrix/federation/v1/query/horoscope?sign=leo";
    shared.beta().gets(shared.alpha(), path).await.refused(404, "M_NOT_FOUND");
    shared.alpha().stranger().get(path).await.refused(401, "M_UNAUTHORIZED");
}

#[tokio::test]
async fn published_rooms_are_listed() {
    let shared = Shared::begin().await;
    let (alpha, beta, ann) = (shared.alpha(), shared.beta(), &shared.ann);
    for name in ["Greek", "Latin", "Logic"] {
        ann.creates_room_with(json!({ "preset": "public_chat", "visibility": "public", "name": name })).await;
    }
    let path = "/_matrix/federation/v1/publicRooms";
    let all = beta.gets(alpha, path).await.ok();
    assert_eq!((all["chunk"].as_array().map(Vec::len), &all["total_room_count_estimate"]), (Some(3), &json!(3)));
    let first = beta.gets(alpha, &format!("{path}?limit=2")).await.ok();
    let since = first["next_batch"].as_str().expect("there is more");
    let rest = beta.gets(alpha, &format!("{path}?limit=2&since={since}")).await.ok();
    assert_eq!((rest["chunk"].as_array().map(Vec::len), rest.get("next_batch")), (Some(1), None));
    let search = json!({ "filter": { "generic_search_term": "lat" } });
    let found = beta.asks(alpha, Method::POST, path, Some(search)).await.ok();
    assert_eq!((found["chunk"].as_array().map(Vec::len), &found["chunk"][0]["name"]), (Some(1), &json!("Latin")));
    beta.gets(alpha, &format!("{path}?since=nonsense")).await.refused(400, "M_INVALID_PARAM");
    alpha.stranger().get(path).await.refused(401, "M_UNAUTHORIZED");
    alpha.stranger().post(path, json!({})).await.refused(401, "M_UNAUTHORIZED");
}

#[tokio::test]
async fn a_space_is_told_as_far_as_a_server_may_know_of_it() {
    let shared = Shared::begin().await;
    let (alpha, gamma, ann) = (shared.alpha(), shared.gamma(), &shared.ann);
    let space = json!({ "preset": "public_chat", "creation_content": { "type": "m.space" }, "name": "Faculty" });
    let space = ann.creates_room_with(space).await;
    let (open, secret) = (ann.creates_public_room().await, ann.creates_room().await);
    for child in [&open, &secret, "!elsewhere:gamma.example"] {
        ann.sets(&space, "m.space.child", child, json!({ "via": ["alpha.example"] })).await;
    }
    let path = |room: &str| format!("/_matrix/federation/v1/hierarchy/{}", encoded(room));
    let told = gamma.gets(alpha, &path(&space)).await.ok();
    assert_eq!((&told["room"]["name"], &told["room"]["room_type"]), (&json!("Faculty"), &json!("m.space")));
    assert_eq!(told["room"]["children_state"].as_array().map(Vec::len), Some(3));
    assert_eq!(told["children"].as_array().map(Vec::len), Some(1));
    assert_eq!((&told["children"][0]["room_id"], &told["inaccessible_children"]), (&json!(open), &json!([secret])));
    let suggested = gamma.gets(alpha, &format!("{}?suggested_only=true", path(&space))).await.ok();
    assert_eq!(suggested["children"], json!([]));
    gamma.gets(alpha, &path(&secret)).await.refused_as("servers/getSpaceHierarchy 404 M_NOT_FOUND");
    gamma.gets(alpha, &path("!nowhere:alpha.example")).await.refused(404, "M_NOT_FOUND");
    alpha.stranger().get(&path(&space)).await.refused(401, "M_UNAUTHORIZED");
}
