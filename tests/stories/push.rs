//! Notifications: pushers and their gateways, and the list of what would have notified.

use serde_json::{Value, json};
use std::time::Duration;

use crate::support::gateway::{Call, Outsider};
use crate::support::{Campus, Person, encoded};

const PUSHERS: &str = "/_matrix/client/v3/pushers";
const SET: &str = "/_matrix/client/v3/pushers/set";
const LIST: &str = "/_matrix/client/v3/notifications";
const GATEWAY: &str = "https://push.example/_matrix/push/v1/notify";

fn pusher(key: &str) -> Value {
    json!({
        "kind": "http", "app_id": "org.example", "pushkey": key, "app_display_name": "App", "lang": "en",
        "device_display_name": "Phone", "data": { "url": GATEWAY, "brand": "example" },
    })
}

async fn sets(person: &Person, key: &str) {
    person.post(SET, pusher(key)).await.ok();
}

async fn keys(person: &Person) -> Vec<String> {
    let pushers = person.get(PUSHERS).await.ok()["pushers"].clone();
    let key = |pusher: &Value| pusher["pushkey"].as_str().expect("a pushkey").to_owned();
    pushers.as_array().expect("a list").iter().map(key).collect()
}

fn of<'a>(event: &'a str, key: &'a str) -> impl Fn(&Call) -> bool + 'a {
    move |call| {
        let notification = &call.json["notification"];
        notification["event_id"] == event && notification["devices"][0]["pushkey"] == key
    }
}

async fn reads(person: &Person, room: &str, kind: &str, event: &str) {
    let path = format!("/_matrix/client/v3/rooms/{}/receipt/{kind}/{}", encoded(room), encoded(event));
    person.post(&path, json!({})).await.ok();
}

async fn a_room_of(alice: &Person, bob: &Person) -> String {
    let room = alice.creates_room_with(json!({ "preset": "public_chat", "name": "Greek" })).await;
    bob.joins(&room).await;
    room
}

#[tokio::test]
async fn a_message_is_pushed_to_those_whom_it_concerns() {
    let campus = Campus::of(["alpha.example"]).await;
    let gateway = Outsider::at(&campus, "push.example");
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = a_room_of(&alice, &bob).await;
    campus.person("carol").await.joins(&room).await;
    sets(&alice, "phone").await;
    sets(&bob, "bobs").await;
    let name = format!("/_matrix/client/v3/profile/{}/displayname", bob.id);
    bob.put(&name, json!({ "displayname": "Bob" })).await.ok();
    let event = bob.says(&room, "hello").await;
    let call = gateway.hears("the message", of(&event, "phone")).await;
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/_matrix/push/v1/notify"));
    assert_eq!(
        call.json["notification"],
        json!({
            "event_id": event, "id": event, "room_id": room, "type": "m.room.message", "sender": bob.id, "room_name": "Greek",
            "sender_display_name": "Bob", "content": { "msgtype": "m.text", "body": "hello" }, "prio": "low",
            "counts": { "unread": 1 },
            "devices": [{
                "app_id": "org.example", "pushkey": "phone", "pushkey_ts": 1_793_606_400,
                "data": { "brand": "example" }, "tweaks": {},
            }],
        })
    );
    let mention = json!({ "msgtype": "m.text", "body": "alice!", "m.mentions": { "user_ids": [alice.id] } });
    let event = bob.sends(&room, "m.room.message", mention).await;
    let call = gateway.hears("the mention", of(&event, "phone")).await;
    let notification = &call.json["notification"];
    assert_eq!((&notification["prio"], &notification["counts"]), (&json!("high"), &json!({ "unread": 2 })));
    assert_eq!(notification["devices"][0]["tweaks"], json!({ "highlight": true, "sound": "default" }));
    campus.settle().await;
    let own =
        gateway.calls().iter().filter(|call| call.json["notification"]["devices"][0]["pushkey"] == "bobs").count();
    assert_eq!(own, 0, "nobody is told of what they said themselves");
}

#[tokio::test]
async fn reading_lowers_the_count_and_what_was_read_is_not_pushed() {
    let campus = Campus::of(["alpha.example"]).await;
    let gateway = Outsider::at(&campus, "push.example");
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = a_room_of(&alice, &bob).await;
    sets(&alice, "phone").await;
    for kind in ["m.read", "m.read.private"] {
        let event = bob.says(&room, "read me").await;
        gateway.hears("the message", of(&event, "phone")).await;
        let before = gateway.calls().len();
        reads(&alice, &room, kind, &event).await;
        campus.settle().await;
        let calls = gateway.calls();
        let told = &calls[before..];
        assert_eq!(told.len(), 1, "{kind}: {told:#?}");
        let notification = &told[0].json["notification"];
        assert_eq!((&notification["counts"], &notification["event_id"]), (&json!({ "unread": 0 }), &Value::Null));
        assert_eq!(notification["devices"][0]["pushkey"], "phone");
    }
    campus.wires.cut("alpha.example", "push.example");
    let event = bob.says(&room, "read before it could be pushed").await;
    campus.settle().await;
    reads(&alice, &room, "m.read", &event).await;
    campus.wires.heal("alpha.example", "push.example");
    campus.clock.advance(Duration::from_secs(1));
    let mark = bob.says(&room, "a mark").await;
    gateway.hears("the mark", of(&mark, "phone")).await;
    assert!(!gateway.calls().iter().any(of(&event, "phone")), "what was read is told to nobody");
}

#[tokio::test]
async fn event_id_only_tells_no_more_and_a_switched_off_pusher_is_told_nothing() {
    let campus = Campus::of(["alpha.example"]).await;
    let gateway = Outsider::at(&campus, "push.example");
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = a_room_of(&alice, &bob).await;
    let mut short = pusher("short");
    short["data"]["format"] = "event_id_only".into();
    alice.post(SET, short).await.ok();
    let mut off = pusher("off");
    off["org.matrix.msc3881.enabled"] = false.into();
    alice.post(SET, off).await.ok();
    let event = bob.says(&room, "a secret").await;
    let call = gateway.hears("the event's id", of(&event, "short")).await;
    let fields: Vec<_> = call.json["notification"].as_object().expect("an object").keys().cloned().collect();
    assert_eq!(fields, ["counts", "devices", "event_id", "prio", "room_id"]);
    assert_eq!(
        call.json["notification"]["devices"][0]["data"],
        json!({ "brand": "example", "format": "event_id_only" })
    );
    campus.settle().await;
    assert_eq!(gateway.calls().len(), 1);
}

#[tokio::test]
async fn an_invite_is_pushed_from_here_and_from_elsewhere_and_not_from_those_one_ignores() {
    let campus = Campus::of(["alpha.example"]).await;
    let gateway = Outsider::at(&campus, "push.example");
    let (alice, bob, carol) = (campus.person("alice").await, campus.person("bob").await, campus.person("carol").await);
    sets(&alice, "phone").await;
    let ignored = format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", alice.id);
    alice.put(&ignored, json!({ "ignored_users": { &carol.id: {} } })).await.ok();
    carol.creates_room_with(json!({ "invite": [alice.id] })).await;
    let room = bob.creates_room_with(json!({ "invite": [alice.id], "name": "Club" })).await;
    let call = gateway.hears("the invite", |call| call.json["notification"]["room_id"] == room.as_str()).await;
    let notification = &call.json["notification"];
    let fields = (&notification["user_is_target"], &notification["membership"], &notification["room_name"]);
    assert_eq!(fields, (&json!(true), &json!("invite"), &json!("Club")));
    assert_eq!(notification["devices"][0]["tweaks"], json!({ "sound": "default" }));
    campus.settle().await;
    assert_eq!(gateway.calls().len(), 1, "{:#?}", gateway.calls());
}

#[tokio::test]
async fn a_gateway_that_fails_is_tried_again_in_order_and_slows_nobody() {
    let campus = Campus::of(["alpha.example"]).await;
    let (gateway, other) = (Outsider::at(&campus, "push.example"), Outsider::at(&campus, "other.example"));
    let (alice, bob, carol) = (campus.person("alice").await, campus.person("bob").await, campus.person("carol").await);
    let room = a_room_of(&alice, &bob).await;
    carol.joins(&room).await;
    sets(&alice, "phone").await;
    let mut elsewhere = pusher("carols");
    elsewhere["data"]["url"] = GATEWAY.replace("push.", "other.").into();
    carol.post(SET, elsewhere).await.ok();
    gateway.answers_next(500, json!({}));
    gateway.answers_next(502, json!("garbage"));
    let first = bob.says(&room, "one").await;
    gateway.hears("the first try", |call| call.status == 500).await;
    let second = bob.says(&room, "two").await;
    other.hears("carol is told meanwhile", of(&second, "carols")).await;
    assert_eq!(gateway.calls().len(), 1, "no second try before its time");
    campus.clock.advance(Duration::from_secs(1));
    gateway.hears("the second try", |call| call.status == 502).await;
    campus.settle().await;
    campus.clock.advance(Duration::from_secs(2));
    gateway.hears("the second message", of(&second, "phone")).await;
    let taken: Vec<_> = gateway.calls().into_iter().filter(|call| call.status == 200).collect();
    assert!(of(&first, "phone")(&taken[0]) && of(&second, "phone")(&taken[1]) && taken.len() == 2, "{taken:#?}");
}

#[tokio::test]
async fn nothing_is_lost_over_a_restart_nor_a_crash() {
    let mut campus = Campus::of(["alpha.example"]).await;
    let gateway = Outsider::at(&campus, "push.example");
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = a_room_of(&alice, &bob).await;
    sets(&alice, "phone").await;
    campus.settle().await;
    campus.wires.cut("alpha.example", "push.example");
    let noted = bob.says(&room, "noted").await;
    campus.settle().await;
    campus.restarts("alpha.example").await;
    let bob = bob.at(campus.host("alpha.example"));
    campus.settle().await;
    let read_again = bob.says(&room, "read again from the stream").await;
    campus.crashes("alpha.example").await;
    campus.wires.heal("alpha.example", "push.example");
    campus.clock.advance(Duration::from_secs(60));
    gateway.hears("what was noted", of(&noted, "phone")).await;
    gateway.hears("what was read again", of(&read_again, "phone")).await;
    campus.settle().await;
    campus.restarts("alpha.example").await;
    campus.settle().await;
    assert_eq!(
        gateway.calls().iter().filter(|call| of(&noted, "phone")(call)).count(),
        1,
        "what was taken is not told again"
    );
}

#[tokio::test]
async fn a_pusher_goes_with_its_device_its_rejection_and_its_removal() {
    let campus = Campus::of(["alpha.example"]).await;
    let gateway = Outsider::at(&campus, "push.example");
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = a_room_of(&alice, &bob).await;
    let laptop = alice.on_another_device().await;
    for key in ["stale", "phone", "unwanted"] {
        sets(&alice, key).await;
    }
    sets(&laptop, "laptop").await;
    assert_eq!(keys(&alice).await, ["laptop", "phone", "stale", "unwanted"]);
    alice.post(SET, json!({ "kind": null, "app_id": "org.example", "pushkey": "unwanted" })).await.ok();
    laptop.post("/_matrix/client/v3/logout", json!({})).await.ok();
    assert_eq!(keys(&alice).await, ["phone", "stale"], "what its device set is gone with the device");
    gateway.answers_at("/_matrix/push", 200, json!({ "rejected": ["stale"] }));
    let event = bob.says(&room, "who is there?").await;
    gateway.hears("the phone", of(&event, "phone")).await;
    gateway.hears("the stale one, once", of(&event, "stale")).await;
    campus.settle().await;
    assert_eq!(keys(&alice).await, ["phone"]);
    let event = bob.says(&room, "and now?").await;
    gateway.hears("the phone", of(&event, "phone")).await;
    campus.settle().await;
    assert_eq!(gateway.calls().len(), 3, "{:#?}", gateway.calls());
}

#[tokio::test]
async fn a_pushkey_changes_hands_unless_it_is_appended() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob, carol) = (campus.person("alice").await, campus.person("bob").await, campus.person("carol").await);
    sets(&alice, "shared").await;
    let mut also = pusher("shared");
    also["append"] = true.into();
    bob.post(SET, also).await.ok();
    assert_eq!((keys(&alice).await.len(), keys(&bob).await.len()), (1, 1));
    sets(&carol, "shared").await;
    assert_eq!((keys(&alice).await.len(), keys(&bob).await.len(), keys(&carol).await.len()), (0, 0, 1));
}

#[tokio::test]
async fn a_pusher_that_cannot_be_is_refused() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, stranger) = (campus.person("alice").await, campus.host("alpha.example").stranger());
    let with = |field: &str, value: Value| {
        let mut changed = pusher("key");
        changed[field] = value;
        changed
    };
    let without = |field: &str| {
        let mut changed = pusher("key");
        changed.as_object_mut().expect("an object").remove(field);
        changed
    };
    for field in ["kind", "app_id", "pushkey", "app_display_name", "device_display_name", "lang", "data"] {
        alice.post(SET, without(field)).await.refused_as("postPusher 400 M_MISSING_PARAM");
    }
    alice.post(SET, with("data", json!({}))).await.refused(400, "M_MISSING_PARAM");
    alice.post(SET, with("data", json!({ "url": "https://push.example/" }))).await.refused(400, "M_INVALID_PARAM");
    alice.post(SET, with("kind", json!("email"))).await.refused(400, "M_INVALID_PARAM");
    alice.post(SET, with("kind", json!(7))).await.refused(400, "M_INVALID_PARAM");
    alice.post(SET, with("app_id", json!("x".repeat(65)))).await.refused(400, "M_INVALID_PARAM");
    alice.post(SET, with("pushkey", json!("x".repeat(513)))).await.refused(400, "M_INVALID_PARAM");
    alice.post(SET, with("lang", json!(7))).await.refused(400, "M_BAD_JSON");
    stranger.post(SET, pusher("key")).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(PUSHERS).await.refused(401, "M_MISSING_TOKEN");
    assert!(keys(&alice).await.is_empty());
}

#[tokio::test]
async fn the_list_of_notifications_is_paged_over_all_rooms_newest_first() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let (greek, latin) = (a_room_of(&alice, &bob).await, a_room_of(&alice, &bob).await);
    let mut said = Vec::new();
    for n in 0..6 {
        let room = if n % 2 == 0 { &greek } else { &latin };
        said.push(bob.says(room, &format!("line {n}")).await);
    }
    alice.says(&greek, "one's own").await;
    let mention = json!({ "msgtype": "m.text", "body": "alice!", "m.mentions": { "user_ids": [alice.id] } });
    let loud = bob.sends(&latin, "m.room.message", mention).await;
    reads(&alice, &greek, "m.read", &said[2]).await;
    let ids = |answer: &Value| -> Vec<String> {
        let all = answer["notifications"].as_array().expect("a list").clone();
        all.iter().map(|one| one["event"]["event_id"].as_str().expect("an id").to_owned()).collect()
    };
    let first = alice.get(&format!("{LIST}?limit=4")).await.ok();
    assert_eq!(ids(&first), [&loud, &said[5], &said[4], &said[3]].map(String::clone));
    let one = &first["notifications"][0];
    assert_eq!((&one["room_id"], &one["read"], one["ts"].is_u64()), (&json!(latin), &json!(false), true));
    assert_eq!(one["actions"][0], "notify");
    let token = first["next_token"].as_str().expect("there is more");
    let rest = alice.get(&format!("{LIST}?limit=4&from={token}")).await.ok();
    assert_eq!(ids(&rest), [&said[2], &said[1], &said[0]].map(String::clone));
    assert!(rest["next_token"].is_null(), "{rest}");
    assert_eq!(rest["notifications"][0]["read"], true);
    assert_eq!(ids(&alice.get(&format!("{LIST}?only=highlight")).await.ok()), [loud]);
    alice.get(&format!("{LIST}?from=nonsense")).await.refused(400, "M_INVALID_PARAM");
    campus.host("alpha.example").stranger().get(LIST).await.refused(401, "M_MISSING_TOKEN");
}
