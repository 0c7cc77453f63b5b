//! Branches without end: a server may send any number of events that follow an old one, and the room goes on.

use lyceum_events::Draft;
use ruma::{OwnedEventId, RoomId};
use serde_json::{Value, json};

use crate::support::{
    campus::Host,
    encoded,
    peer::{Forged, Shared, json_of},
};

/// More than a room would keep of ends.
const MANY: usize = 300;
/// Events of one transaction at most.
const TRANSACTION: usize = 50;

async fn ends(host: &Host, room: &str) -> Vec<OwnedEventId> {
    let room = <&RoomId>::try_from(room).expect("a room id");
    host.server.rooms().ends(room).await.expect("the room is here")
}

/// So many events that all follow one.
async fn follow(beta: &Host, (room, user, old): (&str, &str, &str), draft: impl Fn(usize) -> Draft) -> Vec<Value> {
    let mut events = Vec::new();
    for n in 0..MANY {
        let prev = Some(vec![OwnedEventId::try_from(old).expect("an event id")]);
        let at = Forged { ts: u64::try_from(n).expect("a small number"), prev, ..Forged::default() };
        events.push(json_of(&beta.forges(room, user, draft(n), at).await));
    }
    events
}

async fn sends_all(beta: &Host, alpha: &Host, events: &[Value]) {
    for (n, events) in events.chunks(TRANSACTION).enumerate() {
        let answer = beta.sends(alpha, &format!("many{n}"), events).await.ok();
        let refused = answer["pdus"].as_object().is_none_or(|pdus| pdus.values().any(|one| one.get("error").is_some()));
        assert!(!refused, "{answer}");
    }
}

#[tokio::test]
async fn messages_that_all_follow_an_old_one_leave_the_room_one_end() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let old = ann.says(&room, "old").await;
    ann.sets(&room, "m.room.topic", "", json!({ "topic": "what we talk of" })).await;
    campus.settle().await;
    let message = |n: usize| {
        let content = json!({ "msgtype": "m.text", "body": format!("branch {n}") });
        Draft::message("m.room.message", serde_json::from_value(content).expect("canonical"))
    };
    let last = ends(alpha, &room).await;
    sends_all(beta, alpha, &follow(beta, (&room, &ben.id, &old), message).await).await;
    ann.sees(&room, "branch 299").await;
    // However many another server makes, it does not drive out what others have said.
    assert!(ends(alpha, &room).await.contains(&last[0]), "the end that was there before is still followed");
    let own = ann.says(&room, "we go on").await;
    let named = alpha.event(&own).await.expect("it is there").prev().len();
    assert!(named <= 20, "{named} events before one are too many");
    assert_eq!(ends(alpha, &room).await, [own.as_str()], "a message of this server ends all branches");
    campus.settle().await;
    let topic = format!("/_matrix/client/v3/rooms/{}/state/m.room.topic", encoded(&room));
    assert_eq!(ann.get(&topic).await.ok()["topic"], "what we talk of");
    ben.sees(&room, "we go on").await;
    alpha.is_sound().await;
}

#[tokio::test]
async fn what_branches_did_to_the_state_outlasts_them() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    ann.sets(&room, "m.room.power_levels", "", json!({ "users_default": 50 })).await;
    let old = ann.says(&room, "old").await;
    ann.sets(&room, "m.room.topic", "", json!({ "topic": "what we talk of" })).await;
    campus.settle().await;
    let marks = |n: usize| {
        let content = serde_json::from_value(json!({ "number": n })).expect("canonical");
        Draft::state("org.example.mark", n.to_string(), content)
    };
    sends_all(beta, alpha, &follow(beta, (&room, &ben.id, &old), marks).await).await;
    let whole = async |when: &str| {
        let state = ann.get(&format!("/_matrix/client/v3/rooms/{}/state", encoded(&room))).await.ok();
        let held = |kind: &str| state.as_array().into_iter().flatten().filter(|one| one["type"] == kind).count();
        assert_eq!((held("org.example.mark"), held("m.room.topic")), (MANY, 1), "{when}");
    };
    whole("with all branches open").await;
    alpha.is_sound().await;
    let own = ann.says(&room, "we go on").await;
    assert_eq!(ends(alpha, &room).await, [own.as_str()]);
    whole("with a message after them").await;
    ann.sets(&room, "m.room.name", "", json!({ "name": "still ours" })).await;
    whole("with more state after that").await;
    campus.settle().await;
    alpha.is_sound().await;
}
