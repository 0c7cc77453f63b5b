//! Servers that lose sight of each other for a while: each goes on alone, and then they agree.

use serde_json::json;

use super::{ALPHA, BETA, GAMMA, LONG, Two, history::reads_back, joins, public, state};
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
