//! What is said on one server and heard on the other: messages, what relates to them, and what passes.

use serde_json::{Value, json};

use super::{ALPHA, BETA, GAMMA, Two, at, joins, public};
use crate::support::{Campus, Person, encoded};

async fn event(who: &Person, room: &str, id: &str) -> Value {
    who.get(&at(room, &format!("event/{}", encoded(id)))).await.ok()
}

#[tokio::test]
async fn edits_reactions_threads_and_redactions_are_the_same_on_both_sides() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    for (writer, reader) in [(&two.ann, &two.ben), (&two.ben, &two.ann)] {
        let first = writer.says(&room, "a first form").await;
        reader.sees(&room, "a first form").await;
        let edit = json!({
            "msgtype": "m.text", "body": "* second", "m.new_content": { "msgtype": "m.text", "body": "second" },
            "m.relates_to": { "rel_type": "m.replace", "event_id": first },
        });
        let edit = writer.sends(&room, "m.room.message", edit).await;
        let relation = json!({ "rel_type": "m.annotation", "event_id": first, "key": "+" });
        let reaction = reader.sends(&room, "m.reaction", json!({ "m.relates_to": relation })).await;
        let relation = json!({ "rel_type": "m.thread", "event_id": first });
        let reply = json!({ "msgtype": "m.text", "body": "reply", "m.relates_to": relation });
        let reply = reader.sends(&room, "m.room.message", reply).await;
        two.campus.settle().await;
        for one in [writer, reader] {
            let seen = event(one, &room, &first).await["unsigned"]["m.relations"].clone();
            assert_eq!(seen["m.replace"]["event_id"], edit.as_str(), "{seen}");
            assert_eq!(seen["m.thread"]["latest_event"]["event_id"], reply.as_str(), "{seen}");
            let path =
                format!("/_matrix/client/v1/rooms/{}/relations/{}/m.annotation", encoded(&room), encoded(&first));
            assert_eq!(one.get(&path).await.ok()["chunk"][0]["event_id"], reaction.as_str());
        }
        let slip = writer.says(&room, "a slip").await;
        writer.put(&at(&room, &format!("redact/{}/r", encoded(&slip))), json!({})).await.ok();
        two.campus.settle().await;
        assert_eq!(event(reader, &room, &slip).await["content"], json!({}));
    }
    two.agree(&room).await;
}

#[tokio::test]
async fn state_set_on_either_side_agrees() {
    let two = Two::meet().await;
    let room = two.share(json!({ "power_level_content_override": { "users_default": 50 } })).await;
    for (setter, other, topic) in [(&two.ann, &two.ben, "alpha's"), (&two.ben, &two.ann, "beta's")] {
        setter.sets(&room, "m.room.topic", "", json!({ "topic": topic })).await;
        two.campus.settle().await;
        assert_eq!(other.get(&at(&room, "state/m.room.topic/")).await.ok()["topic"], topic);
    }
    two.agree(&room).await;
}

/// Syncs until an ephemeral event of the room fits.
async fn notices(who: &Person, room: &str, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..5 {
        let answer = who.syncs("timeout=2000").await;
        let events = answer["rooms"]["join"][room]["ephemeral"]["events"].as_array().cloned().unwrap_or_default();
        if let Some(found) = events.into_iter().find(|event| event["type"] == kind && fits(&event["content"])) {
            return found["content"].clone();
        }
    }
    panic!("{} should notice {kind} in {room}, and does not", who.id)
}

#[tokio::test]
async fn typing_is_seen_on_the_other_side() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    for (typist, watcher) in [(&two.ann, &two.ben), (&two.ben, &two.ann)] {
        watcher.syncs("timeout=0").await;
        let path = at(&room, &format!("typing/{}", encoded(&typist.id)));
        typist.put(&path, json!({ "typing": true, "timeout": 20_000 })).await.ok();
        notices(watcher, &room, "m.typing", |content| content["user_ids"].to_string().contains(&typist.id)).await;
        typist.put(&path, json!({ "typing": false })).await.ok();
        notices(watcher, &room, "m.typing", |content| !content["user_ids"].to_string().contains(&typist.id)).await;
    }
}

#[tokio::test]
async fn receipts_are_seen_on_the_other_side_and_private_ones_never() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    for (reader, writer) in [(&two.ben, &two.ann), (&two.ann, &two.ben)] {
        let said = writer.says(&room, "read me").await;
        let quiet = writer.says(&room, "read me quietly").await;
        let relation = json!({ "rel_type": "m.thread", "event_id": said });
        let reply = json!({ "msgtype": "m.text", "body": "reply", "m.relates_to": relation });
        let reply = writer.sends(&room, "m.room.message", reply).await;
        two.campus.settle().await;
        let receipt = |kind: &str, event: &str| at(&room, &format!("receipt/{kind}/{}", encoded(event)));
        reader.post(&receipt("m.read.private", &quiet), json!({})).await.ok();
        reader.post(&receipt("m.read", &said), json!({})).await.ok();
        let seen =
            notices(writer, &room, "m.receipt", |content| content[&said]["m.read"].get(&reader.id).is_some()).await;
        let told = |kinds: &Value| kinds["m.read.private"].get(&reader.id).is_some();
        assert!(!seen.as_object().is_some_and(|events| events.values().any(told)), "{seen}");
        reader.post(&receipt("m.read", &reply), json!({ "thread_id": said })).await.ok();
        notices(writer, &room, "m.receipt", |content| {
            content[&reply]["m.read"][&reader.id]["thread_id"] == said.as_str()
        })
        .await;
    }
}

#[tokio::test]
async fn presence_is_seen_on_the_other_side() {
    let two = Two::meet().await;
    two.share(json!({})).await;
    for (one, watcher) in [(&two.ann, &two.ben), (&two.ben, &two.ann)] {
        let path = format!("/_matrix/client/v3/presence/{}/status", encoded(&one.id));
        one.put(&path, json!({ "presence": "unavailable", "status_msg": "away" })).await.ok();
        let mut seen = false;
        for _ in 0..5 {
            let answer = watcher.syncs("timeout=2000").await;
            let events = answer["presence"]["events"].as_array().cloned().unwrap_or_default();
            seen |= events.iter().any(|event| event["sender"] == *one.id && event["content"]["status_msg"] == "away");
        }
        assert!(seen, "{} should see that {} is away", watcher.id, one.id);
    }
}

#[tokio::test]
async fn who_stays_online_stays_so_on_the_other_side() {
    let two = Two::meet().await;
    two.share(json!({})).await;
    let book = |server: &str| two.campus.host(server).server.accounts().presence().clone();
    let ann = ruma::OwnedUserId::try_from(&*two.ann.id).expect("a user id");
    for _ in 0..70 {
        two.ann.syncs("timeout=0").await;
        two.campus.clock.advance(std::time::Duration::from_secs(30));
        book(ALPHA).settle();
        two.campus.settle().await;
        book(BETA).settle();
    }
    assert_eq!(book(BETA).of(&ann).state.as_str(), "online", "ann is there all the time");
}

#[tokio::test]
async fn three_servers_hear_everything() {
    let campus = Campus::of([ALPHA, BETA, GAMMA]).await;
    let (ann, ben) = (campus.person_at(ALPHA, "ann").await, campus.person_at(BETA, "ben").await);
    let cat = campus.person_at(GAMMA, "cat").await;
    let room = public(&ann, json!({})).await;
    joins(&ben, &room, ALPHA).await;
    campus.settle().await;
    joins(&cat, &room, BETA).await;
    campus.settle().await;
    let people = [&ann, &ben, &cat];
    for writer in people {
        let text = format!("from {}", writer.id);
        writer.says(&room, &text).await;
        for reader in people {
            reader.sees(&room, &text).await;
        }
    }
    campus.settle().await;
    assert_eq!(super::state(&ann, &room).await, super::state(&cat, &room).await);
    assert_eq!(super::state(&ann, &room).await, super::state(&ben, &room).await);
}

#[tokio::test]
async fn an_event_is_taken_back_before_it_came() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    two.campus.wires.cut(ALPHA, BETA);
    let slip = two.ben.says(&room, "a slip").await;
    two.ann.put(&at(&room, &format!("redact/{}/r", encoded(&slip))), json!({})).await.ok();
    two.campus.wires.heal(ALPHA, BETA);
    two.campus.clock.advance(super::LONG);
    two.campus.settle().await;
    for one in [&two.ann, &two.ben] {
        assert_eq!(event(one, &room, &slip).await["content"], json!({}), "as {} sees it", one.id);
    }
    // Where nobody else is, what is not here is nowhere.
    let alone = two.ann.creates_room().await;
    two.ann.put(&at(&alone, "redact/$nothing/r"), json!({})).await.refused(404, "M_NOT_FOUND");
}
