//! Key backups that are not there, or not the current one.

use http::Method;
use serde_json::{Value, json};

use super::CLIENT;
use crate::support::Campus;

fn key() -> Value {
    json!({ "first_message_index": 1, "forwarded_count": 0, "is_verified": true, "session_data": { "c": "x" } })
}

/// Every way to put keys: its path, its body and the operation's refusals with a version that is not current, and none.
fn puts() -> [(&'static str, Value, &'static str, Option<&'static str>); 3] {
    let sessions = json!({ "sessions": { "s": key() } });
    [
        ("keys/!r:alpha/s", key(), "putRoomKeyBySessionId 403 M_WRONG_ROOM_KEYS_VERSION", None),
        (
            "keys/!r:alpha",
            sessions.clone(),
            "putRoomKeysByRoomId 403 M_WRONG_ROOM_KEYS_VERSION",
            Some("putRoomKeysByRoomId 404 M_NOT_FOUND"),
        ),
        (
            "keys",
            json!({ "rooms": { "!r:alpha": sessions } }),
            "putRoomKeys 403 M_WRONG_ROOM_KEYS_VERSION",
            Some("putRoomKeys 404 M_NOT_FOUND"),
        ),
    ]
}

#[tokio::test]
async fn what_is_in_no_backup_is_not_found() {
    let campus = Campus::of(["alpha"]).await;
    let anna = campus.person("anna").await;
    let at = |rest: &str| format!("{CLIENT}/room_keys/{rest}");
    anna.get(&at("version")).await.refused_as("getRoomKeysVersionCurrent 404 M_NOT_FOUND");
    anna.get(&at("version/1")).await.refused_as("getRoomKeysVersion 404 M_NOT_FOUND");
    let update = json!({ "algorithm": "m.megolm_backup.v1", "auth_data": {} });
    anna.put(&at("version/1"), update).await.refused_as("putRoomKeysVersion 404 M_NOT_FOUND");
    anna.delete(&at("version/1")).await.refused_as("deleteRoomKeysVersion 404 M_NOT_FOUND");
    for (path, get, delete) in [
        ("keys", "getRoomKeys 404 M_NOT_FOUND", "deleteRoomKeys 404 M_NOT_FOUND"),
        ("keys/!r:alpha", "getRoomKeysByRoomId 404 M_NOT_FOUND", "deleteRoomKeysByRoomId 404 M_NOT_FOUND"),
        ("keys/!r:alpha/s", "getRoomKeyBySessionId 404 M_NOT_FOUND", "deleteRoomKeyBySessionId 404 M_NOT_FOUND"),
    ] {
        anna.get(&at(&format!("{path}?version=1"))).await.refused_as(get);
        anna.ask(Method::DELETE, &at(&format!("{path}?version=1")), None).await.refused_as(delete);
    }
    for (path, body, _, not_found) in puts() {
        let answer = anna.put(&at(&format!("{path}?version=1")), body).await;
        match not_found {
            Some(named) => answer.refused_as(named),
            None => answer.refused(404, "M_NOT_FOUND"),
        };
    }
}

#[tokio::test]
async fn keys_go_into_the_current_backup_only() {
    let campus = Campus::of(["alpha"]).await;
    let anna = campus.person("anna").await;
    let at = |rest: &str| format!("{CLIENT}/room_keys/{rest}");
    let backup = json!({ "algorithm": "m.megolm_backup.v1", "auth_data": {} });
    for _ in 0..2 {
        anna.post(&at("version"), backup.clone()).await.ok();
    }
    for (path, body, wrong_version, _) in puts() {
        let refused = anna.put(&at(&format!("{path}?version=1")), body).await.refused_as(wrong_version);
        assert_eq!(refused["current_version"], "2");
    }
    let mut other = backup.clone();
    other["version"] = "1".into();
    anna.put(&at("version/2"), other).await.refused_as("putRoomKeysVersion 400 M_INVALID_PARAM");
    // A backup that was deleted may be deleted again; one that never was may not.
    for _ in 0..2 {
        anna.delete(&at("version/1")).await.ok();
    }
    anna.delete(&at("version/7")).await.refused_as("deleteRoomKeysVersion 404 M_NOT_FOUND");
}
