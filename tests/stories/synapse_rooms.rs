//! What administrators do with rooms by Synapse's administration API: read them, keep people out, take them away.

use http::Method;
use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

/// Looks until a job must be done.
const LOOKS_MAX: usize = 100_000;

fn v1(path: &str) -> String {
    format!("/_synapse/admin/v1/{path}")
}

fn v2(path: &str) -> String {
    format!("/_synapse/admin/v2/{path}")
}

async fn campus() -> (Campus, Person, Person, Person) {
    let campus = Campus::of(["alpha.example"]).await;
    let root = campus.host("alpha.example").admin("root").await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    (campus, root, anna, ben)
}

async fn deletes(root: &Person, room: &str, how: Value) -> Value {
    root.ask(Method::DELETE, &v1(&format!("rooms/{}", encoded(room))), Some(how)).await.ok()
}

async fn deleted(root: &Person, id: &Value) -> Value {
    let status = v2(&format!("rooms/delete_status/{}", id.as_str().expect("an id")));
    for _ in 0..LOOKS_MAX {
        let answer = root.get(&status).await.ok();
        if answer["status"] != "scheduled" && answer["status"] != "active" {
            return answer;
        }
        tokio::task::yield_now().await;
    }
    panic!("{status} should be done by now")
}

#[tokio::test]
async fn rooms_are_read_by_whoever_runs_the_server_and_that_is_noted() {
    let (campus, root, anna, _) = campus().await;
    let room = anna.creates_room().await;
    let mut said = Vec::new();
    for text in ["one", "two", "three"] {
        campus.clock.advance(std::time::Duration::from_secs(60));
        said.push(anna.says(&room, text).await);
    }
    let of_room = |path: &str| v1(&format!("rooms/{}/{path}", encoded(&room)));
    let page = root.get(&of_room("messages?dir=b&limit=2")).await.ok();
    let bodies: Vec<_> = page["chunk"].as_array().unwrap().iter().map(|event| &event["content"]["body"]).collect();
    assert_eq!(bodies, ["three", "two"]);
    let next = root.get(&of_room(&format!("messages?dir=b&limit=1&from={}", page["end"].as_str().unwrap()))).await.ok();
    assert_eq!(next["chunk"][0]["content"]["body"], "one");
    let context = root.get(&of_room(&format!("context/{}?limit=2", encoded(&said[1])))).await.ok();
    assert_eq!(context["event"]["content"]["body"], "two");
    assert_eq!(context["events_before"][0]["content"]["body"], "one");
    assert_eq!(context["events_after"][0]["content"]["body"], "three");
    assert!(context["state"].as_array().unwrap().iter().any(|event| event["type"] == "m.room.create"));
    let then = campus.clock_ms() - 60_000;
    let found = root.get(&of_room(&format!("timestamp_to_event?ts={then}"))).await.ok();
    assert_eq!((&found["event_id"], &found["origin_server_ts"]), (&json!(said[1]), &json!(then)));

    let event = root.get(&v1(&format!("fetch_event/{}", encoded(&said[0])))).await.ok();
    assert_eq!((&event["event"]["event_id"], &event["event"]["content"]["body"]), (&json!(said[0]), &json!("one")));
    assert!(event["event"]["signatures"].is_object(), "as servers send it");
    root.get(&v1("fetch_event/$nothing")).await.refused(404, "M_NOT_FOUND");
    let names = root.get(&of_room("state?type=m.room.create")).await.ok();
    assert_eq!((names["state"].as_array().unwrap().len(), &names["state"][0]["type"]), (1, &json!("m.room.create")));

    root.get(&of_room("context/$nothing")).await.refused(404, "M_NOT_FOUND");
    root.get(&v1("rooms/!nothing:alpha.example/messages")).await.refused(404, "M_NOT_FOUND");
    root.get(&of_room("messages?from=nonsense")).await.refused(400, "M_INVALID_PARAM");
    let institution = campus.host("alpha.example").server.institution();
    let rows = institution.audit().rows(0, 100).await.expect("the chain can be read");
    let looks = rows.iter().filter(|(_, row)| row.contains("room.read") && row.contains(&root.id)).count();
    assert_eq!(looks, 8, "each look is noted, also the vain ones");
}

#[tokio::test]
async fn nobody_comes_into_blocked_rooms() {
    let (_campus, root, anna, ben) = campus().await;
    let room = anna.creates_public_room().await;
    let block = v1(&format!("rooms/{}/block", encoded(&room)));
    assert_eq!(root.get(&block).await.ok(), json!({ "block": false }));
    assert_eq!(root.put(&block, json!({ "block": true })).await.ok(), json!({ "block": true }));
    assert_eq!(root.get(&block).await.ok(), json!({ "block": true, "user_id": root.id }));
    let join = format!("/_matrix/client/v3/join/{}", encoded(&room));
    ben.post(&join, json!({})).await.refused(403, "M_FORBIDDEN");
    let invite = format!("/_matrix/client/v3/rooms/{}/invite", encoded(&room));
    anna.post(&invite, json!({ "user_id": ben.id })).await.refused(403, "M_FORBIDDEN");
    anna.says(&room, "those inside go on").await;
    root.put(&block, json!({ "block": false })).await.ok();
    ben.joins(&room).await;

    let unknown = v1("rooms/!unknown:beta.example/block");
    root.put(&unknown, json!({ "block": true })).await.ok();
    assert_eq!(root.get(&unknown).await.ok()["block"], true);
    root.put(&unknown, json!({})).await.refused(400, "M_BAD_JSON");
    root.put(&v1("rooms/nonsense/block"), json!({ "block": true })).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_deleted_room_is_gone_without_a_trace_and_everybody_is_told() {
    let (campus, root, anna, ben) = campus().await;
    let room = anna
        .creates_room_with(json!({ "preset": "public_chat", "room_alias_name": "old", "visibility": "public" }))
        .await;
    let kept = anna.creates_room().await;
    anna.says(&kept, "stays").await;
    ben.joins(&room).await;
    let said = ben.says(&room, "bad").await;
    let thread = json!({ "body": "worse", "m.relates_to": { "rel_type": "m.thread", "event_id": said } });
    anna.sends(&room, "m.room.message", thread).await;
    let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": said, "key": "x" } });
    anna.sends(&room, "m.reaction", reaction).await;
    anna.post(&format!("/_matrix/client/v3/rooms/{}/receipt/m.read/{said}", encoded(&room)), json!({})).await.ok();
    for person in [&anna, &ben] {
        person.syncs("timeout=0").await;
    }
    let told = deletes(&root, &room, json!({})).await;
    assert_eq!(told["new_room_id"], json!(null));
    assert_eq!(told["local_aliases"], json!(["#old:alpha.example"]));
    assert_eq!(told["kicked_users"].as_array().unwrap().len(), 2);
    assert_eq!(told["failed_to_kick_users"], json!([]));

    for person in [&anna, &ben] {
        let update = person.syncs("timeout=0").await;
        let left = &update["rooms"]["leave"][&room]["timeline"]["events"];
        assert_eq!(left[0]["content"]["membership"], "leave", "{} is told that they left", person.id);
        person
            .get(&format!("/_matrix/client/v3/rooms/{}/messages?dir=b", encoded(&room)))
            .await
            .refused(403, "M_FORBIDDEN");
        person
            .get(&format!("/_matrix/client/v3/rooms/{}/event/{said}", encoded(&room)))
            .await
            .refused(404, "M_NOT_FOUND");
        person.get("/_matrix/client/v3/sync").await.ok();
    }
    root.get(&v1(&format!("rooms/{}", encoded(&room)))).await.refused(404, "M_NOT_FOUND");
    anna.get("/_matrix/client/v3/directory/room/%23old%3Aalpha.example").await.refused(404, "M_NOT_FOUND");
    assert_eq!(anna.get("/_matrix/client/v3/publicRooms").await.ok()["chunk"], json!([]));
    // Every table whose rows name the room's event or the room is as if it had never been there.
    let host = campus.host("alpha.example");
    host.is_sound().await;
    let left = host.server.rooms().known((&*said).try_into().expect("an id")).await.expect("events can be read");
    assert!(left.is_none(), "the event should be gone");
    anna.says(&kept, "and goes on").await;
    root.ask(Method::DELETE, &v1(&format!("rooms/{}", encoded(&room))), Some(json!({})))
        .await
        .refused(400, "M_INVALID_PARAM");
    root.ask(Method::DELETE, &v1("rooms/nonsense"), Some(json!({}))).await.refused(400, "M_INVALID_PARAM");
    let how = json!({ "purge": "yes" });
    root.ask(Method::DELETE, &v1(&format!("rooms/{}", encoded(&kept))), Some(how)).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn people_of_a_deleted_room_are_brought_into_another_that_says_why() {
    let (_campus, root, anna, ben) = campus().await;
    let room = anna.creates_room_with(json!({ "preset": "public_chat", "room_alias_name": "old" })).await;
    ben.joins(&room).await;
    let how = json!({
        "new_room_user_id": "@notices:alpha.example", "room_name": "Closed", "message": "We closed it.",
        "block": true, "purge": false,
    });
    let path = v2(&format!("rooms/{}", encoded(&room)));
    let begun = root.ask(Method::DELETE, &path, Some(how.clone())).await.ok();
    let status = deleted(&root, &begun["delete_id"]).await;
    assert_eq!((&status["status"], &status["room_id"]), (&json!("complete"), &json!(room)));
    let new = status["shutdown_room"]["new_room_id"].as_str().expect("a new room").to_owned();
    let of_room = root.get(&v2(&format!("rooms/{}/delete_status", encoded(&room)))).await.ok();
    assert_eq!(of_room["results"], json!([status]));
    for person in [&anna, &ben] {
        person.sees(&new, "We closed it.").await;
        let speak = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/t", encoded(&new));
        person.put(&speak, json!({ "msgtype": "m.text", "body": "why" })).await.refused(403, "M_FORBIDDEN");
    }
    let alias = anna.get("/_matrix/client/v3/directory/room/%23old%3Aalpha.example").await.ok();
    assert_eq!(alias["room_id"], json!(new), "the alias leads there");
    ben.post(&format!("/_matrix/client/v3/join/{}", encoded(&room)), json!({})).await.refused(403, "M_FORBIDDEN");
    // Not purged: administrators still see it.
    assert_eq!(root.get(&v1(&format!("rooms/{}", encoded(&room)))).await.ok()["joined_members"], 0);

    let far = json!({ "new_room_user_id": "@far:beta.example" });
    root.ask(Method::DELETE, &path, Some(far)).await.refused(400, "M_INVALID_PARAM");
    root.get(&v2("rooms/delete_status/99999")).await.refused(404, "M_NOT_FOUND");
    root.get(&v2("rooms/!other:alpha.example/delete_status")).await.refused(404, "M_NOT_FOUND");
    let unknown = deletes(&root, "!unknown:beta.example", json!({ "block": true })).await;
    assert_eq!(unknown["kicked_users"], json!([]), "an unknown room is blocked ahead");
    assert_eq!(root.get(&v1("rooms/!unknown:beta.example/block")).await.ok()["block"], true);
}

#[tokio::test]
async fn a_deletion_that_was_cut_off_is_gone_on_with() {
    let (mut campus, root, anna, ben) = campus().await;
    let room = anna.creates_public_room().await;
    ben.joins(&room).await;
    for number in 0..450 {
        ben.says(&room, &format!("message {number}")).await;
    }
    let path = v2(&format!("rooms/{}", encoded(&room)));
    let begun = root.ask(Method::DELETE, &path, Some(json!({}))).await.ok();
    campus.crashes("alpha.example").await;
    let root = root.at(campus.host("alpha.example"));
    let status = deleted(&root, &begun["delete_id"]).await;
    assert_eq!(status["status"], "complete", "{status}");
    root.get(&v1(&format!("rooms/{}", encoded(&room)))).await.refused(404, "M_NOT_FOUND");
    campus.host("alpha.example").is_sound().await;
}

#[tokio::test]
async fn a_room_with_people_of_elsewhere_can_be_joined_again_after_its_deletion() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let root = campus.host("alpha.example").admin("root").await;
    let (anna, bob) = (campus.person_at("alpha.example", "anna").await, campus.person_at("beta.example", "bob").await);
    let room = bob.creates_public_room().await;
    let join = format!("/_matrix/client/v3/join/{}?server_name=beta.example", encoded(&room));
    anna.post(&join, json!({})).await.ok();
    bob.says(&room, "before").await;
    anna.sees(&room, "before").await;
    let path = v2(&format!("rooms/{}", encoded(&room)));
    let begun = root.ask(Method::DELETE, &path, Some(json!({}))).await.ok();
    // Others are told that our people left before all is forgotten.
    let left = bob.waits_for(&room, |event| event["content"]["membership"] == "leave").await;
    assert!(left.is_some(), "bob should see that anna left");
    campus.clock.advance(std::time::Duration::from_secs(3));
    assert_eq!(deleted(&root, &begun["delete_id"]).await["status"], "complete");
    root.get(&v1(&format!("rooms/{}", encoded(&room)))).await.refused(404, "M_NOT_FOUND");

    anna.post(&join, json!({})).await.ok();
    bob.says(&room, "welcome back").await;
    anna.sees(&room, "welcome back").await;
    campus.host("alpha.example").is_sound().await;
}

#[tokio::test]
async fn the_files_of_a_room_are_listed_and_kept_from_everybody() {
    let (campus, root, anna, _) = campus().await;
    let room = anna.creates_room().await;
    let upload = "/_matrix/media/v3/upload?filename=a.txt";
    let own = anna.ask_bytes(Method::POST, upload, "text/plain", b"hello".to_vec()).await.ok()["content_uri"].clone();
    let content = json!({
        "msgtype": "m.file", "body": "a.txt", "url": own, "info": { "thumbnail_url": "mxc://beta.example/small" },
    });
    anna.sends(&room, "m.room.message", content).await;
    anna.sends(&room, "m.room.message", json!({ "msgtype": "m.file", "body": "x", "url": "mxc://alpha.example/gone" }))
        .await;
    let path = v1(&format!("room/{}/media", encoded(&room)));
    let listed = root.get(&path).await.ok();
    let mut local = vec![own.as_str().unwrap(), "mxc://alpha.example/gone"];
    local.sort_unstable();
    assert_eq!(listed, json!({ "local": local, "remote": ["mxc://beta.example/small"] }));
    let done = root.post(&format!("{path}/quarantine"), json!({})).await.ok();
    assert_eq!(done, json!({ "num_quarantined": 2 }), "the file that is not there cannot be");
    let download = own.as_str().unwrap().replace("mxc://", "/_matrix/client/v1/media/download/");
    anna.get(&download).await.refused(404, "M_NOT_FOUND");
    root.get(&v1("room/!unknown:alpha.example/media")).await.refused(404, "M_NOT_FOUND");
    drop(campus);
}

/// Asks for a past to be forgotten, and waits until it is.
async fn forgets(root: &Person, path: &str, how: Value) {
    let id = root.post(&v1(&format!("purge_history/{path}")), how).await.ok()["purge_id"].clone();
    let status = v1(&format!("purge_history_status/{}", id.as_str().expect("an id")));
    for _ in 0..LOOKS_MAX {
        match root.get(&status).await.ok()["status"].as_str() {
            Some("active") => tokio::task::yield_now().await,
            status => return assert_eq!(status, Some("complete")),
        }
    }
    panic!("{status} should be done by now")
}

/// What a room's history says, oldest first.
async fn history(person: &Person, room: &str) -> Vec<String> {
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=f&limit=500", encoded(room));
    let page = person.get(&path).await.ok();
    let bodies = page["chunk"].as_array().expect("events").iter();
    bodies.filter_map(|event| Some(event["content"]["body"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn the_past_of_a_room_is_forgotten_up_to_an_event_or_a_moment() {
    let (campus, root, anna, ben) = campus().await;
    let room = anna.creates_public_room().await;
    ben.joins(&room).await;
    let mut said = Vec::new();
    for number in 0..210 {
        said.push(anna.says(&room, &format!("old {number}")).await);
    }
    anna.sets(&room, "m.room.topic", "", json!({ "topic": "kept" })).await;
    let answer = json!({ "body": "in a thread", "m.relates_to": { "rel_type": "m.thread", "event_id": said[0] } });
    anna.sends(&room, "m.room.message", answer).await;
    campus.clock.advance(std::time::Duration::from_secs(60));
    let moment = campus.clock_ms();
    let kept = anna.says(&room, "kept").await;
    let last = anna.says(&room, "last").await;

    forgets(&root, &format!("{}/{}", encoded(&room), encoded(&said[1])), json!({})).await;
    assert_eq!(history(&ben, &room).await.len(), 213, "those of this server stay unless they are to go as well");
    let ours = json!({ "delete_local_events": true, "purge_up_to_event_id": said[200] });
    forgets(&root, &encoded(&room), ours).await;
    assert_eq!(history(&ben, &room).await[0], "old 200", "more than one page of them is gone");
    forgets(&root, &encoded(&room), json!({ "delete_local_events": true, "purge_up_to_ts": moment })).await;
    assert_eq!(history(&ben, &room).await, ["kept", "last"]);
    let event = |id: &str| format!("/_matrix/client/v3/rooms/{}/event/{}", encoded(&room), encoded(id));
    ben.get(&event(&said[0])).await.refused(404, "M_NOT_FOUND");
    ben.get(&event(&kept)).await.ok();
    let state = ben.get(&format!("/_matrix/client/v3/rooms/{}/state/m.room.topic/", encoded(&room))).await.ok();
    assert_eq!(state["topic"], "kept", "state is no past");
    let threads = ben.get(&format!("/_matrix/client/v1/rooms/{}/threads", encoded(&room))).await.ok();
    assert_eq!(threads["chunk"], json!([]));
    let synced = ben.get("/_matrix/client/v3/sync").await.ok();
    let shown = synced["rooms"]["join"][&room]["timeline"]["events"].to_string();
    assert!(shown.contains(&last) && !shown.contains(&said[209]), "{shown}");

    forgets(&root, &format!("{}/{}", encoded(&room), encoded(&last)), json!({ "delete_local_events": true })).await;
    ben.says(&room, "it goes on").await;
    assert_eq!(history(&anna, &room).await, ["last", "it goes on"]);
}

#[tokio::test]
async fn a_past_that_cannot_be_forgotten_is_refused() {
    let (_campus, root, anna, ben) = campus().await;
    let (room, other) = (anna.creates_room().await, anna.creates_room().await);
    let elsewhere = anna.says(&other, "elsewhere").await;
    let purge = |path: &str| v1(&format!("purge_history/{path}"));
    let of_room = purge(&encoded(&room));
    root.post(&of_room, json!({})).await.refused(400, "M_BAD_JSON");
    root.post(&of_room, json!({ "purge_up_to_ts": "yesterday" })).await.refused(400, "M_BAD_JSON");
    root.post(&of_room, json!({ "purge_up_to_ts": 1 })).await.refused(404, "M_NOT_FOUND");
    root.post(&format!("{of_room}/{}", encoded(&elsewhere)), json!({})).await.refused(404, "M_NOT_FOUND");
    root.post(&purge("!nowhere:alpha.example"), json!({ "purge_up_to_ts": 1 })).await.refused(404, "M_NOT_FOUND");
    root.get(&v1("purge_history_status/7")).await.refused(404, "M_NOT_FOUND");
    root.get(&v1("purge_history_status/x")).await.refused(404, "M_NOT_FOUND");
    ben.post(&of_room, json!({ "purge_up_to_ts": 1 })).await.refused(403, "M_FORBIDDEN");
    ben.get(&v1("purge_history_status/7")).await.refused(403, "M_FORBIDDEN");
}
