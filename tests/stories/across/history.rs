//! Reading what was said before one's server came into the room.

use lyceum_events::{Draft, Event};
use lyceum_rooms::Acceptance;
use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::{ALPHA, BETA, LONG, Two, at, joins, public};
use crate::support::{
    Person, encoded,
    peer::{Forged, json_of},
};

/// Pages back through the whole history: the texts, the latest first, and whether the creation was reached.
pub(super) async fn reads_back(who: &Person, room: &str, page: usize) -> (Vec<String>, bool) {
    let (mut texts, mut from, mut reached) = (Vec::new(), String::new(), false);
    for _ in 0..200 {
        let answer = who.get(&at(room, &format!("messages?dir=b&limit={page}{from}"))).await.ok();
        let events = answer["chunk"].as_array().cloned().unwrap_or_default();
        reached |= events.iter().any(|event| event["type"] == "m.room.create");
        texts.extend(events.iter().filter_map(|event| event["content"]["body"].as_str().map(str::to_owned)));
        match answer["end"].as_str() {
            Some(end) => from = format!("&from={}", encoded(end)),
            None => return (texts, reached),
        }
    }
    panic!("history should end")
}

fn lines(count: usize) -> Vec<String> {
    (0..count).rev().map(|n| format!("line {n}")).collect()
}

#[tokio::test]
async fn history_from_before_the_join_is_fetched_when_asked_for() {
    let two = Two::meet().await;
    for version in ["1", "6", "10", "12"] {
        let room = public(&two.ann, json!({ "room_version": version })).await;
        for n in 0..150 {
            two.ann.says(&room, &format!("line {n}")).await;
        }
        joins(&two.ben, &room, ALPHA).await;
        assert_eq!(reads_back(&two.ben, &room, 20).await, (lines(150), true), "in version {version}");
        // The second time nobody has to be asked.
        two.campus.wires.cut(ALPHA, BETA);
        assert_eq!(reads_back(&two.ben, &room, 50).await, (lines(150), true), "in version {version}");
        two.campus.wires.heal(ALPHA, BETA);
        two.agree(&room).await;
    }
}

#[tokio::test]
async fn history_is_told_only_as_far_as_it_may_be_seen() {
    let two = Two::meet().await;
    let visibility = json!([{
        "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": "joined" },
    }]);
    let room = public(&two.ann, json!({ "initial_state": visibility })).await;
    two.ann.says(&room, "among ourselves").await;
    joins(&two.ben, &room, ALPHA).await;
    two.ann.says(&room, "welcome").await;
    two.ben.sees(&room, "welcome").await;
    let (texts, _) = reads_back(&two.ben, &room, 10).await;
    assert_eq!(texts, ["welcome"]);
}

#[tokio::test]
async fn without_the_other_server_history_ends_where_it_is_known() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({})).await;
    two.ann.says(&room, "early").await;
    joins(&two.ben, &room, ALPHA).await;
    two.campus.wires.cut(ALPHA, BETA);
    two.ben.says(&room, "alone").await;
    assert_eq!(reads_back(&two.ben, &room, 10).await, (vec!["alone".to_owned()], false));
    two.campus.wires.heal(ALPHA, BETA);
    two.campus.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(reads_back(&two.ben, &room, 10).await, (vec!["alone".to_owned(), "early".to_owned()], true));
}

#[tokio::test]
async fn an_early_event_is_found_with_what_stands_around_it() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({})).await;
    let mut ids = Vec::new();
    for n in 0..10 {
        two.campus.clock.advance(std::time::Duration::from_secs(60));
        ids.push(two.ann.says(&room, &format!("line {n}")).await);
    }
    joins(&two.ben, &room, ALPHA).await;
    let context = two.ben.get(&at(&room, &format!("context/{}?limit=4", encoded(&ids[5])))).await.ok();
    let bodies = |list: &Value| -> Vec<String> {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().map(|event| event["content"]["body"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(context["event"]["content"]["body"], "line 5");
    assert_eq!(bodies(&context["events_before"]), ["line 4", "line 3"]);
    assert_eq!(bodies(&context["events_after"]), ["line 6", "line 7"]);
    two.ben.get(&at(&room, "context/$unknown")).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_date_from_before_the_join_leads_to_its_event() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({})).await;
    two.campus.clock.advance(std::time::Duration::from_secs(3600));
    let dated = two.ann.says(&room, "dated").await;
    let when = two.ann.get(&at(&room, &format!("event/{}", encoded(&dated)))).await.ok()["origin_server_ts"].clone();
    two.campus.clock.advance(std::time::Duration::from_secs(3600));
    joins(&two.ben, &room, ALPHA).await;
    let path = format!("/_matrix/client/v1/rooms/{}/timestamp_to_event?ts={when}&dir=f", encoded(&room));
    assert_eq!(two.ben.get(&path).await.ok()["event_id"], dated.as_str());
}

/// When an event was sent, as its sender's server says.
async fn sent_at(who: &Person, room: &str, event: &str) -> u64 {
    let event = who.get(&at(room, &format!("event/{}", encoded(event)))).await.ok();
    event["origin_server_ts"].as_u64().expect("events say when they were sent")
}

/// The event that a client is led to from a moment.
async fn event_at(who: &Person, room: &str, ts: u64, dir: &str) -> Value {
    let path = format!("/_matrix/client/v1/rooms/{}/timestamp_to_event?ts={ts}&dir={dir}", encoded(room));
    who.get(&path).await.ok()["event_id"].clone()
}

#[tokio::test]
async fn a_date_of_long_before_the_join_leads_to_its_event_without_all_that_came_since() {
    let two = Two::meet().await;
    let asked = |what: &str| two.campus.wires.times_asked(ALPHA, &format!("/_matrix/federation/v1/{what}"));
    for version in ["6", "12"] {
        let room = public(&two.ann, json!({ "room_version": version })).await;
        two.ann.says(&room, "first").await;
        two.campus.clock.advance(LONG);
        let dated = two.ann.says(&room, "dated").await;
        two.campus.clock.advance(LONG);
        for n in 0..450 {
            two.ann.says(&room, &format!("line {n}")).await;
        }
        joins(&two.ben, &room, ALPHA).await;
        let (ts, before) = (sent_at(&two.ann, &room, &dated).await, asked("backfill"));
        assert_eq!(event_at(&two.ben, &room, ts - 1, "f").await, dated.as_str(), "in version {version}");
        assert!(asked("backfill") - before <= 3, "what came since should not all be fetched first");
        let context = two.ben.get(&at(&room, &format!("context/{}?limit=2", encoded(&dated)))).await.ok();
        assert_eq!(context["event"]["content"]["body"], "dated", "in version {version}");
        assert_eq!(context["events_before"][0]["content"]["body"], "first", "in version {version}");
        // What lies between is fetched into its place.
        let mut all = lines(450);
        all.extend(["dated".to_owned(), "first".to_owned()]);
        assert_eq!(reads_back(&two.ben, &room, 100).await, (all, true), "in version {version}");
        two.agree(&room).await;
        // Now that everything is here nobody is asked.
        let before = asked("timestamp_to_event");
        assert_eq!(event_at(&two.ben, &room, ts + 1, "b").await, dated.as_str(), "in version {version}");
        assert_eq!(asked("timestamp_to_event"), before, "nothing is missing beside it any more");
    }
}

#[tokio::test]
async fn a_date_from_a_while_in_which_nobody_was_there_leads_to_its_event() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    two.ben.leaves(&room).await;
    two.campus.settle().await;
    two.campus.clock.advance(LONG);
    let dated = two.ann.says(&room, "dated").await;
    two.campus.clock.advance(LONG);
    two.ann.says(&room, "later").await;
    joins(&two.ben, &room, ALPHA).await;
    two.campus.settle().await;
    let ts = sent_at(&two.ann, &room, &dated).await;
    assert_eq!(event_at(&two.ben, &room, ts - 1, "f").await, dated.as_str());
    assert_eq!(event_at(&two.ben, &room, ts + 1, "b").await, dated.as_str());
}

#[tokio::test]
async fn a_lie_about_the_event_of_a_date_leads_nowhere() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({})).await;
    two.campus.clock.advance(LONG);
    joins(&two.ben, &room, ALPHA).await;
    let lie = json!({ "event_id": "$nowhere", "origin_server_ts": 2 });
    two.campus.wires.answer(ALPHA, "/_matrix/federation/v1/timestamp_to_event", 200, lie);
    let here = event_at(&two.ben, &room, 1, "f").await;
    assert!(here.is_string(), "what is here is answered");
    assert_ne!(here, "$nowhere");
}

/// Ben has left a room of Ann's, and comes again after this was said in it.
async fn away(two: &Two, version: &str, lines: usize) -> String {
    let room = public(&two.ann, json!({ "room_version": version })).await;
    two.ann.says(&room, "before").await;
    joins(&two.ben, &room, ALPHA).await;
    two.ann.says(&room, "together").await;
    two.ben.sees(&room, "together").await;
    two.ben.leaves(&room).await;
    two.campus.settle().await;
    for n in 0..lines {
        two.ann.says(&room, &format!("line {n}")).await;
    }
    joins(&two.ben, &room, ALPHA).await;
    two.campus.settle().await;
    room
}

fn with_what_was_before(mut texts: Vec<String>) -> Vec<String> {
    texts.extend(["together".to_owned(), "before".to_owned()]);
    texts
}

#[tokio::test]
async fn what_was_said_while_nobody_was_there_is_fetched_into_its_place() {
    let two = Two::meet().await;
    for version in ["1", "6", "12"] {
        let room = away(&two, version, 150).await;
        two.ann.says(&room, "welcome back").await;
        two.ben.sees(&room, "welcome back").await;
        let mut all = with_what_was_before(lines(150));
        all.insert(0, "welcome back".to_owned());
        assert_eq!(reads_back(&two.ben, &room, 20).await, (all.clone(), true), "in version {version}");
        // The second time nobody has to be asked.
        two.campus.wires.cut(ALPHA, BETA);
        assert_eq!(reads_back(&two.ben, &room, 50).await, (all, true), "in version {version}");
        two.campus.wires.heal(ALPHA, BETA);
        two.agree(&room).await;
    }
}

#[tokio::test]
async fn a_page_ends_where_more_is_missing_than_is_fetched_at_once() {
    let two = Two::meet().await;
    let room = away(&two, "12", 450).await;
    assert_eq!(reads_back(&two.ben, &room, 1000).await, (with_what_was_before(lines(450)), true));
    let whole = two.ben.get(&at(&room, "messages?dir=b&limit=1000")).await.ok();
    assert!(whole["chunk"].as_array().is_some_and(|chunk| chunk.len() > 450), "the second time it is one page");
}

#[tokio::test]
async fn a_hole_that_nobody_tells_of_is_passed_over_until_somebody_does() {
    let two = Two::meet().await;
    let room = away(&two, "12", 10).await;
    two.campus.wires.cut(ALPHA, BETA);
    assert_eq!(reads_back(&two.ben, &room, 10).await, (vec!["together".to_owned()], false));
    two.campus.wires.heal(ALPHA, BETA);
    two.campus.clock.advance(LONG);
    assert_eq!(reads_back(&two.ben, &room, 10).await, (with_what_was_before(lines(10)), true));
}

#[tokio::test]
async fn who_comes_again_when_nothing_was_said_has_no_hole() {
    let two = Two::meet().await;
    let room = away(&two, "12", 0).await;
    let asked = || two.campus.wires.times_asked(ALPHA, "/_matrix/federation/v1/backfill");
    assert_eq!(reads_back(&two.ben, &room, 100).await, (vec!["together".to_owned(), "before".to_owned()], true));
    assert_eq!(asked(), 1, "only for what was before the first time");
}

#[tokio::test]
async fn what_was_left_out_over_a_gap_is_fetched_into_its_place() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    two.campus.wires.cut(ALPHA, BETA);
    let mut last = String::new();
    for n in 0..30 {
        last = two.ann.says(&room, &format!("line {n}")).await;
    }
    two.campus.wires.heal(ALPHA, BETA);
    // Alpha does not remember what came between.
    two.campus.wires.answer(ALPHA, "/_matrix/federation/v1/get_missing_events", 200, json!({ "events": [] }));
    let (alpha, beta) = (two.campus.host(ALPHA), two.campus.host(BETA));
    let told = json_of(&alpha.event(&last).await.expect("it was said"));
    alpha.sends(beta, "last", &[told]).await.ok();
    two.ben.sees(&room, "line 29").await;
    // The one before it is asked for with the state before it; what was before that is not.
    two.ben.sees(&room, "line 28").await;
    two.ben.does_not_see(&room, "line 27").await;
    assert_eq!(reads_back(&two.ben, &room, 20).await, (lines(30), true));
}

#[tokio::test]
async fn history_from_before_there_was_a_limit_is_read_as_it_is() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({})).await;
    let (alpha, beta) = (two.campus.host(ALPHA), two.campus.host(BETA));
    let mut lines = Vec::new();
    for n in 0..25 {
        lines.push(two.ann.says(&room, &format!("line {n}")).await);
    }
    // Alpha has an event that follows more than an event may today.
    let content = serde_json::from_value(json!({ "msgtype": "m.text", "body": "wide" })).expect("canonical");
    let wide = alpha.forges(&room, &two.ann.id, Draft::message("m.room.message", content), Forged::default()).await;
    let rules = RoomVersionId::V12.rules().expect("rules");
    let mut object = wide.object();
    object.insert("prev_events".to_owned(), serde_json::from_value(json!(lines)).expect("canonical"));
    alpha.key.sign_event(&mut object, &rules).expect("it can be signed");
    let wide = Event::from_object(&object, &rules).expect("an event");
    assert_eq!(alpha.server.rooms().accept(&wide).await.expect("it is judged"), Acceptance::Accepted);
    two.ann.says(&room, "narrow").await;
    joins(&two.ben, &room, ALPHA).await;
    let (texts, reached) = reads_back(&two.ben, &room, 50).await;
    assert_eq!((&texts[..3], texts.len()), (&["narrow", "wide", "line 24"].map(str::to_owned)[..], 27));
    assert!(reached, "history goes on before it");
    two.agree(&room).await;
    // Sent as something new it is refused.
    let again = public(&two.ann, json!({})).await;
    joins(&two.ben, &again, ALPHA).await;
    let content = serde_json::from_value(json!({ "msgtype": "m.text", "body": "new" })).expect("canonical");
    let new = alpha.forges(&again, &two.ann.id, Draft::message("m.room.message", content), Forged::default()).await;
    let mut object = new.object();
    object.insert("prev_events".to_owned(), serde_json::from_value(json!(lines)).expect("canonical"));
    alpha.key.sign_event(&mut object, &rules).expect("it can be signed");
    let new = Event::from_object(&object, &rules).expect("an event");
    let answer = alpha.sends(beta, "new", &[json_of(&new)]).await.ok();
    assert!(answer["pdus"][new.id().as_str()]["error"].is_string(), "{answer}");
}
