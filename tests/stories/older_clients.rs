//! What older clients and other test suites ask in ways of their own, and what was seen to be read differently by them.

use serde_json::json;

use crate::support::{Campus, Person, campus::PASSWORD, person::encoded};

async fn two() -> (Campus, Person, Person) {
    let campus = Campus::of(["alpha.example"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    (campus, ann, ben)
}

async fn timeline(who: &Person, room: &str) -> Vec<serde_json::Value> {
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", encoded(room));
    who.get(&path).await.ok()["chunk"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn things_are_sent_and_redacted_without_a_transaction() {
    let (_campus, ann, ben) = two().await;
    let room = ann.creates_public_room().await;
    let sending = format!("/_matrix/client/v3/rooms/{}/send/m.room.message", encoded(&room));
    let first = ann.post(&sending, json!({ "msgtype": "m.text", "body": "twice" })).await.ok();
    let second = ann.post(&sending, json!({ "msgtype": "m.text", "body": "twice" })).await.ok();
    assert_ne!(first["event_id"], second["event_id"]);
    ben.post(&sending, json!({ "msgtype": "m.text", "body": "not mine" })).await.refused(403, "M_FORBIDDEN");
    ann.post(&sending, json!([])).await.refused(400, "M_BAD_JSON");

    let event = first["event_id"].as_str().unwrap();
    let redacting = format!("/_matrix/client/v3/rooms/{}/redact/{}", encoded(&room), encoded(event));
    ben.post(&redacting, json!({})).await.refused(403, "M_FORBIDDEN");
    ann.post(&redacting, json!({ "reason": "said twice" })).await.ok();
    let left: Vec<_> =
        timeline(&ann, &room).await.into_iter().filter(|event| event["content"]["body"] == "twice").collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["event_id"], second["event_id"]);
}

#[tokio::test]
async fn news_of_a_room_have_a_chunk_also_when_there_are_none() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_public_room().await;
    let begun = ann.get(&format!("/_matrix/client/v3/rooms/{}/initialSync", encoded(&room))).await.ok();
    let end = begun["messages"]["end"].as_str().unwrap();
    let news =
        ann.get(&format!("/_matrix/client/v3/events?room_id={}&from={end}&timeout=0", encoded(&room))).await.ok();
    assert_eq!(news["chunk"], json!([]));
}

#[tokio::test]
async fn news_leave_nothing_out() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    let before = ann.get("/_matrix/client/v3/events?timeout=0").await.ok()["end"].as_str().unwrap().to_owned();
    for n in 0..30 {
        ann.says(&room, &format!("number {n}")).await;
    }
    let news = ann.get(&format!("/_matrix/client/v3/events?from={before}&timeout=0")).await.ok();
    let said: Vec<_> =
        news["chunk"].as_array().unwrap().iter().filter_map(|event| event["content"]["body"].as_str()).collect();
    let wanted: Vec<_> = (0..30).map(|n| format!("number {n}")).collect();
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn a_filter_may_ask_for_events_as_servers_exchange_them() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    let said = ann.says(&room, "whole").await;
    let filter = encoded(&json!({ "event_format": "federation", "room": { "timeline": { "limit": 1 } } }).to_string());
    let synced = ann.syncs(&format!("filter={filter}&full_state=true&timeout=0")).await;
    let event = &synced["rooms"]["join"][&room]["timeline"]["events"][0];
    assert_eq!(event["event_id"], said.as_str());
    for part in ["prev_events", "auth_events", "depth", "hashes", "signatures", "room_id", "sender"] {
        assert!(!event[part].is_null(), "{part} is in a whole event: {event}");
    }
}

#[tokio::test]
async fn a_change_of_visibility_is_seen_by_who_may_see_what_was_before_it() {
    let (_campus, ann, ben) = two().await;
    let room = ann.creates_public_room().await;
    for (visibility, text) in [("joined", "1"), ("invited", "2"), ("shared", "3")] {
        ann.sets(&room, "m.room.history_visibility", "", json!({ "history_visibility": visibility })).await;
        ann.says(&room, text).await;
    }
    ben.joins(&room).await;
    let seen: Vec<_> = timeline(&ben, &room).await.iter().rev().map(|event| event["content"].clone()).collect();
    let kept: Vec<_> =
        seen.iter().filter_map(|content| content["history_visibility"].as_str().or(content["body"].as_str())).collect();
    assert_eq!(kept, ["shared", "joined", "shared", "3"], "the first is the room's own");
}

#[tokio::test]
async fn who_comes_later_sees_nothing_of_what_was_erased() {
    let (campus, ann, ben) = two().await;
    let carl = campus.person("carl").await;
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let said = ann.says(&room, "to be forgotten").await;
    let closing = "/_matrix/client/v3/account/deactivate";
    let asked = ann.post(closing, json!({ "erase": true })).await.refused(401, "");
    let auth = json!({ "type": "m.login.password", "session": asked["session"], "password": PASSWORD,
        "identifier": { "type": "m.id.user", "user": "ann" } });
    ann.post(closing, json!({ "erase": true, "auth": auth })).await.ok();
    carl.joins(&room).await;

    let body = |events: Vec<serde_json::Value>| {
        let event = events.into_iter().find(|event| event["event_id"] == said.as_str()).expect("it is there");
        event["content"]["body"].as_str().map(str::to_owned)
    };
    assert_eq!(body(timeline(&ben, &room).await).as_deref(), Some("to be forgotten"), "who was there keeps it");
    assert_eq!(body(timeline(&carl, &room).await), None, "who came later is shown it redacted");
}

#[tokio::test]
async fn a_guest_becomes_a_person_under_the_same_name() {
    let campus = Campus::with(["alpha.example"], "registration.guests = true").await;
    let nobody = campus.host("alpha.example").stranger();
    let guest = nobody.post("/_matrix/client/v3/register?kind=guest", json!({})).await.ok();
    let other = nobody.post("/_matrix/client/v3/register?kind=guest", json!({})).await.ok();
    let name = guest["user_id"].as_str().unwrap().trim_start_matches('@').split(':').next().unwrap().to_owned();
    let asking = |token: &serde_json::Value, name: &str| {
        json!({ "username": name, "password": "a long secret", "guest_access_token": token,
            "auth": { "type": "m.login.dummy" } })
    };
    let register = "/_matrix/client/v3/register";
    nobody.post(register, asking(&other["access_token"], &name)).await.refused(400, "M_INVALID_USERNAME");
    nobody.post(register, asking(&json!("no token"), &name)).await.refused(401, "M_UNKNOWN_TOKEN");
    let person = nobody.post(register, asking(&guest["access_token"], &name)).await.ok();
    assert_eq!(person["user_id"], guest["user_id"]);
    let person = nobody.with_token(&person["access_token"]);
    assert_ne!(person.get("/_matrix/client/v3/account/whoami").await.ok()["is_guest"], true);
    person.creates_room().await;
    let token = json!(guest["access_token"]);
    nobody.post(register, asking(&token, &name)).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_answered_again() {
    let campus = Campus::of(["alpha.example"]).await;
    let nobody = campus.host("alpha.example").stranger();
    let register = "/_matrix/client/v3/register";
    let wish = json!({ "username": "ada", "password": "a long secret", "device_id": "TABLET" });
    let asked = nobody.post(register, wish.clone()).await.refused(401, "");
    let mut complete = wish.clone();
    complete["auth"] = json!({ "type": "m.login.dummy", "session": asked["session"] });
    let first = nobody.post(register, complete.clone()).await.ok();
    let second = nobody.post(register, complete.clone()).await.ok();
    assert_eq!((&first["user_id"], &first["device_id"]), (&second["user_id"], &second["device_id"]));
    nobody.with_token(&second["access_token"]).get("/_matrix/client/v3/account/whoami").await.ok();
    complete["auth"] = json!({ "type": "m.login.dummy" });
    nobody.post(register, complete).await.refused(400, "M_USER_IN_USE");
}
