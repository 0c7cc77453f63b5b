//! Rooms over HTTP: making them, coming and going, state, messages, history, aliases.

use super::support::{Campus, Person, encoded};
use serde_json::{Value, json};

fn room_path(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(room))
}

async fn messages(person: &Person, room: &str, query: &str) -> Vec<String> {
    let answer = person.get(&room_path(room, &format!("messages?{query}"))).await.ok();
    let chunk = answer["chunk"].as_array().unwrap().clone();
    chunk.iter().filter_map(|event| event["content"]["body"].as_str()).map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn two_people_meet_and_talk() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_room_with(json!({ "name": "Greek", "topic": "Verbs", "invite": [ben.id] })).await;
    ben.joins(&room).await;
    ann.says(&room, "hi").await;
    ben.says(&room, "hello").await;
    assert_eq!(messages(&ben, &room, "dir=b").await, ["hello", "hi"]);
    assert_eq!(messages(&ann, &room, "dir=f&limit=50").await, ["hi", "hello"]);
    let rooms = ben.get("/_matrix/client/v3/joined_rooms").await.ok();
    assert_eq!(rooms["joined_rooms"], json!([room]));
    let joined = ann.get(&room_path(&room, "joined_members")).await.ok();
    assert_eq!(joined["joined"].as_object().unwrap().len(), 2);
    let members = ann.get(&room_path(&room, "members?membership=join")).await.ok();
    assert_eq!(members["chunk"].as_array().unwrap().len(), 2);
    let name = ben.get(&room_path(&room, "state/m.room.name")).await.ok();
    assert_eq!(name, json!({ "name": "Greek" }));
    let name = ben.get(&room_path(&room, "state/m.room.name/?format=event")).await.ok();
    assert_eq!(name["sender"], ann.id);
    ann.says(&room, "bye").await;
    ben.sees(&room, "bye").await;
}

#[tokio::test]
async fn who_is_outside_is_refused_and_nothing_changes() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let room = ann.creates_room().await;
    let said = ann.says(&room, "private").await;
    for room in [room.as_str(), "!nowhere:alpha"] {
        let send = room_path(room, "send/m.room.message/1");
        eve.put(&send, json!({ "body": "let me in" })).await.refused(403, "M_FORBIDDEN");
        eve.get(&room_path(room, "messages?dir=b")).await.refused_as("getRoomEvents 403 *");
        eve.get(&room_path(room, "state")).await.refused_as("getRoomState 403 *");
        eve.get(&room_path(room, "members")).await.refused_as("getMembersByRoom 403 *");
        eve.get(&room_path(room, &format!("event/{}", encoded(&said))))
            .await
            .refused_as("getOneRoomEvent 404 M_NOT_FOUND");
        eve.get(&room_path(room, &format!("context/{}", encoded(&said)))).await.refused(404, "M_NOT_FOUND");
        let kick = json!({ "user_id": ann.id });
        eve.post(&room_path(room, "kick"), kick).await.refused(403, "M_FORBIDDEN");
    }
    eve.post(&room_path(&room, "join"), json!({})).await.refused_as("joinRoomById 403 M_FORBIDDEN");
    eve.get(&room_path("nonsense", "state")).await.refused(400, "M_INVALID_PARAM");
    let stranger = campus.host("alpha").stranger();
    stranger.get(&room_path(&room, "state")).await.refused(401, "M_MISSING_TOKEN");
    assert_eq!(messages(&ann, &room, "dir=b").await, ["private"]);
}

#[tokio::test]
async fn bad_requests_get_the_errors_of_the_specification() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let create = "/_matrix/client/v3/createRoom";
    ann.post(create, json!({ "room_version": "99" })).await.refused_as("createRoom 400 M_UNSUPPORTED_ROOM_VERSION");
    ann.post(create, json!({ "preset": "nonsense" })).await.refused(400, "M_INVALID_PARAM");
    ann.post(create, json!({ "invite": ["nobody"] })).await.refused_as("createRoom 400 M_BAD_JSON");
    let no_creator = json!({ "power_level_content_override": { "users": { &ann.id: 100 } } });
    ann.post(create, no_creator).await.refused(400, "M_BAD_JSON");
    ann.creates_room_with(json!({ "room_alias_name": "greek" })).await;
    ann.post(create, json!({ "room_alias_name": "greek" })).await.refused_as("createRoom 400 M_ROOM_IN_USE");
    let room = ann.creates_room().await;
    let send = room_path(&room, "send/m.room.message/1");
    ann.put(&send, json!({ "body": "x".repeat(66_000) })).await.refused(413, "M_TOO_LARGE");
    ann.put(&send, json!({ "body": 1.5 })).await.refused(400, "M_BAD_JSON");
    ann.put(&send, json!([])).await.refused(400, "M_BAD_JSON");
    let create = room_path(&room, "state/m.room.create");
    ann.put(&create, json!({})).await.refused(400, "M_BAD_JSON");
    let alias = room_path(&room, "state/m.room.canonical_alias/");
    ann.put(&alias, json!({ "alias": "#elsewhere:alpha" })).await.refused_as("setRoomStateWithKey 400 M_BAD_ALIAS");
    ann.put(&alias, json!({ "alias": "nonsense" })).await.refused_as("setRoomStateWithKey 400 M_INVALID_PARAM");
    ann.get(&room_path(&room, "state/m.room.topic/")).await.refused_as("getRoomStateWithKey 404 *");
    ann.get(&room_path(&room, "messages?dir=b&from=nonsense")).await.refused(400, "M_INVALID_PARAM");
    ann.post(&room_path(&room, "forget"), json!({})).await.refused_as("forgetRoom 400 M_UNKNOWN");
}

#[tokio::test]
async fn a_message_is_sent_once_for_each_transaction_id_and_device() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let (room, other) = (ann.creates_room().await, ann.creates_room().await);
    let path = |room: &str| room_path(room, "send/m.room.message/same");
    let first = ann.put(&path(&room), json!({ "body": "once" })).await.ok();
    let again = ann.put(&path(&room), json!({ "body": "twice" })).await.ok();
    assert_eq!(first, again);
    assert_ne!(first, ann.put(&path(&other), json!({ "body": "elsewhere" })).await.ok());
    assert_eq!(messages(&ann, &room, "dir=b").await, ["once"]);
    let event = ann.get(&room_path(&room, &format!("event/{}", first["event_id"].as_str().unwrap()))).await.ok();
    assert_eq!(event["unsigned"]["transaction_id"], "same");
}

#[tokio::test]
async fn a_redacted_message_is_empty_and_says_why() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let said = ann.says(&room, "oops").await;
    let redact = room_path(&room, &format!("redact/{}/1", encoded(&said)));
    ben.put(&redact, json!({})).await.refused(403, "M_FORBIDDEN");
    let redaction = ann.put(&redact, json!({ "reason": "typo" })).await.ok();
    let event = ben.get(&room_path(&room, &format!("event/{}", encoded(&said)))).await.ok();
    assert_eq!(event["content"], json!({}));
    assert_eq!(event["unsigned"]["redacted_because"]["event_id"], redaction["event_id"]);
    assert_eq!(event["unsigned"]["redacted_because"]["content"]["reason"], "typo");
    assert_eq!(event["unsigned"]["redacted_because"]["redacts"], said);
    let again = room_path(&room, "send/m.room.redaction/2");
    ben.put(&again, json!({ "redacts": said })).await.refused(403, "M_FORBIDDEN");
    ann.put(&again, json!({ "redacts": "$unknown" })).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn history_is_paged_back_to_the_beginning() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let mut said = Vec::new();
    for n in 0..150 {
        let text = format!("message {n}");
        ann.says(&room, &text).await;
        said.push(text);
    }
    let (mut seen, mut from, mut first) = (Vec::new(), String::new(), Value::Null);
    loop {
        let page = ann.get(&room_path(&room, &format!("messages?dir=b&limit=40{from}"))).await.ok();
        let chunk = page["chunk"].as_array().unwrap().clone();
        seen.extend(chunk.iter().filter_map(|event| event["content"]["body"].as_str().map(ToOwned::to_owned)));
        first = chunk.last().cloned().unwrap_or(first);
        match page["end"].as_str() {
            Some(end) => from = format!("&from={}", encoded(end)),
            None => break,
        }
    }
    seen.reverse();
    assert_eq!(seen, said);
    assert_eq!(first["type"], "m.room.create");
}

#[tokio::test]
async fn what_stands_around_a_message_is_found() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(ann.says(&room, &n.to_string()).await);
    }
    let context = ann.get(&room_path(&room, &format!("context/{}?limit=6", encoded(&ids[10])))).await.ok();
    let bodies = |key: &str| {
        let events = context[key].as_array().unwrap().iter();
        events.map(|event| event["content"]["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(context["event"]["content"]["body"], "10");
    assert_eq!(bodies("events_before"), ["9", "8", "7"]);
    assert_eq!(bodies("events_after"), ["11", "12", "13"]);
    let older = context["start"].as_str().unwrap();
    assert_eq!(messages(&ann, &room, &format!("dir=b&limit=2&from={older}")).await, ["6", "5"]);
    let newer = context["end"].as_str().unwrap();
    assert_eq!(messages(&ann, &room, &format!("dir=f&limit=2&from={newer}")).await, ["14", "15"]);
}

#[tokio::test]
async fn people_come_go_and_are_sent_away() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_room().await;
    ann.invites(&room, &ben).await;
    ben.leaves(&room).await;
    ben.post(&room_path(&room, "join"), json!({})).await.refused(403, "M_FORBIDDEN");
    ann.invites(&room, &ben).await;
    ben.joins(&room).await;
    let target = json!({ "user_id": ben.id, "reason": "noise" });
    ben.post(&room_path(&room, "kick"), json!({ "user_id": ann.id })).await.refused(403, "M_FORBIDDEN");
    ann.post(&room_path(&room, "ban"), target.clone()).await.ok();
    ann.post(&room_path(&room, "invite"), target.clone()).await.refused_as("inviteUser 403 M_FORBIDDEN");
    ann.post(&room_path(&room, "unban"), target.clone()).await.ok();
    ann.post(&room_path(&room, "unban"), target).await.refused(403, "M_FORBIDDEN");
    let member = ann.get(&room_path(&room, &format!("state/m.room.member/{}", encoded(&ben.id)))).await.ok();
    assert_eq!(member["membership"], "leave");
    ben.post(&room_path(&room, "forget"), json!({})).await.ok();
}

#[tokio::test]
async fn who_left_sees_the_room_as_it_was() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    ann.says(&room, "before").await;
    ann.sets(&room, "m.room.name", "", json!({ "name": "old" })).await;
    ben.leaves(&room).await;
    ann.sets(&room, "m.room.name", "", json!({ "name": "new" })).await;
    ann.says(&room, "after").await;
    let name = ben.get(&room_path(&room, "state/m.room.name")).await.ok();
    assert_eq!(name["name"], "old");
    assert_eq!(messages(&ben, &room, "dir=b").await, ["before"]);
}

#[tokio::test]
async fn an_alias_leads_to_its_room_until_it_is_taken_away() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    let alias = format!("/_matrix/client/v3/directory/room/{}", encoded("#latin:alpha"));
    ann.get(&alias).await.refused_as("getRoomIdByAlias 404 M_NOT_FOUND");
    ann.put(&alias, json!({ "room_id": room })).await.ok();
    ann.put(&alias, json!({ "room_id": room })).await.refused_as("setRoomAlias 409 M_UNKNOWN");
    let found = campus.host("alpha").stranger().get(&alias).await.ok();
    assert_eq!(found, json!({ "room_id": room, "servers": ["alpha"] }));
    let joined = ben.post(&format!("/_matrix/client/v3/join/{}", encoded("#latin:alpha")), json!({})).await.ok();
    assert_eq!(joined["room_id"], room);
    let aliases = ben.get(&room_path(&room, "aliases")).await.ok();
    assert_eq!(aliases["aliases"], json!(["#latin:alpha"]));
    ann.sets(&room, "m.room.canonical_alias", "", json!({ "alias": "#latin:alpha" })).await;
    ben.delete(&alias).await.refused(403, "M_FORBIDDEN");
    ann.delete(&alias).await.ok();
    ann.get(&alias).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn edits_and_threads_come_with_the_message() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let root = ann.says(&room, "teh root").await;
    let edit = json!({
        "body": "* the root", "msgtype": "m.text", "m.new_content": { "body": "the root", "msgtype": "m.text" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": root },
    });
    let edited = ann.sends(&room, "m.room.message", edit.clone()).await;
    ben.sends(&room, "m.room.message", edit).await;
    let reply = json!({ "body": "yes", "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
    let reply = ben.sends(&room, "m.room.message", reply).await;
    let event = ann.get(&room_path(&room, &format!("event/{}", encoded(&root)))).await.ok();
    let relations = &event["unsigned"]["m.relations"];
    assert_eq!(relations["m.replace"]["event_id"], edited);
    assert_eq!(relations["m.thread"]["latest_event"]["event_id"], reply);
    assert_eq!(relations["m.thread"]["count"], 1);
    assert_eq!(relations["m.thread"]["current_user_participated"], true);
    let like = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": root, "key": "👍" } });
    ben.sends(&room, "m.reaction", like.clone()).await;
    let path = room_path(&room, "send/m.reaction/again");
    ben.put(&path, like).await.refused_as("sendMessage 400 M_DUPLICATE_ANNOTATION");
}

#[tokio::test]
async fn history_is_read_forward_unless_said_otherwise_and_not_of_a_forgotten_room() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    ben.says(&room, "one").await;
    ben.says(&room, "two").await;
    assert_eq!(messages(&ben, &room, "limit=50").await, ["one", "two"]);
    ben.get(&room_path(&room, "messages?dir=x")).await.refused(400, "M_INVALID_PARAM");
    ben.get(&room_path(&room, "messages?limit=-1")).await.refused(400, "M_INVALID_PARAM");
    ben.get(&room_path(&room, "messages?filter=%7B")).await.refused(400, "M_INVALID_PARAM");
    ben.post(&room_path(&room, "leave"), json!({})).await.ok();
    ben.post(&room_path(&room, "forget"), json!({})).await.ok();
    ben.get(&room_path(&room, "messages")).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn events_are_filtered_by_how_they_relate() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let root = ann.says(&room, "root").await;
    for (n, kind) in ["m.thread", "m.reference"].into_iter().enumerate() {
        let content = json!({ "body": kind, "m.relates_to": { "event_id": root, "rel_type": kind } });
        ann.put(&room_path(&room, &format!("send/m.room.message/r{n}")), content).await.ok();
    }
    let page = async |filter: Value| {
        messages(&ann, &room, &format!("dir=f&limit=50&filter={}", encoded(&filter.to_string()))).await
    };
    assert_eq!(page(json!({ "rel_types": ["m.thread"] })).await, ["m.thread"]);
    assert_eq!(page(json!({ "org.matrix.msc3874.rel_types": ["m.reference"] })).await, ["m.reference"]);
    assert_eq!(page(json!({ "org.matrix.msc3874.not_rel_types": ["m.thread"] })).await, ["root", "m.reference"]);
    assert!(page(json!({ "rel_types": [] })).await.is_empty());
    let wrong = encoded(&json!({ "rel_types": "m.thread" }).to_string());
    ann.get(&room_path(&room, &format!("messages?filter={wrong}"))).await.refused(400, "M_INVALID_PARAM");

    let filter = json!({ "room": { "timeline": { "not_rel_types": ["m.thread"] } } });
    let stored = ann.post(&format!("/_matrix/client/v3/user/{}/filter", ann.id), filter.clone()).await.ok();
    for filter in [filter.to_string(), stored["filter_id"].as_str().unwrap().to_owned()] {
        let synced = ann.get(&format!("/_matrix/client/v3/sync?filter={}", encoded(&filter))).await.ok();
        let timeline = synced["rooms"]["join"][&room]["timeline"]["events"].as_array().unwrap().clone();
        let bodies: Vec<_> = timeline.iter().filter_map(|event| event["content"]["body"].as_str()).collect();
        assert_eq!(bodies, ["root", "m.reference"]);
    }
}

#[tokio::test]
async fn a_threaded_receipt_stands_on_what_is_related_to_the_thread() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let (root, apart) = (ann.says(&room, "root").await, ann.says(&room, "apart").await);
    let mut related = Vec::new();
    for (n, (kind, to)) in [("m.reference", 0), ("m.annotation", 1)].into_iter().enumerate() {
        let to = if to == 0 { &root } else { &related[0] };
        let content = json!({ "m.relates_to": { "event_id": to, "rel_type": kind, "key": "+" } });
        let sent = ann.put(&room_path(&room, &format!("send/m.reaction/r{n}")), content).await.ok();
        related.push(sent["event_id"].as_str().unwrap().to_owned());
    }
    let receipt = |event: &str| room_path(&room, &format!("receipt/m.read/{}", encoded(event)));
    for event in [&root, &related[0], &related[1]] {
        ann.post(&receipt(event), json!({ "thread_id": root })).await.ok();
    }
    ann.post(&receipt(&apart), json!({ "thread_id": root })).await.refused_as("postReceipt 400 M_INVALID_PARAM");
    ann.post(&receipt(&apart), json!({ "thread_id": "" })).await.refused(400, "M_INVALID_PARAM");
    ann.post(&receipt(&apart), json!({ "thread_id": 5 })).await.refused(400, "M_INVALID_PARAM");
    ann.post(&room_path(&room, "receipt/m.nonsense/$e"), json!({})).await.refused(400, "M_INVALID_PARAM");
    let marker = room_path(&room, &format!("receipt/m.fully_read/{}", encoded(&root)));
    ann.post(&marker, json!({ "thread_id": "main" })).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn who_made_a_room_has_no_power_level_and_there_is_one_beginning() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let path = |room: &str, kind: &str| room_path(room, &format!("state/{kind}/"));
    let room = ann.creates_room_with(json!({ "creation_content": { "additional_creators": [ben.id] } })).await;
    for who in [&ann, &ben] {
        let levels = json!({ "users": { (&*who.id): 100 } });
        ann.put(&path(&room, "m.room.power_levels"), levels).await.refused(400, "M_BAD_JSON");
    }
    ann.put(&path(&room, "m.room.create"), json!({ "room_version": "12", "x": 1 })).await.refused(400, "M_BAD_JSON");
    let older = ann.creates_room_with(json!({ "room_version": "11" })).await;
    ann.put(&path(&older, "m.room.power_levels"), json!({ "users": { (&*ann.id): 100 } })).await.ok();
}
