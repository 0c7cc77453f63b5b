//! State resolution: known forks, and that no order of states or way of asking changes the answer.

use proptest::prelude::*;
use ruma::{
    OwnedEventId,
    events::StateEventType,
    state_res::{self, utils::event_id_set::EventIdSet},
};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};

use super::*;
use crate::OWNED_STATE;
use crate::testing::{ALICE, BOB, Branch, CAROL, DAVE, PEOPLE, Room, every_version};

impl Room {
    fn resolves(&self, branches: &[&Branch]) -> StateMap {
        let states: Vec<_> = branches.iter().map(|branch| branch.state.clone()).collect();
        resolve_states(&states, &self.rules, |id| self.get(id)).unwrap()
    }

    fn membership(&self, state: &StateMap, person: &str) -> String {
        let member: Value = self.holds(state, "m.room.member", person).content_as().unwrap();
        member["membership"].as_str().unwrap().to_owned()
    }
}

fn member(membership: &str) -> Value {
    json!({ "membership": membership })
}

#[test]
fn who_is_banned_on_one_side_cannot_act_on_the_other() {
    for (version, _) in every_version().skip(1) {
        let (mut room, mut left) = Room::with_all(version);
        let mut right = left.clone();
        room.sets(&mut left, ALICE, "m.room.member", BOB, member("ban")).unwrap();
        room.sets(&mut right, BOB, "m.room.topic", "", json!({ "topic": "mine" })).unwrap();
        room.sets(&mut right, BOB, "m.room.member", CAROL, member("ban")).unwrap();
        let resolved = room.resolves(&[&left, &right]);
        assert_eq!(room.membership(&resolved, BOB), "ban", "version {version}");
        assert_eq!(room.membership(&resolved, CAROL), "join", "version {version}");
        assert!(!resolved.contains_key(&(StateEventType::RoomTopic, String::new())), "version {version}");
    }
}

#[test]
fn of_two_topics_the_later_stays_and_what_only_one_side_did_is_kept() {
    for (version, _) in every_version() {
        let (mut room, mut left) = Room::with_all(version);
        let mut right = left.clone();
        room.sets(&mut left, ALICE, "m.room.topic", "", json!({ "topic": "first" })).unwrap();
        room.sets(&mut left, ALICE, "m.room.name", "", json!({ "name": "a name" })).unwrap();
        room.says(&mut right, DAVE, "hello").unwrap();
        let second = room.sets(&mut right, BOB, "m.room.topic", "", json!({ "topic": "second" })).unwrap();
        room.sets(&mut right, CAROL, "m.room.member", CAROL, member("leave")).unwrap();
        let resolved = room.resolves(&[&left, &right]);
        assert_eq!(resolved[&(StateEventType::RoomTopic, String::new())], *second.id(), "version {version}");
        assert!(resolved.contains_key(&(StateEventType::RoomName, String::new())));
        assert_eq!(room.membership(&resolved, CAROL), "leave");
    }
}

#[test]
fn power_that_was_taken_away_is_gone() {
    for (version, _) in every_version().skip(1) {
        let (mut room, mut left) = Room::with_all(version);
        let mut right = left.clone();
        let (none, much) = (room.levels(&[]), room.levels(&[(BOB, 50), (CAROL, 50)]));
        let taken = room.sets(&mut left, ALICE, "m.room.power_levels", "", none).unwrap();
        room.sets(&mut right, BOB, "m.room.power_levels", "", much).unwrap();
        room.sets(&mut right, CAROL, "m.room.name", "", json!({ "name": "Carol's" })).unwrap();
        let resolved = room.resolves(&[&right, &left]);
        let levels = room.holds(&resolved, "m.room.power_levels", "");
        assert_eq!(levels.id(), taken.id(), "version {version}");
        assert!(!resolved.contains_key(&(StateEventType::RoomName, String::new())), "version {version}");
    }
}

/// The first version settles by depth alone: power levels as long as each is permitted by the one before.
#[test]
fn version_1_settles_conflicts_by_depth() {
    let (mut room, mut left) = Room::with_all(1);
    let mut right = left.clone();
    let none = room.levels(&[]);
    room.sets(&mut left, ALICE, "m.room.power_levels", "", none).unwrap();
    room.says(&mut right, BOB, "one deeper").unwrap();
    let own = room.levels(&[(BOB, 50), (DAVE, 20)]);
    let deeper = room.sets(&mut right, BOB, "m.room.power_levels", "", own).unwrap();
    let resolved = room.resolves(&[&left, &right]);
    assert_ne!(room.holds(&resolved, "m.room.power_levels", "").id(), deeper.id(), "Bob had no power by then");
    let (mut later, resolved) = (left.clone(), resolved);
    later.state = resolved;
    assert!(room.sets(&mut later, BOB, "m.room.topic", "", json!({})).is_err());
}

/// Since version 12 the resolution starts from nothing, so that an old state cannot come back by what was agreed on.
#[test]
fn a_room_whose_sides_went_different_ways_keeps_its_later_rules() {
    for (version, _) in every_version().skip(1) {
        let (mut room, main) = Room::with_all(version);
        let (mut left, mut right) = (main.clone(), main.clone());
        room.sets(&mut left, ALICE, "m.room.join_rules", "", json!({ "join_rule": "invite" })).unwrap();
        room.sets(&mut left, ALICE, "m.room.member", DAVE, member("leave")).unwrap();
        room.sets(&mut right, DAVE, "m.room.member", DAVE, json!({ "membership": "join", "displayname": "D" }))
            .unwrap();
        let resolved = room.resolves(&[&left, &right]);
        assert_eq!(room.membership(&resolved, DAVE), "leave", "version {version}");
    }
}

/// What all sides agree on can rest on events that no side has in question.
#[test]
fn levels_that_changed_twice_on_a_third_side_decide_as_well() {
    for (version, _) in every_version().skip(1) {
        let (mut room, mut left) = Room::with_all(version);
        let (mut right, mut third) = (left.clone(), left.clone());
        room.sets(&mut left, BOB, "m.room.topic", "", json!({ "topic": "first" })).unwrap();
        let later = room.sets(&mut right, BOB, "m.room.topic", "", json!({ "topic": "second" })).unwrap();
        for level in [60, 70] {
            let levels = room.levels(&[(BOB, level)]);
            let levels = room.sets(&mut third, ALICE, "m.room.power_levels", "", levels).unwrap();
            for side in [&mut left, &mut right] {
                side.state.insert((StateEventType::RoomPowerLevels, String::new()), levels.id().clone());
            }
        }
        let resolved = room.resolves(&[&left, &right]);
        assert_eq!(resolved[&(StateEventType::RoomTopic, String::new())], *later.id(), "version {version}");
    }
}

#[test]
fn what_is_not_at_hand_is_named_until_all_is() {
    for (version, _) in every_version() {
        let (mut room, mut left) = Room::with_all(version);
        let mut right = left.clone();
        room.sets(&mut left, ALICE, "m.room.member", BOB, member("ban")).unwrap();
        room.sets(&mut right, BOB, "m.room.topic", "", json!({ "topic": "mine" })).unwrap();
        let states = [left.state.clone(), right.state.clone()];
        let mut at_hand = BTreeSet::<OwnedEventId>::new();
        let resolved = loop {
            match resolve_states(&states, &room.rules, |id| room.get(id).filter(|_| at_hand.contains(id))) {
                Ok(resolved) => break resolved,
                Err(ResolveError::Missing(missing)) => {
                    assert!(missing.is_disjoint(&at_hand) && !missing.is_empty());
                    at_hand.extend(missing);
                }
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(resolved, room.resolves(&[&left, &right]), "version {version}");
        let starts = left.state.values().cloned();
        let missing = missing_from_auth_chains(starts.clone(), |_| None);
        assert_eq!(missing, starts.collect());
    }
}

/// Something that somebody does, or tries to.
#[derive(Debug, Clone)]
enum Act {
    Member { by: usize, of: usize, membership: &'static str },
    Levels { by: usize, of: usize, level: i64 },
    JoinRule { by: usize, rule: &'static str },
    Topic { by: usize },
    Beacon { by: usize, of: usize },
    Say { by: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let person = 0..PEOPLE.len();
    let membership = prop::sample::select(vec!["join", "leave", "ban", "invite", "join", "leave"]);
    prop_oneof![
        4 => (person.clone(), person.clone(), membership)
            .prop_map(|(by, of, membership)| Act::Member { by, of, membership }),
        3 => (person.clone(), person.clone(), prop::sample::select(vec![0, 25, 50, 75]))
            .prop_map(|(by, of, level)| Act::Levels { by, of, level }),
        1 => (person.clone(), prop::sample::select(vec!["public", "invite"]))
            .prop_map(|(by, rule)| Act::JoinRule { by, rule }),
        2 => person.clone().prop_map(|by| Act::Topic { by }),
        1 => (person.clone(), person.clone()).prop_map(|(by, of)| Act::Beacon { by, of }),
        1 => person.prop_map(|by| Act::Say { by }),
    ]
}

impl Room {
    /// Does what the state of the branch permits.
    fn tries(&mut self, branch: &mut Branch, act: &Act) {
        let _ = match *act {
            Act::Member { by, of, membership } => {
                self.sets(branch, PEOPLE[by], "m.room.member", PEOPLE[of], member(membership))
            }
            Act::Levels { by, of, level } => {
                let mut levels = vec![(BOB, 50)];
                if PEOPLE[of] != ALICE {
                    levels.push((PEOPLE[of], level));
                }
                let levels = self.levels(&levels);
                self.sets(branch, PEOPLE[by], "m.room.power_levels", "", levels)
            }
            Act::JoinRule { by, rule } => {
                self.sets(branch, PEOPLE[by], "m.room.join_rules", "", json!({ "join_rule": rule }))
            }
            Act::Topic { by } => self.sets(branch, PEOPLE[by], "m.room.topic", "", json!({ "topic": "x" })),
            // Another's only in rooms with owned state.
            Act::Beacon { by, of } => self.sets(branch, PEOPLE[by], "beacon", PEOPLE[of], json!({})),
            Act::Say { by } => self.says(branch, PEOPLE[by], "x"),
        };
    }

    /// The answer of ruma to whole states with whole auth chains.
    fn asks_ruma(&self, states: &[StateMap]) -> StateMap {
        let version = self.rules.state_res.v2_rules().unwrap();
        let chain = |ids: Vec<OwnedEventId>| {
            let (mut seen, mut ahead) = (HashSet::new(), ids);
            while let Some(id) = ahead.pop() {
                if seen.insert(id.clone()) {
                    ahead.extend(self.events[&id].auth().iter().cloned());
                }
            }
            seen
        };
        let chains = states.iter().map(|state| chain(state.values().cloned().collect()).into_iter().collect());
        let subgraph = |conflicted: &Conflicts| {
            let ids: Vec<_> = conflicted.values().flatten().cloned().collect();
            let below = chain(ids.clone());
            let leads = |id: &OwnedEventId| chain(vec![id.clone()]).iter().any(|one| ids.contains(one));
            Some(below.iter().filter(|id| leads(id)).cloned().collect::<EventIdSet<_>>())
        };
        state_res::resolve(&self.rules.authorization, version, states, chains.collect(), |id| self.get(id), subgraph)
            .unwrap()
    }
}

type Conflicts = state_res::StateMap<Vec<OwnedEventId>>;

/// An event of a room with owned state is decided like one of its own kind: by the power its sender has over its owner when
/// the sides meet, not by that on its own side.
#[test]
fn who_lost_power_on_one_side_sets_no_more_of_others_on_the_other() {
    for version in OWNED_STATE {
        let (mut room, mut left) = Room::with_owned_state(version);
        let mut levels = room.levels(&[(BOB, 60), (CAROL, 50), (DAVE, 50)]);
        levels["state_default"] = 40.into();
        room.sets(&mut left, ALICE, "m.room.power_levels", "", levels.clone()).unwrap();
        let key = format!("{CAROL}_phone");
        let own = room.sets(&mut left, CAROL, "beacon", &key, json!({})).unwrap();
        let (mut right, mut third) = (left.clone(), left.clone());
        levels["users"][BOB] = 50.into();
        room.sets(&mut left, ALICE, "m.room.power_levels", "", levels).unwrap();
        room.sets(&mut right, BOB, "beacon", &key, json!({})).unwrap();
        let held = |state: &StateMap| room.holds(state, "beacon", &key).id().clone();
        let resolved = room.resolves(&[&left, &right]);
        assert_eq!(held(&resolved), *own.id(), "version {version}");
        let by_alice = room.sets(&mut third, ALICE, "beacon", &key, json!({})).unwrap();
        let resolved = room.resolves(&[&third, &right, &left]);
        let held = room.holds(&resolved, "beacon", &key).id().clone();
        assert_eq!(held, *by_alice.id(), "version {version}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Rooms with owned state are decided by hand: what nobody owns as ruma decides.
    #[test]
    fn any_order_of_arrival_resolves_to_one_state(
        (version, owned) in prop_oneof![
            4 => (1_u8..=12).prop_map(|version| (version, None)),
            1 => prop::sample::select(OWNED_STATE.to_vec()).prop_map(|version| (10, Some(version))),
        ],
        before in prop::collection::vec(act(), 0..6),
        sides in prop::collection::vec(prop::collection::vec(act(), 0..8), 2..4),
        turn in 0_usize..3,
    ) {
        let (mut room, mut main) = owned.map_or_else(|| Room::with_all(version), Room::with_owned_state);
        before.iter().for_each(|act| room.tries(&mut main, act));
        let mut branches = vec![main; sides.len()];
        for (branch, acts) in branches.iter_mut().zip(&sides) {
            acts.iter().for_each(|act| room.tries(branch, act));
        }
        let mut states: Vec<_> = branches.iter().map(|branch| branch.state.clone()).collect();
        let resolved = resolve_states(&states, &room.rules, |id| room.get(id)).unwrap();
        if version > 1 {
            let compared = |mut state: StateMap| {
                state.retain(|(kind, _), _| owned.is_none() || *kind != StateEventType::from("beacon"));
                state
            };
            let (resolved, by_ruma) = (compared(resolved.clone()), compared(room.asks_ruma(&states)));
            prop_assert_eq!(&resolved, &by_ruma, "a fork is answered as whole states are");
        }
        let turn = turn % states.len();
        states.rotate_left(turn);
        states.reverse();
        prop_assert_eq!(&resolve_states(&states, &room.rules, |id| room.get(id)).unwrap(), &resolved);
        states.push(states[0].clone());
        prop_assert_eq!(resolve_states(&states, &room.rules, |id| room.get(id)).unwrap(), resolved);
    }
}
