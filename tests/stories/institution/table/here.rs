//! People of this server, with their clients.

use serde_json::{Value, json};

use super::{
    World, everybody,
    words::{KINDS, ROLES, Who},
};
use crate::{
    institution::rules::refused_by,
    support::{Person, encoded, person::Answer},
};

/// It is allowed, or refused in a sentence by a rule.
#[track_caller]
fn is(allowed: bool, answer: Answer, what: &str) {
    if !allowed {
        let error = answer.refused(403, "M_FORBIDDEN");
        let told = error["error"].as_str().unwrap_or_default();
        assert!(error["rule"].is_string() && told.contains(' ') && told.contains("(rule: "), "{what}: {error}");
    } else if answer.status != 200 {
        panic!("{what} should be allowed, and is not: {} {}", answer.status, answer.json);
    }
}

fn at(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(room))
}

#[tokio::test]
async fn every_role_at_every_kind_of_room_here() {
    let world = World::begin().await;
    for (role, person) in everybody(world.alpha(), "").await {
        // Put where they may not be: as a moderator one comes in everywhere.
        world.alpha().appoints(&person, "moderator").await;
        for rooms in world.rooms.values() {
            person.joins(&rooms.inside).await;
        }
        world.alpha().appoints(&person, role).await;
        let who = Who::here(role);
        let listed = listed(&person).await;
        for kind in &KINDS {
            let (name, rooms) = (kind.kind, &world.rooms[kind.kind]);
            let make = json!({ "creation_content": { "org.lyceum.kind": name } });
            let made = person.post("/_matrix/client/v3/createRoom", make).await;
            is(who.makes(kind), made, &format!("a {role} makes a {name}"));
            assert_eq!(listed.contains(&rooms.open), who.enters(kind), "a {role} finds a {name} in the directory");
            let knock = format!("/_matrix/client/v3/knock/{}", encoded(&rooms.knock));
            is(who.enters(kind), person.post(&knock, json!({})).await, &format!("a {role} knocks on a {name}"));
            let invite = json!({ "user_id": person.id });
            let invited = world.dora.post(&at(&rooms.open, "invite"), invite).await;
            is(who.enters(kind), invited, &format!("a {role} is invited to a {name}"));
            let join = person.post(&at(&rooms.open, "join"), json!({})).await;
            is(who.enters(kind), join, &format!("a {role} joins a {name}"));
            let say = at(&rooms.inside, "send/m.room.message/t");
            let said = person.put(&say, json!({ "msgtype": "m.text", "body": role })).await;
            is(who.writes(kind), said, &format!("a {role} writes in a {name}"));
        }
        let file = person.ask_bytes(http::Method::POST, "/_matrix/media/v3/upload", "text/plain", vec![b'x']).await;
        is(true, file, &format!("a {role} uploads a file"));
    }
    world.alpha().is_sound().await;
}

/// The rooms that the directory shows somebody.
async fn listed(person: &Person) -> Vec<String> {
    let answer = person.post("/_matrix/client/v3/publicRooms", json!({ "limit": 100 })).await.ok();
    let rooms = answer["chunk"].as_array().expect("a list").iter();
    rooms.filter_map(|room| room["room_id"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_role_towards_every_role_here() {
    let world = World::begin().await;
    let (people, others) = (everybody(world.alpha(), "").await, everybody(world.alpha(), ".other").await);
    for (role, person) in &people {
        let who = Who::here(role);
        let room = person.creates_room().await;
        for (other_role, other) in &others {
            let whom = Who::here(other_role);
            let chat = json!({ "is_direct": true, "preset": "trusted_private_chat", "invite": [other.id] });
            let chat = person.post("/_matrix/client/v3/createRoom", chat).await;
            is(who.reaches(whom), chat, &format!("a {role} starts a chat with a {other_role}"));
            let invited = person.post(&at(&room, "invite"), json!({ "user_id": other.id })).await;
            is(who.reaches(whom), invited, &format!("a {role} invites a {other_role}"));
            let term = json!({ "search_term": format!("{other_role}.other") });
            let found = person.post("/_matrix/client/v3/user_directory/search", term).await.ok();
            let found = found["results"].as_array().into_iter().flatten().any(|one| one["user_id"] == other.id);
            assert_eq!(found, who.finds(whom), "a {role} finds a {other_role}");
        }
    }
}

#[tokio::test]
async fn every_role_in_rooms_of_other_servers_and_blocked() {
    let world = World::begin().await;
    let gus = world.campus.host("gamma.example").member("gus", "teacher", &[]).await;
    let room = gus.creates_room_with(json!({ "preset": "public_chat" })).await;
    for (role, person) in everybody(world.alpha(), "").await {
        let join = format!("/_matrix/client/v3/join/{}?via=gamma.example", encoded(&room));
        let joined = person.post(&join, json!({})).await;
        is(Who::here(role).enters_rooms_elsewhere(), joined, &format!("a {role} joins a room of another server"));
        let group = person.creates_room().await;
        let block = lyceum_institution::Change::Block {
            user: crate::institution::id(&person),
            room: None,
            block: Some(lyceum_institution::Block { until_ms: None }),
        };
        world.alpha().changes(vec![block]).await;
        let message: Value = json!({ "msgtype": "m.text", "body": role });
        let file = person.ask_bytes(http::Method::POST, "/_matrix/media/v3/upload", "text/plain", vec![b'x']).await;
        refused_by("blocked", file);
        refused_by("blocked", person.put(&at(&group, "send/m.room.message/t"), message).await);
        refused_by("blocked", person.post("/_matrix/client/v3/createRoom", json!({})).await);
        for kind in &KINDS {
            refused_by("blocked", person.post(&at(&world.rooms[kind.kind].open, "join"), json!({})).await);
        }
    }
    assert_eq!(ROLES.len(), world.alpha().server.institution().settings().roles.len(), "every role has its line");
    let kinds = world.alpha().server.institution().settings().kinds.len();
    assert_eq!(KINDS.len() + 1, kinds, "every kind has its line, and rooms of other servers theirs");
}
