//! Coming, going, and who is told of it: the corners that clients rely on.

use serde_json::{Value, json};

use crate::support::{Campus, encoded};

const SERVER: &str = "school.example";

fn room_path(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(room))
}

#[tokio::test]
async fn what_a_join_says_beyond_the_specification_is_in_the_membership_event() {
    let campus = Campus::of([SERVER]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    let said = json!({ "reason": "hello", "org.example.seat": 4, "membership": "ban" });
    bob.post(&room_path(&room, "join"), said).await.ok();
    let content = alice.get(&room_path(&room, &format!("state/m.room.member/{}", bob.id))).await.ok();
    assert_eq!(content, json!({ "membership": "join", "reason": "hello", "org.example.seat": 4 }));
    let fraction = json!({ "org.example.seat": 4.5 });
    let other = alice.creates_public_room().await;
    bob.post(&room_path(&other, "join"), fraction).await.refused(400, "M_BAD_JSON");
    bob.get(&room_path(&other, "joined_members")).await.refused_as("getJoinedMembersByRoom 403 *");
}

#[tokio::test]
async fn joined_members_shows_null_for_what_is_not_set() {
    let campus = Campus::of([SERVER]).await;
    let alice = campus.person("alice").await;
    let room = alice.creates_room().await;
    let members = alice.get(&room_path(&room, "joined_members")).await.ok();
    assert_eq!(members, json!({ "joined": { alice.id.as_str(): { "display_name": null, "avatar_url": null } } }));
}

#[tokio::test]
async fn members_at_the_token_of_a_timeline_that_begins_with_the_room_are_its_first() {
    let campus = Campus::of([SERVER]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    let sync = alice.syncs("timeout=0").await;
    let at = sync["rooms"]["join"][&room]["timeline"]["prev_batch"].as_str().expect("a token").to_owned();
    bob.joins(&room).await;
    let members = alice.get(&room_path(&room, &format!("members?at={at}"))).await.ok();
    let who: Vec<&Value> =
        members["chunk"].as_array().expect("events").iter().map(|event| &event["state_key"]).collect();
    assert_eq!(who, [&json!(alice.id)]);
}

#[tokio::test]
async fn an_invite_to_a_room_that_everybody_has_left_can_be_refused() {
    let campus = Campus::of([SERVER]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_room().await;
    alice.invites(&room, &bob).await;
    alice.leaves(&room).await;
    bob.syncs("timeout=0").await;
    bob.leaves(&room).await;
    let sync = bob.syncs("timeout=0").await;
    assert!(sync["rooms"]["leave"][&room].is_object(), "{sync}");
    assert!(bob.on_another_device().await.syncs("timeout=0").await["rooms"]["invite"][&room].is_null());
}

#[tokio::test]
async fn that_a_room_was_left_is_told_once_even_when_it_is_forgotten_at_once() {
    let campus = Campus::of([SERVER]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    bob.syncs("timeout=0").await;
    bob.leaves(&room).await;
    bob.post(&room_path(&room, "forget"), json!({})).await.ok();
    alice.says(&room, "after").await;
    let sync = bob.syncs("timeout=0").await;
    let left = &sync["rooms"]["leave"][&room]["timeline"]["events"];
    assert_eq!(left.as_array().map(Vec::len), Some(1), "only the leaving: {sync}");
    assert_eq!(left[0]["content"]["membership"], "leave");
    assert!(bob.syncs("timeout=0").await["rooms"]["leave"].is_null());
}

/// A client that begins after it happened would be told neither of the room nor of its end otherwise.
#[tokio::test]
async fn who_was_put_out_is_told_by_a_first_sync_too() {
    let campus = Campus::of([SERVER]).await;
    let alice = campus.person("alice").await;
    let room = alice.creates_public_room().await;
    let (bob, cat, dan) = (campus.person("bob").await, campus.person("cat").await, campus.person("dan").await);
    for person in [&bob, &cat, &dan] {
        person.joins(&room).await;
    }
    alice.post(&room_path(&room, "ban"), json!({ "user_id": bob.id })).await.ok();
    alice.post(&room_path(&room, "kick"), json!({ "user_id": cat.id })).await.ok();
    dan.leaves(&room).await;
    for (person, how) in [(&bob, "ban"), (&cat, "leave")] {
        let left = person.syncs("timeout=0").await["rooms"]["leave"][&room].clone();
        let last = left["timeline"]["events"].as_array().and_then(|events| events.last().cloned()).unwrap_or_default();
        assert_eq!((&last["state_key"], &last["content"]["membership"]), (&json!(person.id), &json!(how)), "{left}");
    }
    assert_eq!(dan.syncs("timeout=0").await["rooms"]["leave"].get(&room), None, "who left knows it");
    bob.post(&room_path(&room, "forget"), json!({})).await.ok();
    let first = bob.on_another_device().await.syncs("timeout=0").await;
    assert_eq!(first["rooms"]["leave"].get(&room), None, "what was forgotten is not told: {first}");
}

#[tokio::test]
async fn removing_the_main_alias_unnames_the_room_if_one_may() {
    let campus = Campus::of([SERVER]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    for name in ["maths", "sums"] {
        let path = format!("/_matrix/client/v3/directory/room/%23{name}%3A{SERVER}");
        bob.put(&path, json!({ "room_id": room })).await.ok();
    }
    let (maths, sums) = (format!("#maths:{SERVER}"), format!("#sums:{SERVER}"));
    alice.sets(&room, "m.room.canonical_alias", "", json!({ "alias": maths, "alt_aliases": [sums] })).await;
    let named = async || alice.get(&room_path(&room, "state/m.room.canonical_alias/")).await.ok();
    // Bob made the alias and may remove it, but may not change the room's state.
    bob.delete(&format!("/_matrix/client/v3/directory/room/%23maths%3A{SERVER}")).await.ok();
    assert_eq!(named().await["alias"], maths.as_str());
    alice.delete(&format!("/_matrix/client/v3/directory/room/%23sums%3A{SERVER}")).await.ok();
    assert_eq!(named().await, json!({ "alias": maths }));
}

#[tokio::test]
async fn a_filtered_page_says_where_it_ended_and_a_timeline_may_be_empty() {
    let campus = Campus::of([SERVER]).await;
    let alice = campus.person("alice").await;
    let room = alice.creates_room().await;
    alice.says(&room, "words").await;
    let filter = encoded(&json!({ "types": ["m.room.message"] }).to_string());
    let page = alice.get(&room_path(&room, &format!("messages?dir=b&filter={filter}"))).await.ok();
    assert_eq!(page["chunk"].as_array().map(Vec::len), Some(1));
    let end = page["end"].as_str().expect("a place to go on from");
    let next = alice.get(&room_path(&room, &format!("messages?dir=b&filter={filter}&from={end}"))).await.ok();
    assert_eq!((next["chunk"].as_array().map(Vec::len), &next["end"]), (Some(0), &Value::Null));

    let nothing = encoded(&json!({ "room": { "timeline": { "limit": 0 } } }).to_string());
    let sync = alice.syncs(&format!("timeout=0&filter={nothing}")).await;
    let timeline = &sync["rooms"]["join"][&room]["timeline"];
    assert_eq!((timeline["events"].as_array().map(Vec::len), &timeline["limited"]), (Some(0), &json!(true)));
}

#[tokio::test]
async fn a_room_one_comes_into_is_told_with_a_gap() {
    let campus = Campus::of([SERVER]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.syncs("timeout=0").await;
    bob.joins(&room).await;
    let sync = bob.syncs("timeout=0").await;
    assert_eq!(sync["rooms"]["join"][&room]["timeline"]["limited"], true);
}
