//! Rooms of another server that one is not in: its directory, its spaces, summaries, and what follows an upgrade.

use serde_json::{Value, json};

use super::{ALPHA, BETA, Two, at, join_path, joins, membership, public};
use crate::support::encoded;

fn rooms(answer: &Value) -> Vec<(String, String)> {
    let text = |room: &Value, field: &str| room[field].as_str().unwrap_or_default().to_owned();
    let list = answer["rooms"].as_array().cloned().unwrap_or_default();
    list.iter().map(|room| (text(room, "room_id"), text(room, "name"))).collect()
}

#[tokio::test]
async fn the_directory_of_another_server_is_looked_through() {
    let two = Two::meet().await;
    let greek = public(&two.ann, json!({ "visibility": "public", "name": "Greek" })).await;
    let latin = public(&two.ann, json!({ "visibility": "public", "name": "Latin" })).await;
    let path = format!("/_matrix/client/v3/publicRooms?server={ALPHA}");
    let ids = |answer: &Value| -> Vec<String> {
        let list = answer["chunk"].as_array().cloned().unwrap_or_default();
        list.iter().map(|room| room["room_id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let found = two.ben.post(&path, json!({ "filter": { "generic_search_term": "Greek" } })).await.ok();
    assert_eq!(ids(&found), std::slice::from_ref(&greek));
    let first = two.ben.get(&format!("{path}&limit=1")).await.ok();
    let since = first["next_batch"].as_str().expect("there is another page");
    let second = two.ben.get(&format!("{path}&limit=1&since={}", encoded(since))).await.ok();
    let mut both = [ids(&first), ids(&second)].concat();
    both.sort();
    let mut expected = [greek, latin];
    expected.sort();
    assert_eq!(both, expected);
    two.campus.wires.cut(ALPHA, BETA);
    two.ben.post(&path, json!({})).await.refused(502, "M_UNKNOWN");
}

#[tokio::test]
async fn a_space_is_walked_through_across_servers() {
    let two = Two::meet().await;
    let space_type = json!({ "type": "m.space" });
    let space = public(&two.ann, json!({ "name": "Campus", "creation_content": space_type })).await;
    let course = public(&two.ann, json!({ "name": "Course" })).await;
    let deep = public(&two.ann, json!({ "name": "Subspace", "creation_content": space_type })).await;
    let leaf = public(&two.ann, json!({ "name": "Leaf" })).await;
    let own = public(&two.ben, json!({ "name": "Ben's" })).await;
    let secret = two.ann.creates_room_with(json!({ "preset": "private_chat", "name": "Secret" })).await;
    for (parent, child, via) in [
        (&space, &course, ALPHA),
        (&space, &deep, ALPHA),
        (&space, &secret, ALPHA),
        (&deep, &leaf, ALPHA),
        (&deep, &own, BETA),
    ] {
        two.ann.sets(parent, "m.space.child", child, json!({ "via": [via] })).await;
    }
    let path = |query: &str| format!("/_matrix/client/v1/rooms/{}/hierarchy?{query}", encoded(&space));
    let mut expected: Vec<_> =
        [(&space, "Campus"), (&course, "Course"), (&deep, "Subspace"), (&leaf, "Leaf"), (&own, "Ben's")]
            .map(|(room, name)| (room.clone(), name.to_owned()))
            .into();
    expected.sort();
    // Before joining (where the room's id names its server) and after.
    for joined in [false, true] {
        if joined {
            joins(&two.ben, &space, ALPHA).await;
        } else if !space.contains(':') {
            continue;
        }
        let mut found = rooms(&two.ben.get(&path("limit=20")).await.ok());
        assert_eq!(found[0].0, space);
        found.sort();
        assert_eq!(found, expected, "joined: {joined}");
    }
    // The pages of a walk are those of the walk at once.
    let (mut paged, mut from) = (Vec::new(), String::new());
    loop {
        let page = two.ben.get(&path(&format!("limit=2{from}"))).await.ok();
        paged.extend(rooms(&page));
        let Some(next) = page["next_batch"].as_str() else { break };
        from = format!("&from={}", encoded(next));
    }
    assert_eq!(paged, rooms(&two.ben.get(&path("limit=20")).await.ok()));
    let shallow = rooms(&two.ben.get(&path("max_depth=1")).await.ok());
    assert!(shallow.iter().all(|(room, _)| *room != leaf), "{shallow:?}");
}

#[tokio::test]
async fn a_room_can_be_looked_at_before_it_is_joined() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({ "name": "Open", "topic": "for all" })).await;
    let path = |room: &str| format!("/_matrix/client/v1/room_summary/{}?via={ALPHA}", encoded(room));
    let told = two.ben.get(&path(&room)).await.ok();
    assert_eq!((&told["name"], &told["num_joined_members"]), (&json!("Open"), &json!(1)));
    assert_eq!(told.get("membership").and_then(Value::as_str).unwrap_or("leave"), "leave");
    let closed = two.ann.creates_room_with(json!({ "preset": "private_chat", "name": "Closed" })).await;
    two.ben.get(&path(&closed)).await.refused(404, "M_NOT_FOUND");
    two.ann.invites(&closed, &two.ben).await;
    assert_eq!(two.ben.get(&path(&closed)).await.ok()["membership"], "invite");
}

#[tokio::test]
async fn an_upgrade_is_followed() {
    let two = Two::meet().await;
    let room = two.share(json!({ "room_version": "10", "name": "Before" })).await;
    let fresh = two.ann.post(&at(&room, "upgrade"), json!({ "new_version": "12" })).await.ok();
    let fresh = fresh["replacement_room"].as_str().expect("a new room").to_owned();
    two.campus.settle().await;
    let tombstone = two.ben.get(&at(&room, "state/m.room.tombstone/")).await.ok();
    assert_eq!(tombstone["replacement_room"], fresh.as_str());
    two.ben.post(&join_path(&fresh, ALPHA), json!({})).await.ok();
    let create = two.ben.get(&at(&fresh, "state/m.room.create/")).await.ok();
    assert_eq!(create["predecessor"]["room_id"], room.as_str());
    assert_eq!(membership(&two.ann, &fresh, &two.ben).await, "join");
    two.agree(&fresh).await;
}
