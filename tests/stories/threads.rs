//! Threads that people follow (MSC4306), and how their clients learn of it (MSC4308).

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded, gateway::Outsider};

const EXTENSION: &str = "io.element.msc4308.thread_subscriptions";
const ALL: &str = "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions?dir=b";

fn subscription(room: &str, root: &str) -> String {
    let (room, root) = (encoded(room), encoded(root));
    format!("/_matrix/client/unstable/io.element.msc4306/rooms/{room}/thread/{root}/subscription")
}

/// Says something in a thread.
async fn replies(person: &Person, room: &str, root: &str, text: &str) -> String {
    let content = json!({ "body": text, "m.relates_to": { "event_id": root, "rel_type": "m.thread" } });
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{}", encoded(room), encoded(text));
    person.put(&path, content).await.ok()["event_id"].as_str().expect("an id").to_owned()
}

/// One sliding sync: the next position, and what it says of threads.
async fn slides(person: &Person, pos: Option<&str>, limit: u64) -> (String, Value) {
    let query = pos.map_or_else(String::new, |pos| format!("?pos={}&timeout=0", encoded(pos)));
    let path = format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync{query}");
    let body = json!({ "extensions": { EXTENSION: { "enabled": true, "limit": limit } } });
    let answer = person.post(&path, body).await.ok();
    (answer["pos"].as_str().expect("a position").to_owned(), answer["extensions"][EXTENSION].clone())
}

#[tokio::test]
async fn a_thread_is_followed_by_hand_or_because_of_something_in_it() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let (root, other) = (ann.says(&room, "root").await, ann.says(&room, "other").await);
    let path = subscription(&room, &root);
    ann.get(&path).await.refused(404, "M_NOT_FOUND");
    ann.delete(&path).await.ok();

    let reply = replies(&ann, &room, &root, "first").await;
    ann.put(&path, json!({ "automatic": reply })).await.ok();
    assert_eq!(ann.get(&path).await.ok(), json!({ "automatic": true }));
    ann.put(&path, json!({})).await.ok();
    assert_eq!(ann.get(&path).await.ok(), json!({ "automatic": false }));
    ann.put(&path, json!({ "automatic": reply })).await.ok();
    assert_eq!(ann.get(&path).await.ok(), json!({ "automatic": false }), "what was chosen stays");

    ann.delete(&path).await.ok();
    ann.get(&path).await.refused(404, "M_NOT_FOUND");
    let conflict = "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION";
    ann.put(&path, json!({ "automatic": reply })).await.refused(409, conflict);
    ann.get(&path).await.refused(404, "M_NOT_FOUND");
    let later = replies(&ann, &room, &root, "second").await;
    ann.put(&path, json!({ "automatic": later })).await.ok();

    let elsewhere = replies(&ann, &room, &other, "elsewhere").await;
    for cause in [&root, &elsewhere, &other, &"$unknown".to_owned()] {
        let wrong = json!({ "automatic": cause });
        ann.put(&path, wrong).await.refused(400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD");
    }
    ann.put(&path, json!({ "automatic": 5 })).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn nobody_follows_what_they_cannot_see() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let room = ann.creates_room().await;
    let root = ann.says(&room, "root").await;
    for (person, root) in [(&eve, root.as_str()), (&ann, "$unknown"), (&ann, "$unknown:alpha")] {
        let path = subscription(&room, root);
        person.get(&path).await.refused(404, "M_NOT_FOUND");
        person.put(&path, json!({})).await.refused(404, "M_NOT_FOUND");
        person.delete(&path).await.refused(404, "M_NOT_FOUND");
    }
    ann.put(&subscription(&room, &root), json!({})).await.ok();
    assert_eq!(eve.get(ALL).await.ok(), json!({ "subscribed": {}, "unsubscribed": {} }));
}

#[tokio::test]
async fn clients_learn_which_threads_are_followed() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let mut roots = Vec::new();
    for n in 0..5 {
        let root = ann.says(&room, &format!("root {n}")).await;
        ann.put(&subscription(&room, &root), json!({})).await.ok();
        roots.push(root);
    }
    ann.delete(&subscription(&room, &roots[4])).await.ok();

    let (pos, first) = slides(&ann, None, 3).await;
    let known = |answer: &Value, what: &str| -> Vec<String> {
        answer[what][&room].as_object().into_iter().flatten().map(|(root, _)| root.clone()).collect()
    };
    let sorted = |roots: &[String]| {
        let mut roots = roots.to_vec();
        roots.sort();
        roots
    };
    assert_eq!(known(&first, "subscribed"), sorted(&roots[2..4]));
    assert_eq!(first["unsubscribed"], Value::Null, "what was given up before is no news");
    assert_eq!(first["subscribed"][&room][&roots[3]]["automatic"], false);
    let before = encoded(first["prev_batch"].as_str().expect("there is more"));
    let rest = ann.get(&format!("{ALL}&from={before}&limit=1")).await.ok();
    assert_eq!(known(&rest, "subscribed"), roots[1..2]);
    let before = encoded(rest["end"].as_str().expect("there is more"));
    let rest = ann.get(&format!("{ALL}&from={before}")).await.ok();
    assert_eq!((known(&rest, "subscribed"), &rest["end"]), (roots[..1].to_vec(), &Value::Null));

    let (pos, quiet) = slides(&ann, Some(&pos), 3).await;
    assert_eq!(quiet, Value::Null);
    ann.delete(&subscription(&room, &roots[0])).await.ok();
    let (_, news) = slides(&ann, Some(&pos), 3).await;
    assert_eq!((known(&news, "unsubscribed"), known(&news, "subscribed")), (roots[..1].to_vec(), Vec::new()));

    let all = ann.get(ALL).await.ok();
    assert_eq!(known(&all, "subscribed"), sorted(&roots[1..4]));
    ann.get(&ALL.replace("dir=b", "dir=f")).await.refused(400, "M_INVALID_PARAM");
    ann.get(&format!("{ALL}&from=s1_2_3")).await.refused(400, "M_INVALID_PARAM");
    ann.get(ALL.trim_end_matches("?dir=b")).await.refused(400, "M_MISSING_PARAM");
}

/// How much of a room is unread, as sync says it: outside threads, and by thread.
async fn unread(person: &Person, room: &str) -> (Value, Value) {
    let filter = encoded(&json!({ "room": { "timeline": { "unread_thread_notifications": true } } }).to_string());
    let answer = person.get(&format!("/_matrix/client/v3/sync?filter={filter}")).await.ok();
    let joined = &answer["rooms"]["join"][room];
    let counts = |counts: &Value| counts["notification_count"].clone();
    let threads = joined["unread_thread_notifications"].as_object().into_iter().flatten();
    (counts(&joined["unread_notifications"]), threads.map(|(root, of)| (root.clone(), counts(of))).collect())
}

/// How much of a room is unread, as sliding sync says it.
async fn slid_unread(person: &Person, room: &str) -> (Value, Value) {
    let list = json!({ "ranges": [[0, 9]], "timeline_limit": 1, "required_state": [] });
    let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
    let answer = person.post(path, json!({ "lists": { "all": list } })).await.ok();
    let room = &answer["rooms"][room];
    (room["notification_count"].clone(), room["highlight_count"].clone())
}

#[tokio::test]
async fn followed_threads_notify_whatever_the_room_says_and_others_do_not() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let (root, other) = (ann.says(&room, "root").await, ann.says(&room, "other").await);
    let reply = replies(&ann, &room, &root, "first").await;
    replies(&ann, &room, &other, "elsewhere").await;
    let all = json!({ &root: 1, &other: 1 });
    assert_eq!(unread(&ben, &room).await, (json!(2), all), "nobody follows anything who never did");

    ben.put(&subscription(&room, &root), json!({ "automatic": reply })).await.ok();
    assert_eq!(unread(&ben, &room).await, (json!(2), json!({ &root: 1 })));
    let mention = json!({
        "body": "ben!", "m.mentions": { "user_ids": [ben.id] },
        "m.relates_to": { "event_id": other, "rel_type": "m.thread" },
    });
    ann.sends(&room, "m.room.message", mention).await;
    assert_eq!(unread(&ben, &room).await.1, json!({ &root: 1, &other: 1 }), "a mention reaches everybody");
    assert_eq!(slid_unread(&ben, &room).await, (json!(4), json!(1)));

    let mute = format!("/_matrix/client/v3/pushrules/global/room/{}", encoded(&room));
    ben.put(&mute, json!({ "actions": [] })).await.ok();
    replies(&ann, &room, &root, "second").await;
    assert_eq!(unread(&ben, &room).await, (json!(0), json!({ &root: 2, &other: 1 })), "the room is muted");
    assert_eq!(slid_unread(&ben, &room).await, (json!(3), json!(1)));

    ben.delete(&subscription(&room, &root)).await.ok();
    assert_eq!(unread(&ben, &room).await, (json!(0), json!({ &other: 1 })));
    assert_eq!(unread(&ann, &room).await, (json!(0), json!({})), "one's own are no news");
}

#[tokio::test]
async fn only_followed_threads_are_pushed() {
    let campus = Campus::of(["alpha.example"]).await;
    let gateway = Outsider::at(&campus, "push.example");
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let pusher = json!({
        "kind": "http", "app_id": "org.example", "pushkey": "phone", "app_display_name": "App", "lang": "en",
        "device_display_name": "Phone", "data": { "url": "https://push.example/_matrix/push/v1/notify" },
    });
    ben.post("/_matrix/client/v3/pushers/set", pusher).await.ok();
    let (root, other) = (ann.says(&room, "root").await, ann.says(&room, "other").await);
    ben.put(&subscription(&room, &root), json!({})).await.ok();
    let quiet = replies(&ann, &room, &other, "of no concern").await;
    let loud = replies(&ann, &room, &root, "of concern").await;
    let call = gateway.hears("the reply", |call| call.json["notification"]["event_id"] == loud).await;
    assert_eq!(call.json["notification"]["devices"][0]["tweaks"], json!({ "sound": "default" }));
    campus.settle().await;
    assert!(gateway.calls().iter().all(|call| call.json["notification"]["event_id"] != quiet));
    let listed = ben.get("/_matrix/client/v3/notifications").await.ok();
    let listed: Vec<_> = listed["notifications"].as_array().into_iter().flatten().collect();
    assert!(listed.iter().any(|one| one["event"]["event_id"] == loud));
    assert!(listed.iter().all(|one| one["event"]["event_id"] != quiet));
}

#[tokio::test]
async fn the_rules_about_threads_can_be_switched_off_but_none_be_added() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let rule = |id: &str| format!("/_matrix/client/v3/pushrules/global/postcontent/{id}");
    let (quiet, loud) = (".io.element.msc4306.rule.unsubscribed_thread", ".io.element.msc4306.rule.subscribed_thread");
    let rules = ben.get("/_matrix/client/v3/pushrules/").await.ok();
    let condition =
        |subscribed: bool| json!([{ "kind": "io.element.msc4306.thread_subscription", "subscribed": subscribed }]);
    let sound = json!(["notify", { "set_tweak": "sound", "value": "default" }]);
    assert_eq!(
        rules["global"]["postcontent"],
        json!([
            { "rule_id": quiet, "default": true, "enabled": true, "conditions": condition(false), "actions": [] },
            { "rule_id": loud, "default": true, "enabled": true, "conditions": condition(true), "actions": sound },
        ])
    );
    ben.put(&rule("mine"), json!({ "conditions": [], "actions": [] })).await.refused(400, "M_INVALID_PARAM");
    ben.delete(&rule(quiet)).await.refused(400, "M_INVALID_PARAM");
    ben.delete(&rule("mine")).await.refused(404, "M_NOT_FOUND");

    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let (root, other) = (ann.says(&room, "root").await, ann.says(&room, "other").await);
    ben.put(&subscription(&room, &root), json!({})).await.ok();
    replies(&ann, &room, &other, "elsewhere").await;
    assert_eq!(unread(&ben, &room).await.1, json!({}));
    ben.put(&format!("{}/enabled", rule(quiet)), json!({ "enabled": false })).await.ok();
    assert_eq!(unread(&ben, &room).await.1, json!({ &other: 1 }));
    let long = rule(quiet).replace("postcontent", "io.element.msc4306.postcontent");
    assert_eq!(ben.get(&long).await.ok()["enabled"], false, "as clients built on ruma ask");
    ben.put(&format!("{long}/actions"), json!({ "actions": ["notify"] })).await.ok();
    assert_eq!(ben.get(&format!("{}/actions", rule(quiet))).await.ok(), json!({ "actions": ["notify"] }));
}
