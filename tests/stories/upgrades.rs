//! Rooms replaced by others: what moves along, between versions that think differently of their creators.

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

async fn upgraded(person: &Person, room: &str, version: &str) -> String {
    let path = format!("/_matrix/client/v3/rooms/{}/upgrade", encoded(room));
    let answer = person.post(&path, json!({ "new_version": version })).await.ok();
    answer["replacement_room"].as_str().expect("a new room").to_owned()
}

async fn levels(person: &Person, room: &str) -> Value {
    person.get(&format!("/_matrix/client/v3/rooms/{}/state/m.room.power_levels", encoded(room))).await.ok()
}

#[tokio::test]
async fn creators_above_all_levels_get_one_in_an_older_version() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_room_with(json!({ "room_version": "12", "preset": "public_chat" })).await;
    ben.joins(&room).await;
    let mut raised = levels(&ann, &room).await;
    raised["users"] = json!({ &ben.id: 50 });
    ann.sets(&room, "m.room.power_levels", "", raised.clone()).await;

    let older = upgraded(&ann, &room, "11").await;
    let passed_on = levels(&ann, &older).await;
    // In version 12 only creators upgrade a room, by a level above everybody else's.
    assert_eq!(raised["events"]["m.room.tombstone"], 150);
    assert_eq!(passed_on["users"], json!({ &ann.id: 150, &ben.id: 50 }));
    assert_eq!(passed_on["events"], raised["events"]);

    let newer = upgraded(&ann, &older, "12").await;
    assert_eq!(levels(&ann, &newer).await["users"], json!({ &ben.id: 50 }));
}

#[tokio::test]
async fn levels_above_the_upgraders_are_passed_on() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let users = json!({ &ann.id: 100, "@boss:alpha": 150 });
    let how = json!({ "room_version": "10", "power_level_content_override": { "users": users } });
    let room = ann.creates_room_with(how).await;
    let newer = upgraded(&ann, &room, "11").await;
    assert_eq!(levels(&ann, &newer).await["users"], users);
}

#[tokio::test]
async fn whoever_upgrades_a_room_by_hand_keeps_their_push_rules() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let rule = |room: &str| format!("/_matrix/client/v3/pushrules/global/room/{}", encoded(room));
    for person in [&ann, &ben] {
        person.put(&rule(&room), json!({ "actions": [] })).await.ok();
    }
    let creation = json!({ "predecessor": { "room_id": room } });
    let newer = ann.creates_room_with(json!({ "preset": "public_chat", "creation_content": creation })).await;
    ben.joins(&newer).await;
    for person in [&ann, &ben] {
        assert_eq!(person.get(&rule(&newer)).await.ok()["actions"], json!([]));
    }
    let eve = campus.person("eve").await;
    eve.put(&rule(&room), json!({ "actions": [] })).await.ok();
    let stolen = eve.creates_room_with(json!({ "creation_content": { "predecessor": { "room_id": room } } })).await;
    eve.get(&rule(&stolen)).await.refused(404, "M_NOT_FOUND");
}
