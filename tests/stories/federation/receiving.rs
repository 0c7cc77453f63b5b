//! Transactions: what another server tells is taken in once, in order, with whatever it builds on.

use http::Method;
use lyceum_events::Draft;
use serde_json::{Value, json};

use crate::support::{
    Campus,
    campus::Host,
    peer::{Forged, Shared, json_of},
};

/// More turns than a request takes to come to where it waits.
const TURNS: usize = 2_000;

fn message(text: &str) -> Draft {
    let content = json!({ "msgtype": "m.text", "body": text });
    Draft::message("m.room.message", serde_json::from_value(content).expect("canonical"))
}

async fn said(host: &Host, id: &str) -> Value {
    json_of(&host.event(id).await.expect("the event is there"))
}

#[tokio::test]
async fn a_transaction_is_taken_in_once_and_answered_alike() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let first = beta.forges(&room, &ben.id, message("one"), Forged::default()).await;
    let answer = beta.sends(alpha, "t1", &[json_of(&first)]).await.ok();
    assert_eq!(answer, json!({ "pdus": { first.id().as_str(): {} } }));
    ann.sees(&room, "one").await;
    // Another body under the same id is the same transaction.
    let second = beta.forges(&room, &ben.id, message("two"), Forged::default()).await;
    assert_eq!(beta.sends(alpha, "t1", &[json_of(&second)]).await.ok(), answer);
    ann.does_not_see(&room, "two").await;
    beta.sends(alpha, "t2", &[json_of(&second), json_of(&first)]).await.ok();
    ann.sees(&room, "two").await;
    campus.settle().await;
    alpha.is_sound().await;
}

#[tokio::test]
async fn a_transaction_has_limits_and_one_origin() {
    let Shared { campus, ben, room, .. } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let event = json_of(&beta.forges(&room, &ben.id, message("x"), Forged::default()).await);
    beta.sends(alpha, "many", &vec![event.clone(); 51]).await.refused(400, "M_INVALID_PARAM");
    let typing = json!({ "edu_type": "m.typing", "content": {} });
    beta.tells(alpha, "many-too", &vec![typing; 101]).await.refused(400, "M_INVALID_PARAM");
    let path = "/_matrix/federation/v1/send/other";
    let other = json!({ "origin": "alpha.example", "pdus": [event] });
    beta.puts(alpha, path, other).await.refused(400, "M_INVALID_PARAM");
    beta.puts(alpha, path, json!({ "pdus": 7 })).await.refused(400, "M_BAD_JSON");
    alpha.stranger().put(path, json!({ "pdus": [] })).await.refused(401, "M_UNAUTHORIZED");
    let as_alpha = ("alpha.example", "alpha.example");
    beta.asks_as(alpha, as_alpha, Method::PUT, path, Some(json!({ "pdus": [] }))).await.refused(401, "M_UNAUTHORIZED");
    let to_gamma = ("beta.example", "gamma.example");
    beta.asks_as(alpha, to_gamma, Method::PUT, path, Some(json!({ "pdus": [] }))).await.refused(401, "M_UNAUTHORIZED");
    assert_eq!(beta.puts(alpha, path, json!({})).await.ok(), json!({ "pdus": {} }));
}

#[tokio::test]
async fn what_came_between_is_fetched() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    campus.wires.cut("alpha.example", "beta.example");
    let mut alone = Vec::new();
    for n in 0..120 {
        alone.push(ben.says(&room, &format!("alone {n}")).await);
    }
    campus.wires.heal("alpha.example", "beta.example");
    let answer = beta.sends(alpha, "last", &[said(beta, &alone[119]).await]).await.ok();
    assert_eq!(answer["pdus"][&alone[119]], json!({}));
    for id in &alone {
        assert!(alpha.has_in_timeline(id).await, "{id} should have been fetched");
    }
    ann.sees(&room, "alone 119").await;
}

#[tokio::test]
async fn a_sender_that_hung_up_is_given_the_answer_of_what_it_began() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    campus.wires.cut("alpha.example", "beta.example");
    ben.says(&room, "before").await;
    let last = ben.says(&room, "last").await;
    campus.wires.heal("alpha.example", "beta.example");
    // Alpha asks beta for what came between, and waits.
    campus.wires.hold("beta.example");
    let told = [said(beta, &last).await];
    for _ in 0..6 {
        tokio::select! {
            biased;
            answer = beta.sends(alpha, "slow", &told) => panic!("the work is not done, yet this is answered: {answer:?}"),
            () = is_asked(&campus, "/_matrix/federation/v1/get_missing_events") => {}
        }
    }
    let (answer, ()) = tokio::join!(beta.sends(alpha, "slow", &told), async { campus.wires.release("beta.example") });
    assert_eq!(answer.ok()["pdus"][&last], json!({}));
    ann.sees(&room, "last").await;
    let asked = campus.wires.times_asked("beta.example", "/_matrix/federation/v1/get_missing_events");
    assert_eq!(asked, 1, "what was begun should be waited for, not begun again");
}

/// Waits until beta was asked for this, and a while of turns longer, so that whatever else is to happen does.
async fn is_asked(campus: &Campus, what: &str) {
    while campus.wires.times_asked("beta.example", what) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn over_a_gap_that_is_too_large_the_state_is_fetched() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    campus.wires.cut("alpha.example", "beta.example");
    let mut last = String::new();
    for n in 0..30 {
        last = ben.says(&room, &format!("alone {n}")).await;
    }
    for n in 0..3 {
        let guest = beta.person(&format!("guest{n}")).await;
        guest.joins(&room).await;
        last = guest.says(&room, &format!("here is guest {n}")).await;
    }
    campus.wires.heal("alpha.example", "beta.example");
    // Beta does not remember what came between.
    campus.wires.answer("beta.example", "/_matrix/federation/v1/get_missing_events", 200, json!({ "events": [] }));
    let answer = beta.sends(alpha, "last", &[said(beta, &last).await]).await.ok();
    assert_eq!(answer["pdus"][&last], json!({}));
    ann.sees(&room, "here is guest 2").await;
    ann.does_not_see(&room, "alone 29").await;
    assert_eq!(alpha.membership(&room, "@guest0:beta.example").await, lyceum_rooms::Membership::Join);
}

#[tokio::test]
async fn a_server_that_is_kept_out_is_not_heard() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let acl = json!({ "allow": ["*"], "deny": ["beta.example"], "allow_ip_literals": false });
    ann.sets(&room, "m.room.server_acl", "", acl).await;
    let event = beta.forges(&room, &ben.id, message("let me in"), Forged::default()).await;
    let answer = beta.sends(alpha, "t", &[json_of(&event)]).await.ok();
    assert!(answer["pdus"][event.id().as_str()]["error"].as_str().is_some_and(|why| why.contains("ACL")), "{answer}");
    ann.does_not_see(&room, "let me in").await;
}

#[tokio::test]
async fn events_of_rooms_that_nobody_here_is_in_are_passed_over() {
    let Shared { campus, ben, .. } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let elsewhere = ben.creates_room().await;
    let event = beta.forges(&elsewhere, &ben.id, message("hm"), Forged::default()).await;
    assert_eq!(beta.sends(alpha, "t", &[json_of(&event)]).await.ok(), json!({ "pdus": {} }));
    assert!(alpha.event(event.id().as_str()).await.is_none());
}

#[tokio::test]
async fn a_timeline_with_a_gap_says_so() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    ann.says(&room, "before").await;
    ann.syncs("timeout=0").await;
    campus.wires.cut("alpha.example", "beta.example");
    let mut alone = Vec::new();
    for n in 0..30 {
        alone.push(ben.says(&room, &format!("alone {n}")).await);
    }
    campus.wires.heal("alpha.example", "beta.example");
    // Beta hands out the last few only, and the state before them is what it was before.
    let mut few = Vec::new();
    for id in &alone[26..29] {
        few.push(said(beta, id).await);
    }
    campus.wires.answer("beta.example", "/_matrix/federation/v1/get_missing_events", 200, json!({ "events": few }));
    beta.sends(alpha, "last", &[said(beta, &alone[29]).await]).await.ok();
    let timeline = ann.syncs("timeout=0").await["rooms"]["join"][&room]["timeline"].clone();
    let texts: Vec<_> =
        timeline["events"].as_array().into_iter().flatten().map(|one| &one["content"]["body"]).collect();
    // The one before those that were handed out is asked for, with the state before it.
    assert_eq!(texts, ["alone 25", "alone 26", "alone 27", "alone 28", "alone 29"], "{timeline}");
    assert_eq!(timeline["limited"], true, "{timeline}");
}

#[tokio::test]
async fn what_follows_nonsense_is_refused_and_no_state_is_believed_instead() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    campus.wires.cut("alpha.example", "beta.example");
    let odd = ben.says(&room, "odd").await;
    let next = ben.says(&room, "next").await;
    campus.wires.heal("alpha.example", "beta.example");
    let mut nonsense = said(beta, &odd).await;
    nonsense["content"]["body"] = json!(1.5);
    let asked = "/_matrix/federation/v1/get_missing_events";
    campus.wires.answer("beta.example", asked, 200, json!({ "events": [nonsense] }));
    let states = campus.wires.times_asked("beta.example", "/_matrix/federation/v1/state_ids");
    let answer = beta.sends(alpha, "odd", &[said(beta, &next).await]).await.ok();
    assert!(answer["pdus"][&next]["error"].is_string(), "{answer}");
    assert_eq!(campus.wires.times_asked("beta.example", "/_matrix/federation/v1/state_ids"), states);
    ann.does_not_see(&room, "next").await;
}

#[tokio::test]
async fn a_number_that_json_has_and_matrix_has_not_spoils_one_event_only() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let event = beta.forges(&room, &ben.id, message("good"), Forged::default()).await;
    let mut odd = json_of(&event);
    (odd["content"]["body"], odd["content"]["size"]) = (json!("odd"), json!(1.5));
    let body = json!({ "edus": [], "origin": "beta.example", "origin_server_ts": 1, "pdus": [odd, json_of(&event)] });
    let answer = beta.sends_as_written(alpha, "/_matrix/federation/v1/send/floats", &body.to_string()).await.ok();
    assert_eq!(answer["pdus"][event.id().as_str()], json!({}), "{answer}");
    ann.sees(&room, "good").await;
    ann.does_not_see(&room, "odd").await;
}

#[tokio::test]
async fn a_slip_in_a_list_of_servers_lets_nobody_in() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let slips = [
        json!({ "allow": ["*"], "deny": ["beta.example", 7] }),
        json!({ "allow": ["*", null], "deny": ["beta.example"], "allow_ip_literals": "no" }),
        json!({ "allow": "*", "deny": [] }),
    ];
    for (n, acl) in slips.into_iter().enumerate() {
        ann.sets(&room, "m.room.server_acl", "", acl.clone()).await;
        let event = beta.forges(&room, &ben.id, message(&format!("let me in {n}")), Forged::default()).await;
        let answer = beta.sends(alpha, &format!("slip{n}"), &[json_of(&event)]).await.ok();
        let refused = answer["pdus"][event.id().as_str()]["error"].as_str().is_some_and(|why| why.contains("ACL"));
        assert!(refused, "by {acl} beta is kept out, and was answered {answer}");
    }
    let acl = json!({ "allow": ["beta.*", 7], "deny": [{}] });
    ann.sets(&room, "m.room.server_acl", "", acl).await;
    let event = beta.forges(&room, &ben.id, message("thank you"), Forged::default()).await;
    beta.sends(alpha, "allowed", &[json_of(&event)]).await.ok();
    ann.sees(&room, "thank you").await;
}

#[tokio::test]
async fn a_server_that_is_kept_out_in_the_midst_of_what_it_sends_is_not_heard_any_more() {
    let Shared { campus, ann, ben, room } = Shared::begin().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    ann.sets(&room, "m.room.power_levels", "", json!({ "users": { &ben.id: 100 } })).await;
    campus.settle().await;
    let before = beta.forges(&room, &ben.id, message("still in"), Forged::default()).await;
    let acl = serde_json::from_value(json!({ "allow": ["*"], "deny": ["beta.example"] })).expect("canonical");
    let acl = beta.forges(&room, &ben.id, Draft::state("m.room.server_acl", "", acl), Forged::default()).await;
    let after = beta.forges(&room, &ben.id, message("out by now"), Forged::default()).await;
    let answer = beta.sends(alpha, "t", &[&before, &acl, &after].map(json_of)).await.ok();
    assert_eq!(answer["pdus"][acl.id().as_str()], json!({}), "{answer}");
    let refused = answer["pdus"][after.id().as_str()]["error"].as_str().is_some_and(|why| why.contains("ACL"));
    assert!(refused, "{answer}");
    ann.sees(&room, "still in").await;
    ann.does_not_see(&room, "out by now").await;
}
