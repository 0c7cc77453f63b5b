//! Servers that lose sight of each other for a while: each goes on alone, and then they agree.

use serde_json::json;

use super::{ALPHA, BETA, GAMMA, LONG, Two, history::reads_back, joins, membership, public, state};
use crate::support::Campus;

#[tokio::test]
async fn both_go_on_alone_and_agree_when_they_meet_again() {
    let two = Two::meet().await;
    for version in ["1", "6", "11", "12"] {
        let levels = json!({ "users_default": 50 });
        let room = two.share(json!({ "room_version": version, "power_level_content_override": levels })).await;
        two.campus.wires.cut(ALPHA, BETA);
        for n in 0..5 {
            two.ann.says(&room, &format!("ann alone {n}")).await;
            two.ben.says(&room, &format!("ben alone {n}")).await;
        }
        two.ann.sets(&room, "m.room.name", "", json!({ "name": "alpha's" })).await;
        two.ben.sets(&room, "m.room.name", "", json!({ "name": "beta's" })).await;
        two.ben.sets(&room, "m.room.topic", "", json!({ "topic": "beta's" })).await;
        two.campus.wires.heal(ALPHA, BETA);
        two.campus.clock.advance(LONG);
        two.ann.says(&room, "anybody there?").await;
        two.ben.sees(&room, "anybody there?").await;
        two.ben.says(&room, "yes").await;
        two.ann.sees(&room, "yes").await;
        for n in 0..5 {
            two.ben.sees(&room, &format!("ann alone {n}")).await;
            two.ann.sees(&room, &format!("ben alone {n}")).await;
        }
        two.agree(&room).await;
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_told_what_it_missed() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    two.campus.wires.cut(ALPHA, BETA);
    for n in 0..60 {
        two.ann.says(&room, &format!("while you were away {n}")).await;
    }
    two.campus.wires.heal(ALPHA, BETA);
    two.campus.clock.advance(LONG);
    two.campus.settle().await;
    let (there, _) = reads_back(&two.ben, &room, 100).await;
    assert_eq!(there, reads_back(&two.ann, &room, 100).await.0);
    assert_eq!(there.len(), 60);
    two.agree(&room).await;
}

#[tokio::test]
async fn a_third_server_brings_news_of_one_that_is_out_of_sight() {
    let campus = Campus::of([ALPHA, BETA, GAMMA]).await;
    let (ann, ben) = (campus.person_at(ALPHA, "ann").await, campus.person_at(BETA, "ben").await);
    let cat = campus.person_at(GAMMA, "cat").await;
    let room = public(&ann, json!({})).await;
    joins(&ben, &room, ALPHA).await;
    joins(&cat, &room, ALPHA).await;
    campus.settle().await;
    campus.wires.cut(ALPHA, BETA);
    ann.says(&room, "only gamma hears this").await;
    cat.sees(&room, "only gamma hears this").await;
    // What gamma says next stands on it, so beta asks gamma for it.
    cat.says(&room, "did you hear?").await;
    ben.sees(&room, "did you hear?").await;
    ben.sees(&room, "only gamma hears this").await;
    campus.wires.heal(ALPHA, BETA);
    campus.clock.advance(LONG);
    campus.settle().await;
    assert_eq!(state(&ann, &room).await, state(&ben, &room).await);
}

#[tokio::test]
async fn a_server_that_went_and_came_back_is_not_sent_what_was_said_between() {
    let campus = Campus::of([ALPHA, BETA, GAMMA]).await;
    let (ann, ben) = (campus.person_at(ALPHA, "ann").await, campus.person_at(BETA, "ben").await);
    let cat = campus.person_at(GAMMA, "cat").await;
    let joined = json!([{
        "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": "joined" },
    }]);
    let room = public(&ann, json!({ "initial_state": joined })).await;
    joins(&ben, &room, ALPHA).await;
    joins(&cat, &room, ALPHA).await;
    campus.settle().await;
    campus.wires.cut(ALPHA, BETA);
    ann.says(&room, "while you are here").await;
    cat.sees(&room, "while you are here").await;
    // By way of gamma alpha hears that ben has gone, and that he is back.
    let minute = || campus.clock.advance(std::time::Duration::from_secs(60));
    minute();
    ben.leaves(&room).await;
    cat.waits_for(&room, |event| event["content"]["membership"] == "leave")
        .await
        .expect("gamma hears that ben has gone");
    cat.says(&room, "ben has gone").await;
    ann.sees(&room, "ben has gone").await;
    assert_eq!(membership(&ann, &room, &ben).await, "leave");
    let between = ann.says(&room, "between ourselves").await;
    cat.sees(&room, "between ourselves").await;
    minute();
    joins(&ben, &room, GAMMA).await;
    cat.says(&room, "ben is back").await;
    ann.sees(&room, "ben is back").await;
    assert_eq!(membership(&ann, &room, &ben).await, "join");
    ann.says(&room, "welcome back").await;
    campus.wires.heal(ALPHA, BETA);
    campus.clock.advance(LONG);
    campus.settle().await;
    ben.sees(&room, "welcome back").await;
    let there = campus.host(BETA).event(&between).await;
    let told = there.is_some_and(|event| event.content().get().contains("between ourselves"));
    assert!(!told, "beta should not have been sent what was said while it was not in the room");
    campus.host(BETA).is_sound().await;
}
