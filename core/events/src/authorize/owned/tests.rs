//! Whose state is whose, by its key, and who may set it nevertheless.

use serde_json::json;

use super::*;
use crate::{
    Draft, OWNED_STATE,
    testing::{ALICE, BOB, Branch, CAROL, DAVE, Room, object, rules},
};

/// A room in which everybody may set state of this type: Alice has a power of 100, Bob of 50, the others none.
fn room(version: &'static str) -> (Room, Branch) {
    let (mut room, mut main) = Room::with_owned_state(version);
    let mut levels = room.levels(&[(BOB, 50)]);
    levels["events"] = json!({ "beacon": 0 });
    room.sets(&mut main, ALICE, "m.room.power_levels", "", levels).unwrap();
    (room, main)
}

fn beacon(state_key: &str) -> Draft {
    Draft::state("beacon", state_key, object(&json!({})))
}

#[test]
fn state_is_set_by_its_owner_and_by_who_has_more_power() {
    for version in OWNED_STATE {
        let (mut room, main) = room(version);
        let mut may = |sender, key: &str| room.adds(&mut main.clone(), sender, beacon(key)).is_ok();
        for after in ["", "_", "_phone", "_:!@#$"] {
            let key = format!("{CAROL}{after}");
            assert!(may(CAROL, &key) && may(BOB, &key) && may(ALICE, &key), "{version}: {key}");
            assert!(!may(DAVE, &key), "{version}: no more power than Carol: {key}");
            assert!(!may(BOB, &format!("{ALICE}{after}")), "{version}: less power than Alice");
        }
        let nobody = "@nobody:nowhere.test_x";
        assert!(may(BOB, nobody) && !may(CAROL, nobody), "{version}: who is not there has the power of newcomers");
        assert!(may(CAROL, "open to all"), "{version}");
        assert!(!may(CAROL, "@carol:gamma.testphone"), "{version}: another server");
    }
}

#[test]
fn a_key_that_begins_like_a_person_names_one_and_has_its_limits() {
    let [rules_ten, _] = OWNED_STATE.map(|version| crate::rules_of(&version.try_into().unwrap()).unwrap());
    let owner = |key: &str| owner_of(&"beacon".into(), Some(key), &rules_ten).map(|owner| owner.map(String::from));
    assert_eq!(owner("@a_b:c.test:8448_d_e:f"), Ok(Some("@a_b:c.test:8448".to_owned())));
    assert_eq!(owner("@a:[::1]:80_x"), Ok(Some("@a:[::1]:80".to_owned())));
    for wrong in ["@", "@oops", "@oops_x", "@a:c.test@x", "@a:_x", "@a:c/d_x"] {
        assert!(owner(wrong).is_err(), "{wrong}");
    }
    let long = |bytes: usize| "x".repeat(bytes);
    assert_eq!(owner(&long(255)), Ok(None));
    assert!(owner(&long(256)).is_err());
    assert!(owner(&format!("@a:c_{}", long(255))).is_ok());
    assert!(owner(&format!("@a:c_{}", long(256))).is_err());
    assert_eq!(owner_of(&"beacon".into(), Some("@oops"), &rules(10)), Ok(None), "not in other versions");
}

#[test]
fn an_owners_key_may_be_as_long_as_both_parts() {
    let (mut room, mut main) = room(OWNED_STATE[0]);
    let key = format!("{CAROL}_{}", "x".repeat(255));
    let event = room.adds(&mut main, CAROL, beacon(&key)).unwrap();
    assert_eq!(crate::check_format(&event.object(), &room.rules), Ok(()));
    assert!(crate::check_format(&event.object(), &rules(10)).is_err(), "too long in other versions");
}

#[test]
fn where_nobody_was_given_power_who_made_the_room_has_it() {
    for version in OWNED_STATE {
        let (mut room, main) = Room::with_owned_state(version);
        let mut bare = main.clone();
        bare.state.remove(&(StateEventType::RoomPowerLevels, String::new()));
        assert!(room.adds(&mut bare.clone(), ALICE, beacon(BOB)).is_ok(), "{version}");
        let state = |kind: &StateEventType, key: &str| room.get(bare.state.get(&(kind.clone(), key.to_owned()))?);
        let power = |who: &str| power_of(who.try_into().unwrap(), &room.rules, &state).unwrap();
        assert!(power(ALICE) > power(BOB) && power(BOB) == power(CAROL), "{version}");
    }
}
