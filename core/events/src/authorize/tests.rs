//! Who may do what: that ruma's rules are asked with the right facts in every room version.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{ALICE, BOB, CAROL, DAVE, PEOPLE, Room, every_version, object};

#[test]
fn those_without_power_change_nothing() {
    for (version, _) in every_version() {
        let (mut room, mut main) = Room::with_all(version);
        assert!(room.sets(&mut main, BOB, "m.room.topic", "", json!({ "topic": "x" })).is_ok());
        assert!(room.sets(&mut main, CAROL, "m.room.topic", "", json!({ "topic": "x" })).is_err());
        assert!(room.sets(&mut main, CAROL, "m.room.member", DAVE, json!({ "membership": "leave" })).is_err());
        assert!(room.says(&mut main, CAROL, "hi").is_ok());
        assert!(room.sets(&mut main, BOB, "m.room.member", CAROL, json!({ "membership": "ban" })).is_ok());
        assert!(room.says(&mut main, CAROL, "hi").is_err(), "version {version}: who is banned says nothing");
        assert!(room.sets(&mut main, CAROL, "m.room.member", CAROL, json!({ "membership": "join" })).is_err());
    }
}

#[test]
fn a_room_has_one_first_event_and_its_maker_can_be_trusted_as_the_version_says() {
    for (version, _) in every_version() {
        let (mut room, mut main) = Room::with_all(version);
        let again = room.sets(&mut main, ALICE, "m.room.create", "", json!({ "creator": ALICE }));
        assert!(again.is_err(), "version {version}");
        let mut levels = room.levels(&[(BOB, 50)]);
        levels["users"][ALICE] = 100.into();
        let named = room.sets(&mut main, ALICE, "m.room.power_levels", "", levels);
        assert_eq!(named.is_ok(), version < 12, "version {version}: since 12 no level is given to who made the room");
        let lost = room.levels(&[(BOB, 100)]);
        assert!(room.sets(&mut main, BOB, "m.room.power_levels", "", lost).is_err());
    }
}

#[test]
fn in_the_first_two_versions_the_rules_say_who_redacts() {
    for (version, _) in every_version() {
        let (mut room, mut main) = Room::with_all(version);
        let said = room.says(&mut main, BOB, "hi").unwrap();
        let mut redaction = Draft::message("m.room.redaction", ruma::CanonicalJsonObject::new());
        redaction.redacts = Some(said.id().clone());
        assert!(room.adds(&mut main, BOB, redaction.clone()).is_ok());
        assert_eq!(room.adds(&mut main, CAROL, redaction).is_ok(), version > 2, "version {version}");
    }
}

#[test]
fn an_event_relies_on_events_that_are_there_and_were_not_refused() {
    for (version, rules) in every_version() {
        let (mut room, mut main) = Room::with_all(version);
        let event = room.says(&mut main, BOB, "hi").unwrap();
        let create = create_of(event.room(), &rules);
        for id in event.auth().iter().chain(&create) {
            let without = |asked: &EventId| room.get(asked).filter(|_| asked != id);
            assert!(authorize_by_auth_events(&event, &rules, without).is_err(), "version {version}, without {id}");
            let refused = |asked: &EventId| {
                let found = room.get(asked)?;
                Some(if asked == id { found.into_rejected() } else { found })
            };
            assert!(authorize_by_auth_events(&event, &rules, refused).is_err(), "version {version}, {id} refused");
        }
        assert!(authorize_by_auth_events(&event, &rules, |id| room.get(id)).is_ok());
        assert_eq!(create.is_some(), version >= 12);
    }
}

proptest! {
    #[test]
    fn the_short_way_permits_what_the_rules_permit(
        version in 1_u8..=12,
        level in -10_i64..=10,
        by_name in prop::option::of(-10_i64..=10),
        events_default in prop::option::of(-10_i64..=10),
        users_default in prop::option::of(-10_i64..=10),
        federates in any::<bool>(),
        membership in prop::sample::select(vec!["join", "leave", "ban"]),
        kind in prop::sample::select(vec!["m.room.message", "m.room.redaction", "m.room.aliases", "org.example"]),
        broken in any::<bool>(),
    ) {
        let (mut room, mut main) = Room::with_all(version);
        let mut levels = room.levels(&[(BOB, level)]);
        levels["events"] = json!({});
        if let Some(needed) = by_name {
            levels["events"][kind] = if broken { json!("x") } else { needed.into() };
        }
        for (name, default) in [("events_default", events_default), ("users_default", users_default)] {
            if let Some(default) = default {
                levels[name] = default.into();
            }
        }
        let sender = PEOPLE[1];
        let create = json!({ "creator": ALICE, "m.federate": federates });
        let levels = room.unchecked(&mut main, ALICE, Draft::state("m.room.power_levels", "", object(&levels)));
        let member = object(&json!({ "membership": membership }));
        let member = room.unchecked(&mut main, sender, Draft::state("m.room.member", sender, member));
        let create = room.unchecked(&mut main, ALICE, Draft::state("m.room.create", "", object(&create)));
        let event = room.unchecked(&mut main, sender, Draft::message(kind, object(&json!({}))));
        let state = |kind: &StateEventType, _: &str| match kind {
            StateEventType::RoomCreate => Some(create.clone()),
            StateEventType::RoomPowerLevels => Some(levels.clone()),
            StateEventType::RoomMember => Some(member.clone()),
            _ => None,
        };
        let ruma = check_state_dependent_auth_rules(&room.rules.authorization, &event, state);
        let short = message::surely_permits(&event, &room.rules, &state);
        prop_assert!(!short || ruma.is_ok(), "{ruma:?}");
        prop_assert_eq!(authorize_by_state(&event, &room.rules, state).is_ok(), ruma.is_ok());
        let ordinary = matches!(kind, "m.room.message" | "org.example");
        prop_assert!(!ordinary || short == ruma.is_ok(), "what is sent most takes the short way");
    }
}
