//! Keys, signatures, backups and messages to devices.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use http::Method;
use serde_json::{Value, json};

use crate::support::{Campus, Person, campus::PASSWORD};

const KEYS: &str = "/_matrix/client/v3/keys";
const BACKUP: &str = "/_matrix/client/v3/room_keys";

fn public(key: &SigningKey) -> String {
    STANDARD_NO_PAD.encode(key.verifying_key().as_bytes())
}

/// Signs an object as Matrix does: canonical JSON without signatures. The keys of these maps are in order already.
fn sign(object: &mut Value, user: &str, key_id: &str, key: &SigningKey) {
    let mut bare = object.clone();
    bare.as_object_mut().expect("an object").remove("signatures");
    let signature = STANDARD_NO_PAD.encode(key.sign(bare.to_string().as_bytes()).to_bytes());
    object["signatures"][user][key_id] = signature.into();
}

fn device_keys(person: &Person, key: &SigningKey) -> Value {
    let mut keys = json!({
        "user_id": person.id, "device_id": person.device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { format!("ed25519:{}", person.device): public(key), format!("curve25519:{}", person.device): "c" },
        "signatures": {},
    });
    sign(&mut keys, &person.id, &format!("ed25519:{}", person.device), key);
    keys
}

fn cross_key(person: &Person, usage: &str, key: &SigningKey) -> Value {
    let id = format!("ed25519:{}", public(key));
    json!({ "user_id": person.id, "usage": [usage], "keys": { id: public(key) } })
}

struct Identity {
    master: SigningKey,
    self_signing: SigningKey,
    user_signing: SigningKey,
}

impl Identity {
    fn new(seed: u8) -> Self {
        let key = |n: u8| SigningKey::from_bytes(&[seed + n; 32]);
        Self { master: key(0), self_signing: key(1), user_signing: key(2) }
    }

    fn upload(&self, person: &Person) -> Value {
        let master_id = format!("ed25519:{}", public(&self.master));
        let signed = |usage: &str, key: &SigningKey| {
            let mut key = cross_key(person, usage, key);
            sign(&mut key, &person.id, &master_id, &self.master);
            key
        };
        json!({
            "master_key": cross_key(person, "master", &self.master),
            "self_signing_key": signed("self_signing", &self.self_signing),
            "user_signing_key": signed("user_signing", &self.user_signing),
        })
    }
}

async fn query(by: &Person, of: &Person) -> Value {
    by.post(&format!("{KEYS}/query"), json!({ "device_keys": { &of.id: [] } })).await.ok()
}

#[tokio::test]
async fn device_keys_are_published_and_one_time_keys_given_once() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let key = SigningKey::from_bytes(&[9; 32]);
    let one_time = json!({ "signed_curve25519:A": { "key": "a" }, "signed_curve25519:B": { "key": "b" } });
    let upload = json!({
        "device_keys": device_keys(&anna, &key), "one_time_keys": one_time,
        "fallback_keys": { "signed_curve25519:F": { "key": "f", "fallback": true } },
    });
    let counts = anna.post(&format!("{KEYS}/upload"), upload).await.ok();
    assert_eq!(counts, json!({ "one_time_key_counts": { "signed_curve25519": 2 } }));
    let synced = anna.syncs("timeout=0").await;
    assert_eq!(synced["device_one_time_keys_count"]["signed_curve25519"], 2);
    assert_eq!(synced["device_unused_fallback_key_types"], json!(["signed_curve25519"]));
    let mut told = query(&ben, &anna).await["device_keys"][&anna.id][&anna.device].take();
    assert_eq!(told["unsigned"].take(), json!({}), "there, although the device has no name");
    told.as_object_mut().expect("an object").remove("unsigned");
    assert_eq!(told, device_keys(&anna, &key));

    let wanted = json!({ "one_time_keys": { &anna.id: { &anna.device: "signed_curve25519" } } });
    let mut names = Vec::new();
    for _ in 0..4 {
        let claimed = ben.post(&format!("{KEYS}/claim"), wanted.clone()).await.ok();
        let keys = claimed["one_time_keys"][&anna.id][&anna.device].as_object().expect("a key").clone();
        names.extend(keys.keys().cloned());
    }
    let expected = ["signed_curve25519:A", "signed_curve25519:B", "signed_curve25519:F", "signed_curve25519:F"];
    assert_eq!(names, expected);
    let synced = anna.syncs("timeout=0").await;
    assert_eq!(synced["device_one_time_keys_count"]["signed_curve25519"], 0);
    assert_eq!(synced["device_unused_fallback_key_types"], json!([]));
}

#[tokio::test]
async fn keys_that_cannot_be_are_refused() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let upload = format!("{KEYS}/upload");
    let others = json!({ "device_keys": device_keys(&ben, &SigningKey::from_bytes(&[9; 32])) });
    anna.post(&upload, others).await.refused(400, "M_INVALID_PARAM");
    let bare = json!({ "device_keys": { "user_id": anna.id, "device_id": anna.device } });
    anna.post(&upload, bare).await.refused(400, "M_BAD_JSON");
    // Neither these could be told to other servers.
    let mut deep = json!(1);
    (0..40).for_each(|_| deep = json!([deep]));
    for odd in [json!(1.5), json!(1_u64 << 53), deep] {
        let (mut device, mut master) =
            (device_keys(&anna, &SigningKey::from_bytes(&[9; 32])), Identity::new(20).upload(&anna));
        device["odd"] = odd.clone();
        anna.post(&upload, json!({ "device_keys": device })).await.refused(400, "M_BAD_JSON");
        master["master_key"]["odd"] = odd;
        anna.post(&format!("{KEYS}/device_signing/upload"), master).await.refused(400, "M_BAD_JSON");
    }
    anna.post(&upload, json!({ "one_time_keys": { "noid": "x" } })).await.refused(400, "M_INVALID_PARAM");
    anna.post(&upload, json!({ "one_time_keys": { "a:1": "x" } })).await.ok();
    anna.post(&upload, json!({ "one_time_keys": { "a:1": "y" } })).await.refused(400, "M_INVALID_PARAM");
    let as_object = json!({ "device_keys": { &ben.id: { "device": true } } });
    anna.post(&format!("{KEYS}/query"), as_object).await.refused(400, "M_BAD_JSON");
    anna.post(&format!("{KEYS}/query"), json!({})).await.refused(400, "M_MISSING_PARAM");
    anna.post(&format!("{KEYS}/claim"), json!({})).await.refused(400, "M_MISSING_PARAM");
    anna.get(&format!("{KEYS}/changes?from=x&to=y")).await.refused(400, "M_INVALID_PARAM");
    let stranger = campus.host("alpha.example").stranger();
    for path in ["upload", "query", "claim", "device_signing/upload", "signatures/upload"] {
        stranger.post(&format!("{KEYS}/{path}"), json!({})).await.refused(401, "M_MISSING_TOKEN");
    }
    stranger.get(&format!("{KEYS}/changes?from=x&to=y")).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn cross_signing_keys_are_free_once_and_confirmed_after() {
    let campus = Campus::of(["alpha.example"]).await;
    let anna = campus.person("anna").await;
    let path = "/_matrix/client/v3/keys/device_signing/upload";
    let first = Identity::new(20);
    let without_master = json!({ "self_signing_key": first.upload(&anna)["self_signing_key"] });
    anna.post(path, without_master).await.refused_as("uploadCrossSigningKeys 400 M_MISSING_PARAM");
    let mut unsigned = first.upload(&anna);
    unsigned["self_signing_key"]["signatures"] = json!({});
    anna.post(path, unsigned).await.refused_as("uploadCrossSigningKeys 400 M_INVALID_SIGNATURE");
    anna.post(path, first.upload(&anna)).await.ok();
    // Element Web posts to the path of before.
    anna.post(&path.replace("v3", "unstable"), first.upload(&anna)).await.ok();

    let second = Identity::new(30);
    let asked = anna.post(path, second.upload(&anna)).await;
    assert_eq!(asked.status, 401);
    let mut confirmed = second.upload(&anna);
    confirmed["auth"] = json!({ "type": "m.login.password", "password": PASSWORD, "session": asked.json["session"] });
    anna.post(path, confirmed).await.ok();
    let own = query(&anna, &anna).await;
    assert_eq!(own["master_keys"][&anna.id]["keys"], cross_key(&anna, "master", &second.master)["keys"]);
    assert!(own["user_signing_keys"][&anna.id].is_object());
}

#[tokio::test]
async fn a_device_and_a_key_never_have_the_same_name() {
    let campus = Campus::of(["alpha.example"]).await;
    let anna = campus.person("anna").await;
    let (taken, own) = (Identity::new(20), Identity::new(30));
    let mut login = json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": anna.id }, "password": PASSWORD,
        "device_id": public(&taken.master),
    });
    let sign_in = "/_matrix/client/v3/login";
    anna.post(sign_in, login.clone()).await.ok();
    let path = format!("{KEYS}/device_signing/upload");
    anna.post(&path, taken.upload(&anna)).await.refused_as("uploadCrossSigningKeys 403 *");
    anna.post(&path, own.upload(&anna)).await.ok();
    for key in [&own.master, &own.self_signing, &own.user_signing] {
        login["device_id"] = public(key).into();
        anna.post(sign_in, login.clone()).await.refused_as("login 403 M_FORBIDDEN");
    }
}

#[tokio::test]
async fn signatures_are_checked_and_seen_by_those_concerned() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let (annas, bens) = (Identity::new(20), Identity::new(30));
    let device = SigningKey::from_bytes(&[9; 32]);
    anna.post(&format!("{KEYS}/upload"), json!({ "device_keys": device_keys(&anna, &device) })).await.ok();
    for (person, identity) in [(&anna, &annas), (&ben, &bens)] {
        person.post(&format!("{KEYS}/device_signing/upload"), identity.upload(person)).await.ok();
    }
    let (own_id, other_id) =
        (format!("ed25519:{}", public(&annas.self_signing)), format!("ed25519:{}", public(&annas.user_signing)));
    let mut own = device_keys(&anna, &device);
    sign(&mut own, &anna.id, &own_id, &annas.self_signing);
    let mut bens_master = cross_key(&ben, "master", &bens.master);
    sign(&mut bens_master, &anna.id, &other_id, &annas.user_signing);
    let mut forged = cross_key(&anna, "master", &annas.master);
    sign(&mut forged, &anna.id, &format!("ed25519:{}", anna.device), &bens.master);
    let signed = json!({
        &anna.id: { &anna.device: own, public(&annas.master): forged, "UNKNOWN": own },
        &ben.id: { public(&bens.master): bens_master },
    });
    let failures = anna.post(&format!("{KEYS}/signatures/upload"), signed).await.ok()["failures"].clone();
    assert_eq!(failures[&anna.id][public(&annas.master)]["errcode"], "M_INVALID_SIGNATURE");
    assert_eq!(failures[&anna.id]["UNKNOWN"]["errcode"], "M_NOT_FOUND");
    assert_eq!(failures.as_object().map(serde_json::Map::len), Some(1));

    let seen = query(&ben, &anna).await;
    assert!(seen["device_keys"][&anna.id][&anna.device]["signatures"][&anna.id][&own_id].is_string());
    let path = |who: &Value| who["master_keys"][&ben.id]["signatures"][&anna.id][&other_id].clone();
    assert!(path(&query(&anna, &ben).await).is_string(), "the signer sees it");
    assert!(path(&query(&ben, &ben).await).is_null(), "nobody else does");
}

#[tokio::test]
async fn messages_reach_the_devices_they_are_for_once() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let second = anna.on_another_device().await;
    for device in [&anna, &second] {
        device.syncs("timeout=0").await;
    }
    let path = |transaction: &str| format!("/_matrix/client/v3/sendToDevice/m.test/{transaction}");
    let to = |device: &str, n: u32| json!({ "messages": { &anna.id: { device: { "n": n } } } });
    ben.put(&path("one"), to("*", 1)).await.ok();
    ben.put(&path("one"), to("*", 1)).await.ok();
    ben.put(&path("two"), to(&anna.device, 2)).await.ok();
    let contents = |synced: &Value| {
        let events = synced["to_device"]["events"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["content"]["n"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(contents(&anna.syncs("timeout=0").await), [1, 2]);
    assert_eq!(contents(&second.syncs("timeout=0").await), [1]);
    assert!(contents(&anna.syncs("timeout=0").await).is_empty());
    ben.put(&path("three"), json!({})).await.refused(400, "M_MISSING_PARAM");
    ben.put(&path("four"), json!({ "messages": { "nobody": {} } })).await.refused(400, "M_BAD_JSON");
    // What a server could not tell another one, the one here is not told either.
    let content = |content: &str| format!(r#"{{"messages":{{"@eve:beta.example":{{"X":{content}}}}}}}"#).into_bytes();
    let deep = format!("{}1{}", r#"{"a":"#.repeat(96), "}".repeat(96));
    for unreadable in [r#"{"n":1e999}"#, &deep, "[]"] {
        let body = content(unreadable);
        ben.ask_bytes(Method::PUT, &path("five"), "application/json", body).await.refused(400, "M_BAD_JSON");
    }
    let stranger = campus.host("alpha.example").stranger();
    stranger.put(&path("x"), json!({})).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn room_keys_are_backed_up_and_read_back() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let version = format!("{BACKUP}/version");
    anna.get(&version).await.refused_as("getRoomKeysVersionCurrent 404 M_NOT_FOUND");
    anna.post(&version, json!({ "algorithm": "x" })).await.refused(400, "M_MISSING_PARAM");
    let backup = json!({ "algorithm": "m.megolm_backup.v1", "auth_data": { "a": 1 } });
    assert_eq!(anna.post(&version, backup.clone()).await.ok(), json!({ "version": "1" }));
    let info = anna.get(&version).await.ok();
    assert_eq!((&info["version"], &info["count"], &info["auth_data"]), (&json!("1"), &json!(0), &json!({ "a": 1 })));

    let key =
        json!({ "first_message_index": 1, "forwarded_count": 0, "is_verified": true, "session_data": { "c": "x" } });
    let one = format!("{BACKUP}/keys/!r:alpha.example/s1?version=1");
    assert_eq!(anna.put(&one, key.clone()).await.ok()["count"], 1);
    assert_eq!(anna.get(&one).await.ok(), key);
    let room = format!("{BACKUP}/keys/!r:alpha.example?version=1");
    anna.put(&room, json!({ "sessions": { "s2": key } })).await.ok();
    assert_eq!(anna.get(&room).await.ok()["sessions"].as_object().map(serde_json::Map::len), Some(2));
    let all = format!("{BACKUP}/keys?version=1");
    anna.put(&all, json!({ "rooms": { "!q:alpha.example": { "sessions": { "s3": key } } } })).await.ok();
    assert_eq!(anna.get(&all).await.ok()["rooms"].as_object().map(serde_json::Map::len), Some(2));
    anna.get(&format!("{BACKUP}/keys/!r:alpha.example/none?version=1"))
        .await
        .refused_as("getRoomKeyBySessionId 404 M_NOT_FOUND");
    anna.get(&format!("{BACKUP}/keys")).await.refused(400, "M_MISSING_PARAM");
    ben.get(&all).await.refused(404, "M_NOT_FOUND");

    anna.post(&version, backup).await.ok();
    let old = anna.put(&one, key).await.refused_as("putRoomKeyBySessionId 403 M_WRONG_ROOM_KEYS_VERSION");
    assert_eq!(old["current_version"], "2");
    let changed = json!({ "algorithm": "other", "auth_data": {} });
    anna.put(&format!("{version}/2"), changed).await.refused_as("putRoomKeysVersion 400 M_INVALID_PARAM");
    anna.delete(&one).await.ok();
    anna.delete(&format!("{version}/2")).await.ok();
    assert_eq!(anna.get(&version).await.ok()["version"], "1");
    anna.get(&format!("{version}/2")).await.refused_as("getRoomKeysVersion 404 M_NOT_FOUND");
    let stranger = campus.host("alpha.example").stranger();
    stranger.get(&version).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(&all).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_dehydrated_device_takes_messages_for_its_owner() {
    let campus = Campus::of(["alpha.example"]).await;
    let (mut anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let path = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
    anna.get(path).await.refused(404, "M_NOT_FOUND");
    anna.device = "ASLEEP".into();
    let keys = device_keys(&anna, &SigningKey::from_bytes(&[9; 32]));
    let data = json!({ "algorithm": "m.dehydration.v2" });
    let device = json!({ "device_id": "ASLEEP", "device_data": data, "device_keys": keys });
    anna.put(path, json!({ "device_id": "ASLEEP" })).await.refused(400, "M_MISSING_PARAM");
    assert_eq!(anna.put(path, device).await.ok(), json!({ "device_id": "ASLEEP" }));
    assert_eq!(anna.get(path).await.ok(), json!({ "device_id": "ASLEEP", "device_data": data }));
    let message = json!({ "messages": { &anna.id: { "ASLEEP": { "n": 1 } } } });
    ben.put("/_matrix/client/v3/sendToDevice/m.test/t", message).await.ok();
    let events = anna.post(&format!("{path}/ASLEEP/events"), json!({})).await.ok();
    assert_eq!(events["events"][0]["content"], json!({ "n": 1 }));
    let next = json!({ "next_batch": events["next_batch"] });
    assert_eq!(anna.post(&format!("{path}/ASLEEP/events"), next).await.ok()["events"], json!([]));
    ben.post(&format!("{path}/ASLEEP/events"), json!({})).await.refused(403, "M_FORBIDDEN");
    anna.delete(path).await.ok();
    anna.get(path).await.refused(404, "M_NOT_FOUND");
    campus.host("alpha.example").stranger().get(path).await.refused(401, "M_MISSING_TOKEN");
}
