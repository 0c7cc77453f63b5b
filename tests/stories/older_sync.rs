//! What clients asked before there was `/sync`: `/initialSync`, `/events`, one event by its id alone.

use serde_json::json;

use super::support::{Campus, encoded};

#[tokio::test]
async fn the_first_look_has_rooms_and_the_next_what_came_since() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let room = anna.creates_room_with(json!({ "name": "Greek" })).await;
    for text in ["one", "two", "three"] {
        anna.says(&room, text).await;
    }
    let asked = ben.creates_room().await;
    ben.invites(&asked, &anna).await;

    let first = anna.get("/_matrix/client/v3/initialSync?limit=2").await.ok();
    let told = |id: &str| first["rooms"].as_array().unwrap().iter().find(|room| room["room_id"] == id).cloned();
    let greek = told(&room).expect("her room");
    assert_eq!((&greek["membership"], &greek["visibility"]), (&json!("join"), &json!("private")));
    let chunk = greek["messages"]["chunk"].as_array().unwrap();
    let texts: Vec<_> = chunk.iter().map(|event| event["content"]["body"].as_str().unwrap_or_default()).collect();
    assert_eq!(texts, ["two", "three"]);
    assert_eq!(chunk[0]["room_id"], room);
    let start = greek["messages"]["start"].as_str().expect("from where to page back");
    let page = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=1&from={start}", encoded(&room));
    assert_eq!(anna.get(&page).await.ok()["chunk"][0]["content"]["body"], "one");
    let state = greek["state"].as_array().unwrap();
    assert!(state.iter().any(|event| event["type"] == "m.room.name" && event["room_id"] == room), "{state:?}");
    let invite = told(&asked).expect("the room she is asked into");
    assert_eq!((&invite["membership"], &invite["invite"]["state_key"]), (&json!("invite"), &json!(anna.id)));

    anna.says(&room, "four").await;
    let from = first["end"].as_str().unwrap();
    let news = anna.get(&format!("/_matrix/client/v3/events?from={from}&timeout=0")).await.ok();
    let message = news["chunk"].as_array().unwrap().iter().find(|event| event["content"]["body"] == "four");
    assert_eq!(message.expect("the new message")["room_id"], room);
    assert_eq!(news["start"], from);
    assert_ne!(news["end"], from);

    anna.get("/_matrix/client/v3/events?from=elsewhere").await.refused_as("getEvents 400 *");
    let stranger = campus.host("alpha.example").stranger();
    for path in ["initialSync", "events"] {
        stranger.get(&format!("/_matrix/client/v3/{path}")).await.refused(401, "M_MISSING_TOKEN");
    }
}

#[tokio::test]
async fn one_event_is_shown_to_whom_its_room_is_open() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let room = anna.creates_room().await;
    let event = anna.says(&room, "hi").await;
    let path = |id: &str| format!("/_matrix/client/v3/events/{}", encoded(id));
    let shown = anna.get(&path(&event)).await.ok();
    assert_eq!((&shown["room_id"], &shown["content"]["body"]), (&json!(room), &json!("hi")));
    ben.get(&path(&event)).await.refused(404, "M_NOT_FOUND");
    anna.get(&path("$nothing")).await.refused_as("getOneEvent 404 *");
    campus.host("alpha.example").stranger().get(&path(&event)).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn who_left_the_last_shared_room_is_left_in_key_changes() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let room = anna.creates_public_room().await;
    ben.joins(&room).await;
    let token = |answer: serde_json::Value| answer["next_batch"].as_str().unwrap().to_owned();
    let from = token(anna.syncs("timeout=0").await);
    ben.leaves(&room).await;
    let between = token(anna.syncs("timeout=0").await);
    ben.joins(&room).await;
    let to = token(anna.syncs("timeout=0").await);
    let changes = |from: &str, to: &str| format!("/_matrix/client/v3/keys/changes?from={from}&to={to}");
    let back = anna.get(&changes(&between, &to)).await.ok();
    assert_eq!(back, json!({ "changed": [ben.id], "left": [] }));
    ben.leaves(&room).await;
    let end = token(anna.syncs("timeout=0").await);
    let gone = anna.get(&changes(&from, &end)).await.ok();
    assert_eq!(gone, json!({ "changed": [], "left": [ben.id] }));
    anna.get(&changes("x", &end)).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_was_set_for_a_room_holds_for_its_successor() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let room = anna.creates_public_room().await;
    ben.joins(&room).await;
    let of = |person: &crate::support::Person, rest: &str| format!("/_matrix/client/v3/user/{}/{rest}", person.id);
    for person in [&anna, &ben] {
        let tag = of(person, &format!("rooms/{}/tags/m.favourite", encoded(&room)));
        person.put(&tag, json!({ "order": 0.5 })).await.ok();
    }
    let direct = of(&ben, "account_data/m.direct");
    ben.put(&direct, json!({ &anna.id: [room] })).await.ok();
    let rule = |kind: &str, id: &str| format!("/_matrix/client/v3/pushrules/global/{kind}/{}", encoded(id));
    ben.put(&rule("room", &room), json!({ "actions": ["notify"] })).await.ok();
    let mute = json!({
        "conditions": [{ "kind": "event_match", "key": "room_id", "pattern": room }], "actions": [],
    });
    ben.put(&rule("override", &room), mute).await.ok();

    let upgrade = format!("/_matrix/client/v3/rooms/{}/upgrade", encoded(&room));
    let answer = anna.post(&upgrade, json!({ "new_version": "12" })).await.ok();
    let new = answer["replacement_room"].as_str().expect("a room").to_owned();
    ben.joins(&new).await;
    for person in [&anna, &ben] {
        let tags = person.get(&of(person, &format!("rooms/{}/tags", encoded(&new)))).await.ok();
        assert_eq!(tags["tags"]["m.favourite"]["order"], 0.5, "{}", person.id);
    }
    assert_eq!(ben.get(&direct).await.ok()[&anna.id], json!([room, new]));
    assert_eq!(ben.get(&rule("room", &new)).await.ok()["actions"], json!(["notify"]));
    assert_eq!(ben.get(&rule("override", &new)).await.ok()["conditions"][0]["pattern"], json!(new));
}
