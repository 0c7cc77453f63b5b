//! Events that have no place yet, for want of what they build on: they wait and are tried again.

use lyceum_events::Draft;
use ruma::OwnedEventId;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{
    campus::Host,
    peer::{Forged, Shared, json_of},
};

const ALPHA: &str = "alpha.example";
const BETA: &str = "beta.example";
const MISSING: &str = "/_matrix/federation/v1/get_missing_events";
const EVENT: &str = "/_matrix/federation/v1/event/";
const STATE_IDS: &str = "/_matrix/federation/v1/state_ids/";
/// Longer than the pause before the first try.
const PAUSE: Duration = Duration::from_secs(11);
/// Until nobody tries any more.
const DAY: Duration = Duration::from_secs(25 * 3_600);

/// Ben says things that alpha does not hear of; beta keeps to itself what came before the last of them.
async fn withheld(shared: &Shared, texts: &[&str]) -> (Vec<String>, Value) {
    let wires = &shared.campus.wires;
    wires.cut(ALPHA, BETA);
    let mut ids = Vec::new();
    for text in texts {
        ids.push(shared.ben.says(&shared.room, text).await);
    }
    wires.heal(ALPHA, BETA);
    for path in [MISSING, EVENT, STATE_IDS] {
        wires.answer(BETA, path, 503, json!({ "errcode": "M_UNKNOWN" }));
    }
    let last = shared.beta().event(ids.last().expect("something was said")).await.expect("it is at beta");
    (ids, json_of(&last))
}

fn told_again(shared: &Shared) {
    for path in [MISSING, EVENT, STATE_IDS] {
        shared.campus.wires.answer_no_more(BETA, path);
    }
}

/// Lets time pass until an event has its place.
async fn is_placed_in_time(shared: &Shared, host: &Host, id: &str) {
    for _ in 0..200 {
        if host.has_in_timeline(id).await {
            return;
        }
        shared.campus.clock.advance(PAUSE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{id} should have its place by now");
}

#[tokio::test]
async fn what_has_no_place_yet_gets_it_without_another_event() {
    let shared = Shared::begin().await;
    let (ids, last) = withheld(&shared, &["unheard", "heard"]).await;
    let answer = shared.beta().sends(shared.alpha(), "t", &[last]).await.ok();
    assert_eq!(answer["pdus"][&ids[1]], json!({}), "it was taken, and is not lost");
    assert!(!shared.alpha().has_in_timeline(&ids[1]).await);
    told_again(&shared);
    is_placed_in_time(&shared, shared.alpha(), &ids[1]).await;
    shared.ann.sees(&shared.room, "unheard").await;
    shared.ann.sees(&shared.room, "heard").await;
    shared.alpha().is_sound().await;
}

#[tokio::test]
async fn what_waits_outlives_a_crash() {
    let mut shared = Shared::begin().await;
    let (ids, last) = withheld(&shared, &["unheard", "heard"]).await;
    shared.beta().sends(shared.alpha(), "t", &[last]).await.ok();
    shared.campus.crashes(ALPHA).await;
    told_again(&shared);
    is_placed_in_time(&shared, shared.alpha(), &ids[1]).await;
}

#[tokio::test]
async fn what_waits_is_tried_at_once_when_what_it_builds_on_comes() {
    let shared = Shared::begin().await;
    let (ids, last) = withheld(&shared, &["unheard", "heard"]).await;
    shared.beta().sends(shared.alpha(), "t1", &[last]).await.ok();
    let first = json_of(&shared.beta().event(&ids[0]).await.expect("it is at beta"));
    shared.beta().sends(shared.alpha(), "t2", &[first]).await.ok();
    // The clock stands still.
    shared.ann.sees(&shared.room, "heard").await;
    assert!(shared.alpha().has_in_timeline(&ids[1]).await);
}

#[tokio::test]
async fn what_never_finds_a_place_is_given_up() {
    let shared = Shared::begin().await;
    let (ids, last) = withheld(&shared, &["unheard", "heard"]).await;
    shared.beta().sends(shared.alpha(), "t", &[last]).await.ok();
    let waiting = || async { shared.alpha().server.rooms().waiting_events().await.expect("the store answers").len() };
    assert_eq!(waiting().await, 1);
    let tried = shared.campus.wires.times_asked(BETA, MISSING);
    for _ in 0..200 {
        if waiting().await == 0 {
            break;
        }
        shared.campus.clock.advance(DAY);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(waiting().await, 0, "it is forgotten after a day");
    assert!(shared.campus.wires.times_asked(BETA, MISSING) > tried, "it was tried once more before");
    assert!(!shared.alpha().has_in_timeline(&ids[1]).await);
}

#[tokio::test]
async fn of_one_server_so_many_events_wait_and_no_more() {
    let shared = Shared::begin().await;
    let (alpha, beta, room) = (shared.alpha(), shared.beta(), &shared.room);
    let nowhere = OwnedEventId::try_from("$nowhere-to-be-found-at-all-and-of-the-right-length").expect("an id");
    withheld(&shared, &["unheard"]).await;
    let mut refused = 0;
    for n in 0..102 {
        let content =
            serde_json::from_value(json!({ "body": format!("{n}"), "msgtype": "m.text" })).expect("canonical");
        let at = Forged { prev: Some(vec![nowhere.clone()]), ..Forged::default() };
        let event = beta.forges(room, &shared.ben.id, Draft::message("m.room.message", content), at).await;
        let answer = beta.sends(alpha, &format!("t{n}"), &[json_of(&event)]).await.ok();
        refused += usize::from(answer["pdus"][event.id().as_str()]["error"].is_string());
    }
    assert_eq!(refused, 2);
}

/// Ben renames himself in secret, again and again, and one of the steps is lost: what rests on it has no place, and nothing of
/// what cannot be proved gets into the state.
#[tokio::test]
async fn nothing_rests_on_what_cannot_be_proved() {
    let shared = Shared::begin().await;
    let (alpha, beta, room, ben) = (shared.alpha(), shared.beta(), &shared.room, &shared.ben);
    let joined = alpha.state_event(room, "m.room.member", &ben.id).await;
    shared.campus.wires.cut(ALPHA, BETA);
    let mut lost = String::new();
    for name in ["A", "B", "C"] {
        let path = format!("/_matrix/client/v3/profile/{}/displayname", ben.id);
        ben.put(&path, json!({ "displayname": name })).await.ok();
        if name == "B" {
            lost = beta.state_event(room, "m.room.member", &ben.id).await.to_string();
        }
    }
    ben.says(room, "before the gap").await;
    let told = json_of(&beta.event(&ben.says(room, "told").await).await.expect("it is at beta"));
    let last = ben.says(room, "sent").await;
    shared.campus.wires.heal(ALPHA, BETA);
    shared.campus.wires.answer(BETA, MISSING, 200, json!({ "events": [told] }));
    shared.campus.wires.answer(BETA, &format!("{EVENT}{}", lost.replace('$', "%24")), 404, json!({}));
    shared.campus.wires.answer(BETA, &format!("{EVENT}{lost}"), 404, json!({}));
    shared.campus.wires.answer(BETA, "/_matrix/federation/v1/event_auth/", 404, json!({}));
    let asked = shared.campus.wires.times_asked(BETA, STATE_IDS);
    let answer = beta.sends(alpha, "t", &[json_of(&beta.event(&last).await.expect("it is at beta"))]).await.ok();
    assert_eq!(answer["pdus"][&last], json!({}), "it waits");
    assert!(!alpha.has_in_timeline(&last).await);
    assert_eq!(alpha.state_event(room, "m.room.member", &ben.id).await, joined);
    assert_eq!(shared.campus.wires.times_asked(BETA, STATE_IDS), asked + 1, "another state is of no help");
    alpha.is_sound().await;
}
