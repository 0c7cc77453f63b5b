//! Bodies that are no JSON, the wrong JSON, too much or too deep.

use http::Method;
use serde_json::json;

use super::two;
use crate::support::{Person, encoded};

/// An endpoint of each family that takes a body, and a body whose types are wrong.
const ENDPOINTS: &[(&str, &str, &str)] = &[
    ("POST", "createRoom", r#"{"name":[]}"#),
    ("POST", "join/!r:alpha", r#"{"reason":5}"#),
    ("POST", "rooms/!r:alpha/invite", r#"{"user_id":5}"#),
    ("POST", "rooms/!r:alpha/kick", r#"{"user_id":{}}"#),
    ("POST", "rooms/!r:alpha/ban", r#"{"user_id":null}"#),
    ("POST", "rooms/!r:alpha/unban", "[]"),
    ("POST", "rooms/!r:alpha/leave", r#"{"reason":{}}"#),
    ("POST", "rooms/!r:alpha/upgrade", r#"{"new_version":{}}"#),
    ("POST", "rooms/!r:alpha/read_markers", r#"{"m.fully_read":5}"#),
    ("POST", "rooms/!r:alpha/report/$e", r#"{"reason":5}"#),
    ("PUT", "rooms/!r:alpha/send/m.room.message/1", "[]"),
    ("PUT", "rooms/!r:alpha/state/m.room.name", "5"),
    ("PUT", "rooms/!r:alpha/redact/$e/1", r#"{"reason":5}"#),
    ("PUT", "rooms/!r:alpha/typing/@ann:alpha", r#"{"typing":"yes"}"#),
    ("PUT", "directory/room/%23a:alpha", r#"{"room_id":5}"#),
    ("PUT", "directory/list/room/!r:alpha", r#"{"visibility":5}"#),
    ("POST", "publicRooms", r#"{"limit":"many"}"#),
    ("PUT", "presence/@ann:alpha/status", r#"{"presence":5}"#),
    ("PUT", "user/@ann:alpha/account_data/org.example", "[]"),
    ("PUT", "user/@ann:alpha/rooms/!r:alpha/tags/u.x", "[]"),
    ("POST", "user/@ann:alpha/filter", r#"{"room":5}"#),
    ("PUT", "pushrules/global/content/x", r#"{"pattern":5,"actions":[]}"#),
    ("POST", "pushers/set", r#"{"kind":"http","app_id":5}"#),
    ("POST", "user_directory/search", r#"{"search_term":5}"#),
    ("POST", "search", r#"{"search_categories":5}"#),
    ("PUT", "devices/D", r#"{"display_name":5}"#),
    ("POST", "keys/upload", r#"{"one_time_keys":5}"#),
    ("POST", "keys/query", r#"{"device_keys":5}"#),
    ("POST", "keys/claim", r#"{"one_time_keys":5}"#),
    ("POST", "room_keys/version", r#"{"algorithm":5}"#),
    ("PUT", "sendToDevice/m.x/1", r#"{"messages":5}"#),
    ("POST", "login", r#"{"type":5}"#),
    ("POST", "register", r#"{"username":5}"#),
    ("POST", "refresh", r#"{"refresh_token":5}"#),
];

async fn sends(person: &Person, (method, path): (&str, &str), body: Vec<u8>) -> (u16, String) {
    let method: Method = method.parse().expect("a method");
    let answer = person.ask_bytes(method, &format!("/_matrix/client/v3/{path}"), "application/json", body).await;
    (answer.status, answer.json["errcode"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_is_no_json_is_said_to_be_none() {
    let (_campus, ann, _) = two().await;
    for (method, path, _) in ENDPOINTS {
        for broken in ["{", "nonsense", "{\"a\":}", "\0"] {
            let found = sends(&ann, (method, path), broken.into()).await;
            assert_eq!(found, (400, "M_NOT_JSON".to_owned()), "{method} {path} with {broken:?}");
        }
        let found = sends(&ann, (method, path), b"{\"a\":\"\xff\"}".to_vec()).await;
        assert_eq!(found, (400, "M_NOT_JSON".to_owned()), "{method} {path} with what is not UTF-8");
    }
}

#[tokio::test]
async fn wrong_types_are_said_to_be_wrong() {
    let (_campus, ann, _) = two().await;
    for (method, path, wrong) in ENDPOINTS {
        let found = sends(&ann, (method, path), (*wrong).into()).await;
        assert_eq!(found, (400, "M_BAD_JSON".to_owned()), "{method} {path} with {wrong}");
    }
}

#[tokio::test]
async fn a_hundred_megabytes_and_a_hundred_thousand_brackets_are_refused() {
    const MEGABYTES_100: usize = 100 * 1024 * 1024;
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    let send = format!("rooms/{}/send/m.room.message/1", encoded(&room));
    let data = "user/@ann:alpha/account_data/org.example";
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    for path in [send.as_str(), data] {
        let found = sends(&ann, ("PUT", path), vec![b' '; MEGABYTES_100]).await;
        assert_eq!(found, (413, "M_TOO_LARGE".to_owned()));
        for nested in [deep("[", "]"), deep(r#"{"a":"#, "}")] {
            assert_eq!(sends(&ann, ("PUT", path), nested).await, (400, "M_BAD_JSON".to_owned()));
        }
    }
    let filter = encoded(&"[".repeat(5_000));
    ann.get(&format!("/_matrix/client/v3/sync?filter=%7B%22room%22:{filter}")).await.refused(400, "M_INVALID_PARAM");
    ann.get(&format!("/_matrix/client/v3/{data}")).await.refused(404, "M_NOT_FOUND");
    let page = ann.get(&format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=1", encoded(&room))).await.ok();
    assert_ne!(page["chunk"][0]["type"], "m.room.message", "nothing was said");
}

#[tokio::test]
async fn an_absurd_filter_is_refused_and_a_strange_one_lets_nothing_through() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    ann.says(&room, "hi").await;
    let filters = format!("/_matrix/client/v3/user/{}/filter", ann.id);
    for absurd in [
        json!({ "room": { "timeline": { "limit": -1 } } }),
        json!({ "room": { "timeline": { "limit": 1.5 } } }),
        json!({ "room": { "timeline": { "limit": 9_007_199_254_740_993_u64 } } }),
        json!({ "room": { "timeline": { "types": "m.room.message" } } }),
        json!({ "room": { "timeline": { "senders": ["nobody"] } } }),
        json!({ "room": { "rooms": ["nowhere"] } }),
        json!({ "room": { "state": { "lazy_load_members": "yes" } } }),
        json!({ "event_fields": "all" }),
    ] {
        ann.post(&filters, absurd.clone()).await.refused(400, "M_BAD_JSON");
        let inline = format!("/_matrix/client/v3/sync?filter={}", encoded(&absurd.to_string()));
        ann.get(&inline).await.refused(400, "M_INVALID_PARAM");
    }
    let huge = json!({ "room": { "timeline": { "types": vec!["m.room.message"; 10_000] } } });
    ann.post(&filters, huge).await.refused(413, "M_TOO_LARGE");
    ann.get("/_matrix/client/v3/sync?filter=unknown").await.refused(400, "M_INVALID_PARAM");
    // Wildcards that a backtracking matcher would never be done with.
    let stars = json!({ "room": { "timeline": { "types": [format!("{}b", "*a".repeat(60))] } } });
    let synced = ann.get(&format!("/_matrix/client/v3/sync?filter={}", encoded(&stars.to_string()))).await.ok();
    assert!(synced["rooms"]["join"][&room]["timeline"]["events"].as_array().is_none_or(Vec::is_empty));
}

#[tokio::test]
async fn a_token_of_another_server_is_no_place_to_go_on_from() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    for since in [
        "s72594_4483_1934",
        "s1_2_3_4_5_6_7_8_9_10",
        "t47429-4392820_219380",
        "-1",
        "\u{1f4a5}",
        "18446744073709551616",
    ] {
        ann.get(&format!("/_matrix/client/v3/sync?since={}", encoded(since))).await.refused(400, "M_INVALID_PARAM");
        for query in ["dir=b&from", "dir=f&from", "dir=b&to"] {
            let path = format!("/_matrix/client/v3/rooms/{}/messages?{query}={}", encoded(&room), encoded(since));
            ann.get(&path).await.refused(400, "M_INVALID_PARAM");
        }
        let sliding = format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?pos={}", encoded(since));
        ann.post(&sliding, json!({})).await.refused(400, "M_UNKNOWN_POS");
    }
}
