//! What a server must not believe: a table of lies and nonsense. Each is refused or passed over as the specification says, and
//! the room goes on.

use lyceum_events::{Draft, Event, sign};
use ruma::{OwnedEventId, RoomVersionId};
use serde_json::{Value, json};

use crate::support::{
    encoded,
    peer::{Forged, Shared, json_of},
};

/// What becomes of an event.
enum Fate {
    /// The sender is told that it was refused, and why.
    Refused(&'static str),
    /// It is in the graph; clients are not shown it.
    Unseen,
    /// It waits for what nobody has, and nothing is said of it.
    Waits,
    /// Nothing is said of it.
    PassedOver,
    /// It is taken with what its signature covers.
    WithoutContent,
    /// It is in the timeline.
    Taken,
}

struct Case {
    what: &'static str,
    pdu: Value,
    fate: Fate,
}

/// Cases in the making, all of them events that beta signs.
struct Table<'a> {
    shared: &'a Shared,
    cases: Vec<Case>,
}

impl Table<'_> {
    fn add(&mut self, what: &'static str, pdu: Value, fate: Fate) {
        self.cases.push(Case { what, pdu, fate });
    }

    async fn forged(&self, sender: &str, draft: Draft, at: Forged) -> Event {
        self.shared.beta().forges(&self.shared.room, sender, draft, at).await
    }

    /// Ben's message, to be spoiled.
    async fn said(&self, text: &str) -> Value {
        json_of(&self.forged(&self.shared.ben.id, message(text), Forged::default()).await)
    }

    /// A changed event, hashed and signed anew by beta.
    fn signed_again(&self, mut pdu: Value) -> Value {
        let object = pdu.as_object_mut().expect("an object");
        object.remove("signatures");
        object.remove("hashes");
        let rules = RoomVersionId::V12.rules().expect("rules");
        let object = serde_json::from_value(pdu).expect("canonical JSON");
        json_of(&sign(object, &rules, &self.shared.beta().key).expect("it can be signed"))
    }
}

fn message(text: &str) -> Draft {
    let content = json!({ "msgtype": "m.text", "body": text });
    Draft::message("m.room.message", serde_json::from_value(content).expect("canonical"))
}

fn state(kind: &str, key: &str, content: Value) -> Draft {
    Draft::state(kind, key, serde_json::from_value(content).expect("canonical"))
}

fn unknown(n: usize) -> OwnedEventId {
    format!("$unknown{n:036}").try_into().expect("an event id")
}

async fn signatures_and_forms(table: &mut Table<'_>) {
    let (ann, ben) = (table.shared.ann.id.clone(), table.shared.ben.id.clone());
    let of_ann = table.forged(&ann, message("as ann"), Forged::default()).await;
    table.add("the event of somebody of another server", json_of(&of_ann), Fate::Refused("signature"));
    let mut unsigned = table.said("unsigned").await;
    unsigned["signatures"] = json!({});
    table.add("an event that nobody signed", unsigned, Fate::Refused("signature"));
    let mut spoiled = table.said("spoiled").await;
    let signature = spoiled["signatures"]["beta.example"].as_object_mut().expect("a signature");
    signature.values_mut().for_each(|value| *value = json!("A".repeat(86)));
    table.add("a signature that is none", spoiled, Fate::Refused("signature"));
    let mut unknown_key = table.said("unknown key").await;
    unknown_key["signatures"]["beta.example"] = json!({ "ed25519:new": "A".repeat(86) });
    table.add("a key that nobody has", unknown_key, Fate::Refused("key"));
    let mut other = table.said("what was signed").await;
    other["content"]["body"] = json!("what was not");
    table.add("another content than was hashed", other, Fate::WithoutContent);
    let mut old = table.said("old form").await;
    old["prev_events"] = json!([["$old:beta.example", { "sha256": "x" }]]);
    table.add("the form of the first room versions", old, Fate::Refused(""));
    let mut large = table.said("large").await;
    large["content"]["body"] = json!("x".repeat(70_000));
    table.add("an event larger than events may be", large, Fate::Refused("large"));
    let mut crowded = table.said("crowded").await;
    crowded["prev_events"] = (0..21).map(|n| json!(unknown(n))).collect();
    table.add("more previous events than events may have", crowded, Fate::Refused("prev_events"));
    let mut permitted = table.said("permitted").await;
    permitted["auth_events"] = (0..11).map(|n| json!(unknown(n))).collect();
    table.add("more auth events than events may have", permitted, Fate::Refused("auth_events"));
    let mut deep = table.said("deep").await;
    deep["depth"] = json!(-1);
    table.add("a depth below zero", deep, Fate::Refused(""));
    let mut senderless = table.said("senderless").await;
    senderless["sender"] = json!("nobody");
    table.add("a sender that is no person", senderless, Fate::Refused(""));
    table.add("no event at all", json!({ "room_id": table.shared.room }), Fate::PassedOver);
    table.add("no object", json!([1, 2, 3]), Fate::PassedOver);
    let elsewhere = table.signed_again({
        let mut pdu = table.said("elsewhere").await;
        pdu["room_id"] = json!("!nowhere:beta.example");
        pdu
    });
    table.add("an event of a room that is not here", elsewhere, Fate::PassedOver);
    let good = table.forged(&ben, message("good"), Forged::default()).await;
    table.add("an event that is as it should be", json_of(&good), Fate::Taken);
}

async fn rules(table: &mut Table<'_>) {
    let (ann, ben) = (table.shared.ann.id.clone(), table.shared.ben.id.clone());
    let at = Forged::default;
    let named = table.forged(&ben, state("m.room.name", "", json!({ "name": "mine" })), at()).await;
    table.add("state that the sender may not set", json_of(&named), Fate::Refused("power"));
    let levels = table.forged(&ben, state("m.room.power_levels", "", json!({ "users": { &ben: 100 } })), at()).await;
    table.add("power that the sender gives to themselves", json_of(&levels), Fate::Refused(""));
    let ban = table.forged(&ben, state("m.room.member", &ann, json!({ "membership": "ban" })), at()).await;
    table.add("a ban by somebody without power", json_of(&ban), Fate::Refused(""));
    let stranger = table.forged("@eve:beta.example", message("hi"), at()).await;
    table.add("somebody who is not in the room", json_of(&stranger), Fate::Refused(""));
    let create = table.forged(&ben, state("m.room.create", "", json!({ "room_version": "12" })), at()).await;
    table.add("a second beginning", json_of(&create), Fate::Refused(""));
    let unpermitted = Forged { auth: Some(Vec::new()), ..Forged::default() };
    let unpermitted = table.forged(&ben, message("no auth events"), unpermitted).await;
    table.add("an event that nothing permits", json_of(&unpermitted), Fate::Refused(""));
    let self_made = Forged { auth: Some(vec![levels.id().clone()]), ..Forged::default() };
    let self_made = table.forged(&ben, state("m.room.topic", "", json!({ "topic": "t" })), self_made).await;
    table.add("an event that relies on a refused one", json_of(&self_made), Fate::Refused(""));
    let borrowed = Forged { auth: Some(vec![unknown(1)]), ..Forged::default() };
    let borrowed = table.forged(&ben, message("unknown auth"), borrowed).await;
    table.add("an event that relies on one that nobody has", json_of(&borrowed), Fate::Waits);
    // Two events of one person at one place: both are taken, and the graph forks.
    for text in ["I say this", "I say that"] {
        let said = table.forged(&ben, message(text), Forged { depth: 50, ..Forged::default() }).await;
        table.add("an event that contradicts another", json_of(&said), Fate::Taken);
    }
}

async fn check(shared: &Shared, number: usize, Case { what, pdu, fate }: Case) {
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let answer = beta.sends(alpha, &format!("case{number}"), std::slice::from_ref(&pdu)).await.ok();
    let outcomes = answer["pdus"].as_object().expect("outcomes").clone();
    if matches!(fate, Fate::PassedOver) {
        assert!(outcomes.is_empty(), "{what} should be passed over, and is answered {answer}");
        return;
    }
    assert_eq!(outcomes.len(), 1, "{what} should be answered for, and is answered {answer}");
    let (id, outcome) = outcomes.into_iter().next().expect("one");
    let seen = alpha.has_in_timeline(&id).await;
    match fate {
        Fate::Refused(why) => {
            // What is rejected by the rules has been dealt with: the answer calls it no error (spec, "Rejection").
            let rejected = alpha.why_rejected(&id).await;
            let said = outcome["error"].as_str().map(str::to_owned).or(rejected).unwrap_or_default();
            assert!(!said.is_empty() && said.contains(why), "{what} should be refused for {why:?}, and is: {answer}");
            assert!(!seen, "{what} should not be in the timeline");
        }
        Fate::Waits => {
            let waiting = alpha.server.rooms().waiting_events().await.expect("the store answers");
            assert!(waiting.iter().any(|one| one.event.id().as_str() == id), "{what} should wait: {answer}");
            assert!(outcome == json!({}) && !seen, "{what} should not be shown: {answer}");
        }
        Fate::Unseen => assert!(outcome == json!({}) && !seen, "{what} should not be shown: {answer}"),
        Fate::Taken => assert!(outcome == json!({}) && seen, "{what} should be taken, and is answered {answer}"),
        Fate::WithoutContent => {
            let kept = alpha.event(&id).await.expect("it is kept");
            assert_eq!((outcome, kept.content().get()), (json!({}), "{}"), "{what}");
        }
        Fate::PassedOver => unreachable!("judged above"),
    }
}

#[tokio::test]
async fn lies_and_nonsense_are_refused_and_the_room_goes_on() {
    let shared = Shared::begin().await;
    let mut table = Table { shared: &shared, cases: Vec::new() };
    signatures_and_forms(&mut table).await;
    rules(&mut table).await;
    for (number, case) in table.cases.into_iter().enumerate() {
        check(&shared, number, case).await;
    }
    shared.ben.says(&shared.room, "we go on").await;
    shared.ann.sees(&shared.room, "we go on").await;
    shared.ann.says(&shared.room, "so do we").await;
    shared.ben.sees(&shared.room, "so do we").await;
    shared.campus.settle().await;
    shared.alpha().is_sound().await;
}

#[tokio::test]
async fn who_was_banned_meanwhile_is_taken_in_and_not_shown() {
    let shared = Shared::begin().await;
    let evading = shared.beta().forges(&shared.room, &shared.ben.id, message("before I knew"), Forged::default()).await;
    let path = format!("/_matrix/client/v3/rooms/{}/ban", encoded(&shared.room));
    // Ann's room has others of beta in it, so that beta goes on hearing of it.
    shared.beta().person("cleo").await.joins(&shared.room).await;
    shared.campus.settle().await;
    shared.ann.post(&path, json!({ "user_id": shared.ben.id })).await.ok();
    let case = Case { what: "a banned person's older event", pdu: json_of(&evading), fate: Fate::Unseen };
    check(&shared, 0, case).await;
    shared.ann.says(&shared.room, "we go on").await;
    shared.campus.settle().await;
}

#[tokio::test]
async fn bodies_that_are_bombs_are_refused_before_they_are_read() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let mut nested = json!(1);
    for _ in 0..110 {
        nested = json!([nested]);
    }
    let path = "/_matrix/federation/v1/send/bomb";
    let refused = beta.puts(alpha, path, json!({ "pdus": [{ "content": nested }] })).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    let wide = json!({ "pdus": [{ "room_id": shared.room, "content": vec![0; 200_000] }] });
    assert_eq!(beta.puts(alpha, "/_matrix/federation/v1/send/wide", wide).await.ok(), json!({ "pdus": {} }));
    shared.ben.says(&shared.room, "still here").await;
    shared.ann.sees(&shared.room, "still here").await;
}

#[tokio::test]
async fn ancestors_without_end_are_asked_for_only_so_often() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    // Each of them builds on one that nobody has seen; beta hands out one more whenever it is asked.
    let mut prev = unknown(0);
    let mut chain = Vec::new();
    for n in 0..40 {
        let at = Forged { prev: Some(vec![prev]), depth: 1_000 + n, ..Forged::default() };
        let event = beta.forges(&shared.room, &shared.ben.id, message(&format!("link {n}")), at).await;
        prev = event.id().clone();
        chain.push(event);
    }
    let last = chain.pop().expect("a chain");
    let pages = chain.iter().rev().map(|event| (200, json!({ "events": [json_of(event)] })));
    let (missing, states) = ("/_matrix/federation/v1/get_missing_events", "/_matrix/federation/v1/state");
    shared.campus.wires.answer_in_turn("beta.example", missing, pages);
    shared.campus.wires.answer("beta.example", states, 404, json!({ "errcode": "M_NOT_FOUND" }));
    let answer = beta.sends(alpha, "endless", &[json_of(&last)]).await.ok();
    assert!(!alpha.has_in_timeline(last.id().as_str()).await, "it should not be taken: {answer}");
    let asked = (
        shared.campus.wires.times_asked("beta.example", missing),
        shared.campus.wires.times_asked("beta.example", states),
    );
    assert!(asked.0 <= 10 && asked.1 <= 10, "beta should be asked a few times, not {asked:?}");
    shared.ben.says(&shared.room, "we go on").await;
    shared.ann.sees(&shared.room, "we go on").await;
}

#[tokio::test]
async fn auth_chains_without_end_and_states_that_lie_are_not_believed() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let ben = &shared.ben.id;
    // A hundred thousand events that permit one.
    let borrowed = Forged { auth: Some(vec![unknown(1)]), ..Forged::default() };
    let borrowed = beta.forges(&shared.room, ben, message("permitted by many"), borrowed).await;
    let many = json!({ "auth_chain": vec![json!({}); 100_000] });
    shared.campus.wires.answer("beta.example", "/_matrix/federation/v1/event_auth", 200, many);
    let answer = beta.sends(alpha, "chain", &[json_of(&borrowed)]).await.ok();
    assert_eq!(answer["pdus"][borrowed.id().as_str()]["error"], "the auth chain is too long");
    // A state in which Ben rules, told for an event after a gap.
    let crown = beta
        .forges(
            &shared.room,
            ben,
            state("m.room.power_levels", "", json!({ "users": { ben: 100 } })),
            Forged::default(),
        )
        .await;
    let snapshot = beta.server.rooms().snapshot(crown.room()).await.expect("the room is here");
    let kind = ruma::events::StateEventType::RoomPowerLevels;
    let honest: Vec<_> = snapshot.state().entries().filter(|(key, _)| key.0 != kind).map(|(_, id)| id).collect();
    let mut lying = honest.clone();
    lying.push(crown.id().clone());
    let at = Forged { prev: Some(vec![unknown(2)]), depth: 500, ..Forged::default() };
    let decree = beta.forges(&shared.room, ben, state("m.room.name", "", json!({ "name": "Ben's" })), at).await;
    let wires = &shared.campus.wires;
    wires.answer("beta.example", "/_matrix/federation/v1/get_missing_events", 200, json!({ "events": [] }));
    let ids = json!({ "pdu_ids": lying, "auth_chain_ids": [] });
    wires.answer("beta.example", "/_matrix/federation/v1/state_ids", 200, ids);
    wires.answer("beta.example", "/_matrix/federation/v1/event/", 200, json!({ "pdus": [json_of(&crown)] }));
    let answer = beta.sends(alpha, "decree", &[json_of(&decree)]).await.ok();
    assert!(!alpha.has_in_timeline(decree.id().as_str()).await, "{answer}");
    let name = alpha.server.rooms().snapshot(crown.room()).await.expect("the room is here").facts().name.clone();
    assert_eq!(name, None);
    // A state without a beginning is none, and one without people lets nobody speak.
    for (number, told) in [Vec::new(), honest.into_iter().take(1).collect::<Vec<_>>()].into_iter().enumerate() {
        let ids = json!({ "pdu_ids": told, "auth_chain_ids": [] });
        wires.answer("beta.example", "/_matrix/federation/v1/state_ids", 200, ids);
        let at = Forged { prev: Some(vec![unknown(3 + number)]), depth: 500, ..Forged::default() };
        let said = beta.forges(&shared.room, ben, message("after a gap"), at).await;
        let answer = beta.sends(alpha, &format!("hollow{number}"), &[json_of(&said)]).await.ok();
        assert!(!alpha.has_in_timeline(said.id().as_str()).await, "{answer}");
    }
    shared.ann.says(&shared.room, "we go on").await;
    shared.ben.sees(&shared.room, "we go on").await;
}
