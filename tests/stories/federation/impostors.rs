//! More of what a server must not believe: requests that lie about who sends them and to whom, too many of them, and events
//! that permit each other.

use futures_util::future::join_all;
use http::Method;
use lyceum_events::{Draft, Event, ServerKey, sign};
use ruma::{OwnedEventId, RoomVersionId, server_name};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{
    Campus, encoded,
    peer::{Forged, Shared, json_of, signed_by},
};

/// A key in beta's name that beta does not publish.
fn made_up(version: &str) -> ServerKey {
    ServerKey::from_seed(server_name!("beta.example").to_owned(), &[77; 32], version).expect("a key")
}

#[tokio::test]
async fn a_request_is_believed_by_any_of_its_signatures_if_all_are_of_one_sender() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let path = format!("/_matrix/federation/v1/event/{}", encoded(shared.ann.says(&shared.room, "hi").await.as_str()));
    let signed = |key: &ServerKey, origin: &str| signed_by(key, (origin, "alpha.example"), (&Method::GET, &path, None));
    // Beta has taken a new key of which alpha cannot hear.
    let (known, unknown) = (signed(&beta.key, "beta.example"), signed(&made_up("new"), "beta.example"));
    let of_gamma = signed(&beta.key, "gamma.example");
    let asks = async |headers: &[&String]| {
        let headers: Vec<_> = headers.iter().map(|header| ("authorization", header.as_str())).collect();
        alpha.stranger().get_with(&path, &headers).await
    };
    asks(&[&known, &unknown]).await.ok();
    asks(&[&unknown, &known]).await.ok();
    for (what, headers) in [
        ("none that is known", vec![&unknown, &unknown]),
        ("one in another's name", vec![&known, &of_gamma]),
        ("one in another's name first", vec![&of_gamma, &known]),
        ("more than are looked at", vec![&known; 6]),
    ] {
        let answer = asks(&headers).await;
        assert_eq!((answer.status, &answer.json["errcode"]), (401, &json!("M_UNAUTHORIZED")), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn requests_that_lie_about_who_sends_them_are_refused() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let path = format!("/_matrix/federation/v1/state_ids/{}?event_id=$x", encoded(&shared.room));
    let (own, other) = (&beta.key, made_up("new"));
    let forged = made_up("a1");
    let (honest, by_gamma, by_alpha) = ("beta.example", "gamma.example", "alpha.example");
    for (what, key, origin, destination) in [
        ("an origin that is another server", own, by_gamma, "alpha.example"),
        ("an origin that is the asked one", own, by_alpha, "alpha.example"),
        ("an origin that nobody can find", own, "nowhere.example", "alpha.example"),
        ("another destination", own, honest, "gamma.example"),
        ("a key that beta does not have", &other, honest, "alpha.example"),
        ("a signature by another key", &forged, honest, "alpha.example"),
    ] {
        let answer = beta.asks_by(key, alpha, (origin, destination), Method::GET, &path, None).await;
        let found = (answer.status, answer.json["errcode"].as_str());
        assert_eq!(found, (401, Some("M_UNAUTHORIZED")), "{what} should be refused: {answer:?}");
    }
    beta.gets(alpha, &path).await.refused(404, "M_NOT_FOUND");
}

/// The document in which beta would publish a key, made and handed out by whoever has that key.
fn document_by(speaker: &ServerKey, key: &ServerKey) -> Value {
    let public = json!({ key.id(): { "key": key.public_key_base64() } });
    let document = json!({
        "server_name": "beta.example", "verify_keys": public, "old_verify_keys": {},
        "valid_until_ts": 4_000_000_000_000_u64,
    });
    let mut document = serde_json::from_value(document).expect("canonical");
    key.sign_json(&mut document).expect("signed");
    speaker.sign_json(&mut document).expect("signed");
    serde_json::to_value(document).expect("JSON")
}

#[tokio::test]
async fn nobody_speaks_with_keys_of_their_own_making_for_another_server() {
    let shared = Shared::begin().await;
    let (alpha, beta, gamma) = (shared.alpha(), shared.beta(), shared.gamma());
    let gus = gamma.person("gus").await;
    gamma.brings(alpha, &gus, &shared.room).await;
    shared.campus.settle().await;
    // Gamma has made a key for beta, and tells so whoever asks.
    let forged = made_up("gammas");
    let told = json!({ "server_keys": [document_by(&gamma.key, &forged)] });
    shared.campus.wires.answer("gamma.example", "/_matrix/key/v2/query", 200, told);
    let content = serde_json::from_value(json!({ "msgtype": "m.text", "body": "as ben" })).expect("canonical");
    let honest =
        beta.forges(&shared.room, &shared.ben.id, Draft::message("m.room.message", content), Forged::default());
    let mut event = json_of(&honest.await);
    event["content"]["body"] = json!("as ben, by gamma");
    let object = event.as_object_mut().expect("an object");
    object.remove("signatures");
    object.remove("hashes");
    let rules = RoomVersionId::V12.rules().expect("rules");
    let event = sign(serde_json::from_value(event).expect("canonical"), &rules, &forged).expect("signed");
    for reachable in [true, false] {
        if !reachable {
            shared.campus.wires.cut("alpha.example", "beta.example");
        }
        let answer = gamma.sends(alpha, &format!("forged-{reachable}"), &[json_of(&event)]).await.ok();
        assert!(answer["pdus"][event.id().as_str()]["error"].is_string(), "{answer}");
        assert!(alpha.event(event.id().as_str()).await.is_none(), "a forged event is not even kept");
        let path = format!("/_matrix/federation/v1/state_ids/{}?event_id=$x", encoded(&shared.room));
        let as_beta = ("beta.example", "alpha.example");
        gamma.asks_by(&forged, alpha, as_beta, Method::GET, &path, None).await.refused(401, "M_UNAUTHORIZED");
    }
}

#[tokio::test]
async fn an_event_that_follows_one_of_another_room_takes_no_state_from_there() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let elsewhere = shared.ann.creates_public_room().await;
    shared.ann.says(&elsewhere, "not here").await;
    let ends = alpha.server.rooms().ends(<&ruma::RoomId>::try_from(elsewhere.as_str()).expect("an id")).await;
    let content = serde_json::from_value(json!({ "msgtype": "m.text", "body": "from there" })).expect("canonical");
    let at = Forged { prev: Some(ends.expect("the room is here")), ..Forged::default() };
    let event = beta.forges(&shared.room, &shared.ben.id, Draft::message("m.room.message", content), at).await;
    shared.campus.wires.answer("beta.example", "/_matrix/federation/v1/state_ids", 404, json!({}));
    beta.sends(alpha, "borrowed", &[json_of(&event)]).await.ok();
    assert!(!alpha.has_in_timeline(event.id().as_str()).await, "nobody tells the state before it");
    shared.ben.says(&shared.room, "we go on").await;
    shared.ann.sees(&shared.room, "we go on").await;
    alpha.is_sound().await;
}

#[tokio::test]
async fn a_key_that_has_expired_signs_no_requests_until_it_is_seen_again() {
    const LONG: Duration = Duration::from_secs(30 * 24 * 3600);
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let path = format!("/_matrix/federation/v1/state_ids/{}?event_id=$x", encoded(&shared.room));
    beta.gets(alpha, &path).await.refused(404, "M_NOT_FOUND");
    shared.campus.wires.cut("alpha.example", "beta.example");
    shared.campus.clock.advance(LONG);
    beta.gets(alpha, &path).await.refused(401, "M_UNAUTHORIZED");
    shared.campus.wires.heal("alpha.example", "beta.example");
    shared.campus.clock.advance(LONG);
    beta.gets(alpha, &path).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_flood_of_transactions_is_told_to_wait_and_loses_nothing() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let message = |n: u64| {
        let content = json!({ "msgtype": "m.text", "body": format!("flood {n}") });
        Draft::message("m.room.message", serde_json::from_value(content).expect("canonical"))
    };
    let mut events = Vec::new();
    for n in 0..12 {
        let at = Forged { depth: 100 + n, ..Forged::default() };
        events.push(json_of(&beta.forges(&shared.room, &shared.ben.id, message(n), at).await));
    }
    let names: Vec<_> = (0..events.len()).map(|n| format!("flood{n}")).collect();
    let sent = names.iter().zip(&events).map(|(name, event)| beta.sends(alpha, name, std::slice::from_ref(event)));
    let answers = join_all(sent).await;
    let waiting: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.status == 429).collect();
    assert!(!waiting.is_empty(), "twelve at once should be too many");
    for (_, answer) in &waiting {
        assert_eq!(answer.json["errcode"], "M_LIMIT_EXCEEDED");
        assert!(answer.json["retry_after_ms"].as_u64().is_some());
    }
    for (number, _) in &waiting {
        beta.sends(alpha, &names[*number], std::slice::from_ref(&events[*number])).await.ok();
    }
    for (number, event) in events.iter().enumerate() {
        let answer = beta.sends(alpha, &format!("again{number}"), std::slice::from_ref(event)).await.ok();
        let (id, _) = answer["pdus"].as_object().and_then(|pdus| pdus.iter().next()).expect("it is answered for");
        assert!(alpha.has_in_timeline(id).await, "{id} should have been taken");
    }
    alpha.is_sound().await;
}

#[tokio::test]
async fn events_that_permit_each_other_permit_nothing() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let (ann, ben) = (campus.person_at("alpha.example", "ann").await, campus.person_at("beta.example", "ben").await);
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    // In the first room versions servers choose the ids of their events, so two can name each other.
    let room = ann.creates_room_with(json!({ "preset": "public_chat", "room_version": "1" })).await;
    beta.brings(alpha, &ben, &room).await;
    campus.settle().await;
    let content = serde_json::from_value(json!({ "msgtype": "m.text", "body": "round" })).expect("canonical");
    let draft = Draft::message("m.room.message", content);
    let base = json_of(&beta.forges(&room, &ben.id, draft, Forged::default()).await);
    let one = |id: &str, permitted_by: &str| -> Value {
        let mut pdu = base.clone();
        pdu["event_id"] = json!(id);
        pdu["auth_events"] = json!([[permitted_by, { "sha256": "x" }]]);
        let object = pdu.as_object_mut().expect("an object");
        object.remove("signatures");
        object.remove("hashes");
        let rules = RoomVersionId::V1.rules().expect("rules");
        let object = serde_json::from_value(pdu).expect("canonical");
        json_of(&sign(object, &rules, &beta.key).expect("signed"))
    };
    let (first, second) = ("$first:beta.example", "$second:beta.example");
    let (round, about) = (one(first, second), one(second, first));
    campus.wires.answer(
        "beta.example",
        "/_matrix/federation/v1/event_auth",
        200,
        json!({ "auth_chain": [round, about] }),
    );
    campus.wires.answer("beta.example", "/_matrix/federation/v1/event/", 200, json!({ "pdus": [about] }));
    beta.sends(alpha, "loop", &[round, about]).await.ok();
    for id in [first, second] {
        assert!(!alpha.has_in_timeline(id).await, "{id} should not be taken");
    }
    let asked = campus.wires.times_asked("beta.example", "/_matrix/federation/v1/event");
    assert!(asked <= 40, "beta should be asked a few times, not {asked}");
    ben.says(&room, "we go on").await;
    ann.sees(&room, "we go on").await;
    alpha.is_sound().await;
}

#[tokio::test]
async fn what_nobody_has_of_an_auth_chain_is_asked_for_a_few_times_only() {
    const LINKS: usize = 6;
    let shared = Shared::begin().await;
    let (alpha, beta, wires) = (shared.alpha(), shared.beta(), &shared.campus.wires);
    let (room, ben) = (&shared.room, &shared.ben.id);
    let nowhere = |n: usize| OwnedEventId::try_from(format!("$nowhere{n:036}")).expect("an event id");
    // Ben's names, each permitted by the one before; the second is nowhere to be had.
    let mut chain: Vec<Event> = Vec::new();
    for n in 0..LINKS {
        let name = json!({ "membership": "join", "displayname": format!("name {n}") });
        let draft = Draft::state("m.room.member", ben, serde_json::from_value(name).expect("canonical"));
        let auth = chain.first().zip(chain.last()).map(|(first, before)| {
            let rest = first.auth().iter().filter(|id| first.auth().last() != Some(*id));
            rest.chain([before.id()]).cloned().collect()
        });
        let at = Forged { auth, prev: Some(vec![nowhere(n)]), depth: 100 + n as u64, ..Forged::default() };
        chain.push(beta.forges(room, ben, draft, at).await);
    }
    for event in chain.iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, event)| event) {
        let path = format!("/_matrix/federation/v1/event/{}", encoded(event.id().as_str()));
        wires.answer("beta.example", &path, 200, json!({ "pdus": [json_of(event)] }));
    }
    let snapshot = beta.server.rooms().snapshot(chain[0].room()).await.expect("the room is here");
    let own = snapshot.member(chain[0].sender()).expect("Ben is in the room").event_id.clone();
    let mut state: Vec<_> = snapshot.state().event_ids().filter(|id| **id != own).collect();
    state.push(chain[LINKS - 1].id());
    let ids: Vec<_> = chain.iter().map(Event::id).collect();
    let told = json!({ "pdu_ids": state, "auth_chain_ids": ids });
    wires.answer("beta.example", "/_matrix/federation/v1/get_missing_events", 200, json!({ "events": [] }));
    wires.answer("beta.example", "/_matrix/federation/v1/state_ids", 200, told);
    let content = serde_json::from_value(json!({ "msgtype": "m.text", "body": "after a gap" })).expect("canonical");
    let at = Forged { prev: Some(vec![nowhere(LINKS)]), depth: 500, ..Forged::default() };
    let said = beta.forges(room, ben, Draft::message("m.room.message", content), at).await;
    beta.sends(alpha, "gap", &[json_of(&said)]).await.ok();
    assert!(!alpha.has_in_timeline(said.id().as_str()).await, "in that state Ben is not in the room");
    let asked = wires.times_asked("beta.example", "/_matrix/federation/v1/event/");
    assert!((LINKS..=LINKS + 2).contains(&asked), "beta should be asked for each event, not {asked} times");
    shared.ann.says(room, "we go on").await;
    shared.ben.sees(room, "we go on").await;
    alpha.is_sound().await;
}
