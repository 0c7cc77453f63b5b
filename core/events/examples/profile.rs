//! How long the steps of an ordinary message take: `cargo run --release -p lyceum-events --example profile`.

#![expect(clippy::print_stdout, reason = "it is a program that prints what it measured")]

use lyceum_events::{
    Draft, Event, Placing, PublicKeys, Received, ServerKey, auth_types, authorize_by_auth_events, authorize_by_state,
    build, parse_object,
};
use ruma::{MilliSecondsSinceUnixEpoch, RoomVersionId, UInt, UserId, room_id, server_name, user_id};
use std::{collections::HashMap, hint::black_box, time::Instant};

const ROUNDS: u32 = 20_000;

fn main() {
    let rules = RoomVersionId::V11.rules().expect("known");
    let key = ServerKey::from_seed(server_name!("alpha.test").to_owned(), &[7; 32], "a").expect("a key");
    let alice = user_id!("@alice:alpha.test");
    let place = |sender: &'static UserId, prev: &[&Event], auth: &[&Event]| Placing {
        room_id: Some(room_id!("!room:alpha.test")),
        sender,
        ts: MilliSecondsSinceUnixEpoch(UInt::from(1_u32)),
        prev_events: prev.iter().map(|event| event.id().clone()).collect(),
        auth_events: auth.iter().map(|event| event.id().clone()).collect(),
        depth: 1,
        local_id: "",
    };
    let state = |kind: &str, state_key: &str, content: &str, prev: &[&Event], auth: &[&Event]| {
        let draft = Draft::state(kind, state_key, parse_object(content).expect("JSON"));
        build(draft, &place(alice, prev, auth), &rules, &key).expect("an event")
    };
    let users: Vec<_> = (0..20).map(|n| format!("\"@u{n}:alpha.test\":50")).collect();
    let levels =
        format!("{{\"users\":{{\"@alice:alpha.test\":100,{}}},\"events\":{{\"m.room.name\":50}}}}", users.join(","));
    let create = state("m.room.create", "", r#"{"room_version":"11"}"#, &[], &[]);
    let member = state("m.room.member", alice.as_str(), r#"{"membership":"join"}"#, &[&create], &[&create]);
    let levels = state("m.room.power_levels", "", &levels, &[&member], &[&create, &member]);
    let auth: HashMap<_, _> =
        [&create, &member, &levels].into_iter().map(|event| (event.id().clone(), event)).collect();
    let content =
        r#"{"body":"An ordinary message of some length, as people write them to each other.","msgtype":"m.text"}"#;
    let draft = Draft::message("m.room.message", parse_object(content).expect("JSON"));
    let placing = place(alice, &[&levels], &[&create, &levels, &member]);
    let event = build(draft.clone(), &placing, &rules, &key).expect("an event");
    println!("{} bytes", event.json().len());
    let mut keys = PublicKeys::default();
    keys.add(key.server(), &key.id(), &key.public_key_base64(), MilliSecondsSinceUnixEpoch(UInt::MAX));

    time("content from text", || parse_object(content).is_ok());
    time("auth types", || auth_types(&draft, alice, &rules).is_ok());
    time("build", || build(draft.clone(), &placing, &rules, &key).is_ok());
    time("authorize by auth events", || {
        authorize_by_auth_events(&event, &rules, |id| auth.get(id).copied().cloned()).is_ok()
    });
    time("authorize by state", || {
        let by_key = |kind: &ruma::events::StateEventType, state_key: &str| {
            let kind = ruma::events::TimelineEventType::from(kind.to_string());
            auth.values().find(|event| event.is_state(&kind, state_key)).copied().cloned()
        };
        authorize_by_state(&event, &rules, by_key).is_ok()
    });
    time("from the store", || Event::from_stored(event.id().clone(), event.json().into(), &rules).is_ok());
    time("received", || Received::parse(event.json(), &rules).is_ok());
    let received = Received::parse(event.json(), &rules).expect("an event");
    time("verified", || received.clone().verify(&keys, &rules).is_ok());
    time("signature alone", || !key.sign_text(event.json()).is_empty());
}

fn time(what: &str, step: impl Fn() -> bool) {
    assert!(step(), "{what}");
    let started = Instant::now();
    for _ in 0..ROUNDS {
        black_box(step());
    }
    println!("{what}: {:.1} µs", started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
}
