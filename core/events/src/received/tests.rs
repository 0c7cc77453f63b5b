//! Events from elsewhere: what passes, what is refused, what is left of what was changed on the way.

use proptest::prelude::*;
use ruma::MilliSecondsSinceUnixEpoch;
use serde_json::{Value, json};

use super::*;
use crate::format::{AUTH_EVENTS_MAX, PREV_EVENTS_MAX, check_format};
use crate::testing::{ALICE, BOB, PEOPLE, Room, any_json, every_version, key_of, keys, object, rules, user};

/// Something Bob said, as his server sends it.
fn sent(version: u8) -> Value {
    let (mut room, mut main) = Room::with_all(version);
    let event = room.says(&mut main, BOB, "hi").unwrap();
    serde_json::from_str(event.json()).unwrap()
}

fn receive(pdu: &Value, version: u8) -> Result<Received, EventError> {
    Received::parse(&serde_json::to_string_pretty(pdu).unwrap(), &rules(version))
}

#[test]
fn every_event_of_every_version_is_received_as_it_was_sent() {
    let keys = keys();
    for (version, rules) in every_version() {
        let (mut room, mut main) = Room::with_all(version);
        room.says(&mut main, BOB, "hi").unwrap();
        let texts: Vec<_> = room.events.values().map(|event| event.json().to_owned()).collect();
        let received: Vec<_> = parse_all(&texts, &rules, References::Limited).into_iter().map(Result::unwrap).collect();
        for (text, verified) in texts.iter().zip(verify_all(received, &keys, &rules)) {
            let Verified::Whole(event) = verified.unwrap() else { panic!("version {version}: redacted {text}") };
            assert_eq!(event.json(), text);
            let ours = &room.events[event.id()];
            assert_eq!((event.room(), event.prev(), event.auth()), (ours.room(), ours.prev(), ours.auth()));
            assert_eq!((event.depth(), event.ts(), event.kind()), (ours.depth(), ours.ts(), ours.kind()));
            assert_eq!((event.content().get(), event.state_key()), (ours.content().get(), ours.state_key()));
        }
    }
}

#[test]
fn ruma_verifies_what_we_sign() {
    for (version, rules) in every_version() {
        let event = object(&sent(version));
        let key = key_of(user(BOB).server_name());
        let of_bob = [(key.id(), ruma::serde::Base64::new(key.public_key().to_vec()))].into();
        let keys = [("beta.test".to_owned(), of_bob)].into();
        let verdict = ruma::signatures::verify_event(&keys, &event, &rules).unwrap();
        assert_eq!(verdict, ruma::signatures::Verified::All, "version {version}");
    }
}

#[test]
fn what_was_changed_on_the_way_is_redacted() {
    for (version, rules) in every_version() {
        let mut pdu = sent(version);
        pdu["content"]["body"] = "ho".into();
        let received = receive(&pdu, version).unwrap();
        let id = received.event().id().clone();
        let Verified::Redacted(event) = received.verify(&keys(), &rules).unwrap() else { panic!("{version}") };
        assert_eq!((event.content().get(), event.id()), ("{}", &id));
        assert_eq!(parse_pdu(event.json(), &rules).unwrap().id(), &id, "its id stays when it is redacted");
    }
}

#[test]
fn what_signatures_cover_cannot_be_changed() {
    for (version, rules) in every_version() {
        for (field, value) in [("sender", json!(ALICE)), ("depth", json!(1)), ("type", json!("m.room.encrypted"))] {
            let mut pdu = sent(version);
            pdu[field] = value;
            let refused = receive(&pdu, version).unwrap().verify(&keys(), &rules);
            assert!(refused.is_err(), "version {version}, {field}");
        }
        let mut pdu = sent(version);
        pdu["signatures"] = json!({});
        let refused = receive(&pdu, version).unwrap().verify(&keys(), &rules).unwrap_err();
        assert_eq!(refused, SignatureError::NotSigned("beta.test".try_into().unwrap()));
    }
}

#[test]
fn a_signature_added_by_somebody_else_does_no_harm() {
    let mut pdu = sent(11);
    pdu["signatures"]["beta.test"]["ed25519:zzz"] = "AAAA".into();
    pdu["signatures"]["gamma.test"] = json!({ "ed25519:a": "AAAA" });
    pdu["unsigned"] = json!({ "age": 12 });
    let received = receive(&pdu, 11).unwrap();
    assert_eq!(received.unsigned(), Some(&object(&json!({ "age": 12 }))));
    assert!(!received.event().json().contains("unsigned"));
    assert!(matches!(received.verify(&keys(), &rules(11)), Ok(Verified::Whole(_))));
}

#[test]
fn since_version_5_a_key_must_have_been_valid() {
    for (version, rules) in every_version() {
        let mut keys = PublicKeys::default();
        let key = key_of(user(BOB).server_name());
        keys.add(key.server(), &key.id(), &key.public_key_base64(), MilliSecondsSinceUnixEpoch(1_u32.into()));
        let verified = receive(&sent(version), version).unwrap().verify(&keys, &rules);
        assert_eq!(verified.is_ok(), version < 5, "version {version}");
    }
}

#[test]
fn who_lets_somebody_in_signs_as_well() {
    let content = json!({ "membership": "join", "join_authorised_via_users_server": ALICE });
    for (version, rules) in every_version() {
        let (mut room, mut main) = Room::with_all(version);
        let event = room.sets(&mut main, BOB, "m.room.member", BOB, content.clone());
        let Ok(event) = event else { continue };
        let needed = Received::parse(event.json(), &rules).unwrap();
        assert_eq!(needed.required_servers().len(), if version < 8 { 1 } else { 2 }, "version {version}");
        if version >= 8 {
            assert!(needed.verify(&keys(), &rules).is_err());
            let mut both = event.object();
            key_of(user(ALICE).server_name()).countersign(&mut both, &rules).unwrap();
            let both = Received::from_object(both, &rules).unwrap();
            assert_eq!(both.event().id(), event.id());
            assert!(both.verify(&keys(), &rules).is_ok());
        }
    }
}

#[test]
fn those_must_sign_whom_the_specification_names() {
    let event = |kind: &str, content: Value| {
        object(&json!({ "type": kind, "sender": BOB, "content": content, "event_id": "$id:gamma.test" }))
    };
    let servers = |version: u8, event: &CanonicalJsonObject| {
        required_servers(event, &rules(version)).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let invite = event("m.room.member", json!({ "membership": "invite", "third_party_invite": {} }));
    let let_in = json!({ "membership": "join", "join_authorised_via_users_server": ALICE });
    let join = event("m.room.member", let_in.clone());
    assert_eq!(servers(1, &invite), ["gamma.test"]);
    assert_eq!(servers(3, &invite), Vec::<String>::new());
    assert_eq!(servers(2, &join), ["beta.test", "gamma.test"]);
    assert_eq!(servers(7, &join), ["beta.test"]);
    assert_eq!(servers(8, &join), ["alpha.test", "beta.test"]);
    assert_eq!(servers(8, &event("m.room.message", let_in)), ["beta.test"], "only memberships need more");
    for version in 1..=12 {
        let ruma = ruma::signatures::required_server_signatures_to_verify_event(&join, &rules(version).signatures);
        assert_eq!(ruma.unwrap(), required_servers(&join, &rules(version)).unwrap());
    }
}

#[test]
fn the_limits_of_an_event_are_kept() {
    let long = |length: usize| "x".repeat(length);
    let references = |count: usize| Value::from(vec![json!("$0123456789012345678901234567890123456789012"); count]);
    let cases: [(&str, Value, Value); 6] = [
        ("type", long(255).into(), long(256).into()),
        ("state_key", long(255).into(), long(256).into()),
        ("sender", format!("@{}:b.test", long(247)).into(), format!("@{}:b.test", long(248)).into()),
        ("prev_events", references(20), references(21)),
        ("auth_events", references(10), references(11)),
        ("depth", 9_007_199_254_740_991_i64.into(), (-1).into()),
    ];
    for (field, most, too_much) in cases {
        let mut pdu = sent(11);
        pdu[field] = most;
        assert!(receive(&pdu, 11).is_ok(), "{field}");
        pdu[field] = too_much;
        assert!(matches!(receive(&pdu, 11), Err(EventError::Malformed(_))), "{field}");
    }
    let mut pdu = sent(11);
    let rest = canonical(&object(&pdu)).len() - 2;
    pdu["content"]["body"] = long(EVENT_BYTES_MAX - rest).into();
    assert_eq!(canonical(&object(&pdu)).len(), EVENT_BYTES_MAX);
    assert!(receive(&pdu, 11).is_ok());
    pdu["content"]["body"] = long(EVENT_BYTES_MAX - rest + 1).into();
    assert_eq!(receive(&pdu, 11).unwrap_err(), EventError::TooLarge);
}

#[test]
fn each_field_must_be_what_it_is() {
    for (version, _) in every_version() {
        let names = ["type", "sender", "content", "hashes", "signatures", "depth", "origin_server_ts", "prev_events"];
        let names = names.into_iter().chain(["auth_events", "room_id"]).chain((version < 3).then_some("event_id"));
        for field in names {
            let mut pdu = sent(version);
            pdu.as_object_mut().unwrap().remove(field);
            assert!(receive(&pdu, version).is_err(), "version {version} without {field}");
            for wrong in [json!(null), json!(true), json!([[]]), json!(["x"])] {
                pdu[field] = wrong;
                assert!(receive(&pdu, version).is_err(), "version {version}, {field}: {}", pdu[field]);
            }
        }
        let mut pdu = sent(version);
        pdu["prev_events"] = if version < 3 { json!(["$a:b"]) } else { json!([["$a:b", {}]]) };
        assert!(receive(&pdu, version).is_err(), "version {version}: references of another version");
    }
}

#[test]
fn since_version_12_a_room_is_named_after_its_first_event() {
    let (room, main) = Room::with_all(12);
    let create = room.create(&main);
    assert_eq!(create.room().strip_sigil(), &create.id().as_str()[1..]);
    assert!(!create.json().contains("room_id"));
    let mut pdu = sent(12);
    let create = format!("${}", pdu["room_id"].as_str().unwrap().trim_start_matches('!'));
    pdu["auth_events"].as_array_mut().unwrap().push(create.into());
    assert!(matches!(receive(&pdu, 12), Err(EventError::Malformed(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), version in 1_u8..=12) {
        let _ = parse_pdu(&String::from_utf8_lossy(&bytes), &rules(version));
    }

    #[test]
    fn no_event_with_something_odd_in_it_makes_it_panic(
        field in "type|sender|room_id|event_id|state_key|content|hashes|signatures|depth|prev_events|auth_events|redacts",
        odd in any_json(),
        version in 1_u8..=12,
    ) {
        let mut pdu = sent(version);
        pdu[field] = odd;
        if let Ok(received) = receive(&pdu, version) {
            let _ = received.verify(&keys(), &rules(version));
        }
    }

    #[test]
    fn any_content_comes_through(content in crate::testing::any_object(), version in 1_u8..=12) {
        let (mut room, mut main) = Room::with_all(version);
        let draft = crate::Draft::message("org.example.thing", object(&content));
        let event = room.adds(&mut main, PEOPLE[1], draft).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(event.content_text()).unwrap(), &content);
        let verified = Received::parse(event.json(), &room.rules).unwrap().verify(&keys(), &room.rules).unwrap();
        prop_assert!(matches!(verified, Verified::Whole(same) if same.json() == event.json() && same.id() == event.id()));
    }
}

#[test]
fn long_types_and_state_keys_count_in_characters_before_version_11() {
    for (version, fits) in [(10, true), (11, false)] {
        let mut pdu = sent(version);
        pdu["state_key"] = "\u{1f4a5}".repeat(70).into();
        assert_eq!(receive(&pdu, version).is_ok(), fits, "version {version}");
        pdu["state_key"] = "\u{1f4a5}".repeat(256).into();
        assert!(receive(&pdu, version).is_err(), "version {version}");
        pdu["state_key"] = "x".repeat(255).into();
        assert!(receive(&pdu, version).is_ok(), "version {version}");
        pdu["sender"] = format!("@{}:beta.test", "\u{1f4a5}".repeat(70)).into();
        assert!(receive(&pdu, version).is_err(), "version {version}");
        let made = check_format(&object(&pdu), &rules(version));
        assert!(made.is_err(), "version {version}");
    }
}

#[test]
fn an_event_may_name_more_than_today_where_history_is_read() {
    for (name, limit) in [("prev_events", PREV_EVENTS_MAX), ("auth_events", AUTH_EVENTS_MAX)] {
        let mut pdu = sent(11);
        pdu[name] = (0..=limit).map(|n| json!(format!("$event{n}"))).collect();
        let text = pdu.to_string();
        assert!(Received::parse(&text, &rules(11)).is_err(), "{name}");
        assert!(Received::parse_naming(&text, &rules(11), References::AsTheyAre).is_ok(), "{name}");
    }
}

#[test]
fn who_countersigns_an_event_changes_nothing_else_of_it() {
    let rules = rules(11);
    let mut theirs = object(&sent(11));
    // A server may write its hash with padding: another spelling of it would be another event.
    let padded = format!("{}=", theirs["hashes"].as_object().unwrap()["sha256"].as_str().unwrap());
    theirs.insert("hashes".to_owned(), serde_json::from_value(json!({ "sha256": padded })).unwrap());
    theirs.remove("signatures");
    key_of(user(BOB).server_name()).countersign(&mut theirs, &rules).unwrap();
    let theirs = Received::from_object(theirs, &rules).unwrap().verify(&keys(), &rules).unwrap();
    let Verified::Whole(event) = theirs else { panic!("its hash holds") };
    let both = crate::countersign(&event, &rules, &key_of(user(ALICE).server_name())).unwrap();
    assert_eq!((both.id(), &both.object()["hashes"]), (event.id(), &event.object()["hashes"]));
    let servers: Vec<_> = both.object()["signatures"].as_object().unwrap().keys().cloned().collect();
    assert!(servers.iter().any(|server| user(ALICE).server_name() == server.as_str()), "{servers:?}");
}
