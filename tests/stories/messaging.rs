//! People in one room of one server: what is said is seen, by those who may see it.

use serde_json::json;

use crate::support::{Campus, person::encoded};

#[tokio::test]
async fn what_is_said_is_seen_by_those_in_the_room() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob, carol) = (campus.person("alice").await, campus.person("bob").await, campus.person("carol").await);
    let room = alice.creates_room().await;
    alice.invites(&room, &bob).await;
    bob.joins(&room).await;

    let event = alice.says(&room, "hi").await;
    assert_eq!(bob.sees(&room, "hi").await["event_id"], event.as_str());
    bob.says(&room, "hi yourself").await;
    alice.sees(&room, "hi yourself").await;

    carol.does_not_see(&room, "hi").await;
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b", encoded(&room));
    carol.get(&path).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_waiting_sync_is_answered_when_something_is_said() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    bob.syncs("timeout=0").await;
    let waiting = bob.syncs("timeout=30000");
    let saying = async {
        tokio::task::yield_now().await;
        alice.says(&room, "now").await
    };
    let (answer, _) = tokio::join!(waiting, saying);
    let events = answer["rooms"]["join"][&room]["timeline"]["events"].clone();
    assert!(events.to_string().contains("now"), "the sync that waited should bring it, and brought {answer}");
}

#[tokio::test]
async fn the_same_transaction_is_sent_once() {
    let campus = Campus::of(["alpha.example"]).await;
    let alice = campus.person("alice").await;
    let room = alice.creates_room().await;
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/once", encoded(&room));
    let said = json!({ "msgtype": "m.text", "body": "once" });
    let first = alice.put(&path, said.clone()).await.ok();
    let second = alice.put(&path, said).await.ok();
    assert_eq!(first["event_id"], second["event_id"]);
}

#[tokio::test]
async fn who_has_left_sees_what_was_said_before_and_nothing_after() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let room = alice.creates_public_room().await;
    bob.joins(&room).await;
    alice.says(&room, "before").await;
    bob.sees(&room, "before").await;
    bob.leaves(&room).await;
    alice.says(&room, "after").await;
    bob.does_not_see(&room, "after").await;
}

#[tokio::test]
async fn what_is_stored_is_sound_after_all_kinds_of_acts() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    for version in ["1", "6", "10", "11", "12"] {
        let room = alice.creates_room_with(json!({ "preset": "public_chat", "room_version": version })).await;
        bob.joins(&room).await;
        let said = bob.says(&room, "oh dear").await;
        alice.sets(&room, "m.room.topic", "", json!({ "topic": "manners" })).await;
        let path = format!("/_matrix/client/v3/rooms/{}/redact/{}/r{version}", encoded(&room), encoded(&said));
        alice.put(&path, json!({ "reason": "manners" })).await.ok();
        bob.leaves(&room).await;
    }
    campus.host("alpha.example").is_sound().await;
}
