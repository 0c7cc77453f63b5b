//! Delayed events: sent when their time comes, once, unless somebody says otherwise before.

use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Campus, Person, encoded};

const ALL: &str = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events";
const DELAY: &str = "org.matrix.msc4140.delay";

fn text(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

fn send_path(room: &str, transaction: &str, delay_ms: u64) -> String {
    format!(
        "/_matrix/client/v3/rooms/{}/send/m.room.message/{}?{DELAY}={delay_ms}",
        encoded(room),
        encoded(transaction)
    )
}

fn state_path(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/state/{rest}", encoded(room))
}

async fn delays(person: &Person, room: &str, body: &str, delay_ms: u64) -> String {
    let answer = person.put(&send_path(room, &format!("d-{body}"), delay_ms), text(body)).await.ok();
    answer["delay_id"].as_str().expect("a delay has an id").to_owned()
}

async fn waiting(person: &Person) -> Vec<Value> {
    person.get(ALL).await.ok()["delayed_events"].as_array().expect("a list").clone()
}

async fn acts(person: &Person, id: &str, action: &str) {
    assert_eq!(person.post(&format!("{ALL}/{id}/{action}"), json!({})).await.ok(), json!({}));
}

#[tokio::test]
async fn a_delayed_event_is_sent_when_its_time_comes_and_only_then() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    let id = delays(&alice, &room, "later", 10_000).await;
    assert_eq!(delays(&alice, &room, "later", 10_000).await, id, "the same transaction is one delay");
    let again = alice.put(&send_path(&room, "d-later", 10_000), Value::Null).await.ok();
    assert_eq!(again["delay_id"], id.as_str(), "a repeated request is known by its transaction alone");
    let shown = waiting(&alice).await;
    assert_eq!((shown.len(), &shown[0]["delay_id"]), (1, &json!(id)));
    let fields = (&shown[0]["room_id"], &shown[0]["type"], &shown[0]["delay"], &shown[0]["content"]);
    assert_eq!(fields, (&json!(room), &json!("m.room.message"), &json!(10_000), &text("later")));
    assert!(shown[0].get("state_key").is_none() && shown[0]["running_since"].is_u64());
    assert!(waiting(&bob).await.is_empty(), "nobody sees another's delayed events");
    bob.get(&format!("{ALL}/{id}")).await.refused(404, "M_NOT_FOUND");

    campus.clock.advance(Duration::from_millis(9_999));
    bob.does_not_see(&room, "later").await;
    campus.clock.advance(Duration::from_millis(1));
    let event = bob.sees(&room, "later").await;
    assert_eq!(event["sender"], alice.id);
    assert!(waiting(&alice).await.is_empty());
    let ended = alice.get(&format!("{ALL}?status=finalised")).await.ok()["finalised"][0].clone();
    assert_eq!((&ended["outcome"], &ended["reason"]), (&json!("send"), &json!("delay")));
    assert_eq!(ended["event_id"], event["event_id"]);
    let one = alice.get(&format!("{ALL}/{id}")).await.ok();
    assert_eq!((&one["event_id"], one["finalised_ts"].is_u64()), (&event["event_id"], true));
    alice.post(&format!("{ALL}/{id}/send"), json!({})).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn whoever_knows_its_id_restarts_cancels_or_sends_it() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let stranger = campus.host("alpha.example").stranger();
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;

    let at_once = delays(&alice, &room, "at once", 60_000).await;
    acts(&stranger, &at_once, "send").await;
    bob.sees(&room, "at once").await;

    let never = delays(&alice, &room, "never", 10_000).await;
    let kept_alive = delays(&alice, &room, "kept alive", 10_000).await;
    stranger.post(&format!("{ALL}/{never}"), json!({ "action": "cancel" })).await.ok();
    campus.clock.advance(Duration::from_secs(9));
    acts(&stranger, &kept_alive, "restart").await;
    campus.clock.advance(Duration::from_secs(9));
    bob.does_not_see(&room, "kept alive").await;
    campus.clock.advance(Duration::from_secs(1));
    bob.sees(&room, "kept alive").await;
    bob.does_not_see(&room, "never").await;
    let ended = alice.get(&format!("{ALL}/{never}")).await.ok();
    assert!(ended["finalised_ts"].is_u64() && ended.get("event_id").is_none(), "{ended}");
}

#[tokio::test]
async fn state_is_delayed_too_and_gives_way_to_what_somebody_else_has_set() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    alice.sets(&room, "m.room.power_levels", "", json!({ "users": { &bob.id: 50 } })).await;
    let delayed = |rest: &str| state_path(&room, &format!("{rest}?{DELAY}=5000"));
    alice.put(&delayed("m.room.topic"), json!({ "topic": "by the clock" })).await.ok();
    alice.put(&delayed("org.example/mine"), json!({ "set": "by the clock" })).await.ok();
    alice.put(&delayed("org.example/theirs"), json!({ "set": "by the clock" })).await.ok();
    assert_eq!(waiting(&alice).await.len(), 3);
    alice.sets(&room, "org.example", "mine", json!({ "set": "by hand" })).await;
    bob.sets(&room, "org.example", "theirs", json!({ "set": "by bob" })).await;
    assert_eq!(waiting(&alice).await.len(), 2, "what somebody else has set since is not set again");
    campus.clock.advance(Duration::from_secs(5));
    delays(&alice, &room, "a mark", 1).await;
    campus.clock.advance(Duration::from_millis(1));
    bob.sees(&room, "a mark").await;
    let topic = alice.get(&state_path(&room, "m.room.topic")).await.ok();
    assert_eq!(topic, json!({ "topic": "by the clock" }));
    assert_eq!(alice.get(&state_path(&room, "org.example/mine")).await.ok()["set"], "by the clock");
    assert_eq!(alice.get(&state_path(&room, "org.example/theirs")).await.ok()["set"], "by bob");
}

#[tokio::test]
async fn delays_outlive_the_server_and_are_sent_once() {
    let mut campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    delays(&alice, &room, "soon", 5_000).await;
    delays(&alice, &room, "late", 50_000).await;
    campus.restarts("alpha.example").await;
    let (alice, bob) = (alice.at(campus.host("alpha.example")), bob.at(campus.host("alpha.example")));
    assert_eq!(waiting(&alice).await.len(), 2);
    campus.clock.advance(Duration::from_secs(5));
    bob.sees(&room, "soon").await;
    campus.crashes("alpha.example").await;
    campus.clock.advance(Duration::from_secs(50));
    let (alice, bob) = (alice.at(campus.host("alpha.example")), bob.at(campus.host("alpha.example")));
    bob.sees(&room, "late").await;
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b", encoded(&room));
    let said = alice.get(&path).await.ok()["chunk"].to_string();
    assert_eq!((said.matches("\"soon\"").count(), said.matches("\"late\"").count()), (1, 1));
}

#[tokio::test]
async fn the_newer_way_to_ask_for_one_names_everything_in_the_body() {
    let campus = Campus::of(["alpha.example"]).await;
    let alice = campus.person("alice").await;
    let room = alice.creates_room().await;
    let path = |kind: &str, transaction: &str| {
        let msc4140 = "/_matrix/client/unstable/org.matrix.msc4140";
        format!("{msc4140}/rooms/{}/delayed_event/{kind}/{transaction}", encoded(&room))
    };
    let body = json!({ "delay": 1_000, "content": text("hello") });
    let first = alice.put(&path("m.room.message", "1"), body.clone()).await.ok();
    assert_eq!(alice.put(&path("m.room.message", "1"), body.clone()).await.ok(), first);
    let topic = json!({ "delay": 1_000, "state_key": "", "content": { "topic": "new" } });
    alice.put(&path("m.room.topic", "2"), topic).await.ok();
    alice.put(&path("m.room.topic", "3"), json!({ "delay": 1_000 })).await.refused(400, "M_BAD_JSON");
    campus.clock.advance(Duration::from_secs(1));
    alice.sees(&room, "hello").await;
    let stranger = campus.host("alpha.example").stranger();
    stranger.put(&path("m.room.message", "4"), body).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn what_cannot_be_delayed_is_refused() {
    let settings = "rooms.delay_secs_max = 60\nrooms.delayed_events_max = 2";
    let campus = Campus::with(["alpha.example"], settings).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let stranger = campus.host("alpha.example").stranger();
    let room = alice.creates_room().await;
    alice.put(&send_path(&room, "long", 60_001), text("x")).await.refused(403, "M_FORBIDDEN");
    bob.put(&send_path(&room, "outside", 1_000), text("x")).await.refused(403, "M_FORBIDDEN");
    alice.put(&state_path(&room, &format!("m.room.create?{DELAY}=1")), json!({})).await.refused(403, "M_FORBIDDEN");
    alice.put(&send_path(&room, "list", 1_000), json!([])).await.refused(400, "M_BAD_JSON");
    let path = send_path(&room, "number", 1).replace("=1", "=-1");
    alice.put(&path, text("x")).await.refused(400, "M_INVALID_PARAM");
    let id = delays(&alice, &room, "one", 1_000).await;
    delays(&alice, &room, "two", 1_000).await;
    alice.put(&send_path(&room, "three", 1_000), text("x")).await.refused(400, "M_UNKNOWN");

    stranger.put(&send_path(&room, "nobody", 1_000), text("x")).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(ALL).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(&format!("{ALL}/{id}")).await.refused(401, "M_MISSING_TOKEN");
    alice.get(&format!("{ALL}?status=nonsense")).await.refused(400, "M_INVALID_PARAM");
    alice.get(&format!("{ALL}/nonsense")).await.refused(404, "M_NOT_FOUND");
    for action in ["send", "restart", "cancel"] {
        stranger.post(&format!("{ALL}/nonsense/{action}"), json!({})).await.refused(404, "M_NOT_FOUND");
    }
    stranger.post(&format!("{ALL}/{id}/oops"), json!({})).await.refused(404, "M_UNRECOGNIZED");
    stranger.post(&format!("{ALL}/{id}"), json!({})).await.refused(400, "M_MISSING_PARAM");
    stranger.post(&format!("{ALL}/{id}"), json!({ "action": "oops" })).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_is_not_permitted_when_its_time_comes_is_not_sent() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    let id = delays(&bob, &room, "from afar", 1_000).await;
    let other = delays(&bob, &room, "by hand", 50_000).await;
    bob.leaves(&room).await;
    campus.clock.advance(Duration::from_secs(1));
    bob.post(&format!("{ALL}/{other}/send"), json!({})).await.refused(403, "M_FORBIDDEN");
    alice.says(&room, "a mark").await;
    alice.sees(&room, "a mark").await;
    alice.does_not_see(&room, "from afar").await;
    let ended = bob.get(&format!("{ALL}?delay_id={other}")).await.ok()["finalised"][0].clone();
    assert_eq!((&ended["outcome"], &ended["error"]["errcode"]), (&json!("cancel"), &json!("M_FORBIDDEN")));
    assert!(!waiting(&bob).await.iter().any(|one| one["delay_id"] == other.as_str()));
    drop(id);
}
