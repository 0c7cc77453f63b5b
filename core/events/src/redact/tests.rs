//! What redaction leaves, version by version, as the texts of the room versions say.
//! <https://spec.matrix.org/v1.19/rooms/>

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{any_object, every_version, object, rules};

/// An event with more fields than an event should have.
fn event(version: u8, kind: &str, content: Value) -> Event {
    let reference = if version < 3 { json!(["$before:b.test", { "sha256": "x" }]) } else { json!("$before") };
    let all = json!({
        "type": kind, "content": content, "sender": "@a:b.test", "room_id": "!room:b.test", "state_key": "",
        "event_id": "$id:b.test", "origin_server_ts": 1, "depth": 2, "hashes": { "sha256": "x" },
        "signatures": { "b.test": {} }, "prev_events": [reference], "auth_events": [], "origin": "b.test",
        "membership": "join", "prev_state": [], "redacts": "$other:b.test", "unsigned": { "age": 1 }, "more": true,
    });
    Event::from_object(&object(&all), &rules(version)).unwrap()
}

fn content_left(version: u8, kind: &str, content: &Value) -> Value {
    let left = redacted(&event(version, kind, content.clone()), &rules(version)).unwrap();
    serde_json::from_str(left.content_text()).unwrap()
}

#[test]
fn of_the_top_level_only_what_the_version_names_stays() {
    for (version, rules) in every_version() {
        let whole = event(version, "m.room.message", json!({ "body": "x" }));
        let left = redacted(&whole, &rules).unwrap().object();
        let mut kept = vec![
            "auth_events",
            "content",
            "depth",
            "event_id",
            "hashes",
            "origin_server_ts",
            "prev_events",
            "room_id",
            "sender",
            "signatures",
            "state_key",
            "type",
        ];
        if version < 11 {
            kept.extend(["membership", "origin", "prev_state"]);
        }
        kept.sort_unstable();
        assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), kept, "version {version}");
    }
}

#[test]
fn of_the_content_only_what_the_version_names_stays() {
    let all = json!({
        "membership": "join", "join_authorised_via_users_server": "@a:b.test", "displayname": "A",
        "third_party_invite": { "display_name": "A", "signed": { "token": "x" } },
        "creator": "@a:b.test", "room_version": "1", "join_rule": "public", "allow": [],
        "ban": 1, "events": {}, "events_default": 1, "kick": 1, "redact": 1, "state_default": 1, "users": {},
        "users_default": 1, "invite": 1, "notifications": {}, "history_visibility": "shared", "aliases": [],
        "redacts": "$other", "reason": "x", "body": "x", "name": "x",
    });
    let levels = ["ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"];
    for version in 1..=12 {
        let since = |from: u8, names: &[&'static str]| if version >= from { names.to_vec() } else { vec![] };
        let before = |until: u8, names: &[&'static str]| if version < until { names.to_vec() } else { vec![] };
        let all_names: Vec<&str> = all.as_object().unwrap().keys().map(String::as_str).collect();
        let kept = |kind: &str| match kind {
            "m.room.member" => {
                let let_in = since(9, &["join_authorised_via_users_server"]);
                [vec!["membership"], let_in, since(11, &["third_party_invite"])].concat()
            }
            "m.room.create" if version >= 11 => all_names.clone(),
            "m.room.create" => vec!["creator"],
            "m.room.join_rules" => [vec!["join_rule"], since(8, &["allow"])].concat(),
            "m.room.power_levels" => [levels.to_vec(), since(11, &["invite"])].concat(),
            "m.room.history_visibility" => vec!["history_visibility"],
            "m.room.aliases" => before(6, &["aliases"]),
            "m.room.redaction" => since(11, &["redacts"]),
            _ => vec![],
        };
        for kind in [
            "m.room.member",
            "m.room.create",
            "m.room.join_rules",
            "m.room.power_levels",
            "m.room.history_visibility",
            "m.room.aliases",
            "m.room.redaction",
            "m.room.message",
            "m.room.name",
            "org.example",
        ] {
            let mut expected = json!({});
            for name in kept(kind) {
                expected[name] = all[name].clone();
            }
            if kind == "m.room.member" && version >= 11 {
                expected["third_party_invite"] = json!({ "signed": { "token": "x" } });
            }
            assert_eq!(content_left(version, kind, &all), expected, "version {version}, {kind}");
        }
    }
}

proptest! {
    #[test]
    fn redacting_again_changes_nothing(
        kind in "m\\.room\\.(member|create|join_rules|power_levels|history_visibility|aliases|redaction|message)",
        content in any_object(),
        version in 1_u8..=12,
    ) {
        let whole = event(version, &kind, content);
        let once = redacted(&whole, &rules(version)).unwrap();
        let twice = redacted(&once, &rules(version)).unwrap();
        prop_assert_eq!(once.json(), twice.json());
        prop_assert_eq!(once.id(), whole.id());
        let same_id = crate::event_id(&once.object(), &rules(version)).unwrap();
        prop_assert_eq!(&same_id, whole.id(), "redaction does not change what the id is made of");
    }
}
