//! A room for tests: people of several servers who act in it, on branches that fork and meet.

use proptest::prelude::*;
use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedServerName,
    RoomVersionId, ServerName, UInt, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::RoomVersionRules,
};
use serde_json::{Value, json};
use std::collections::HashMap;

use crate::{
    Denied, Draft, Event, Placing, PublicKeys, ServerKey, StateMap, auth_types, authorize_by_auth_events,
    authorize_by_state, build, create_of, parse_object, rules_of, sign, template,
};

pub(crate) const ALICE: &str = "@alice:alpha.test";
pub(crate) const BOB: &str = "@bob:beta.test";
pub(crate) const CAROL: &str = "@carol:gamma.test";
pub(crate) const DAVE: &str = "@dave:alpha.test";
pub(crate) const PEOPLE: [&str; 4] = [ALICE, BOB, CAROL, DAVE];

pub(crate) fn every_version() -> impl Iterator<Item = (u8, RoomVersionRules)> {
    (1..=12).map(|version| (version, rules(version)))
}

pub(crate) fn rules(version: u8) -> RoomVersionRules {
    RoomVersionId::try_from(version.to_string()).unwrap().rules().unwrap()
}

pub(crate) fn object(value: &Value) -> CanonicalJsonObject {
    parse_object(&value.to_string()).unwrap()
}

pub(crate) fn key_of(server: &ServerName) -> ServerKey {
    let mut seed = [7; 32];
    for (place, byte) in seed.iter_mut().zip(server.as_bytes()) {
        *place = *byte;
    }
    ServerKey::from_seed(server.to_owned(), &seed, "a").unwrap()
}

/// The keys of all servers there are.
pub(crate) fn keys() -> PublicKeys {
    let mut keys = PublicKeys::default();
    for person in PEOPLE {
        let server: OwnedServerName = user(person).server_name().to_owned();
        let key = key_of(&server);
        assert!(keys.add(&server, &key.id(), &key.public_key_base64(), MilliSecondsSinceUnixEpoch(UInt::MAX)));
    }
    keys
}

pub(crate) fn user(id: &str) -> &UserId {
    id.try_into().unwrap()
}

/// One line of a room's graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Branch {
    pub(crate) state: StateMap,
    pub(crate) ends: Vec<OwnedEventId>,
    depth: u64,
}

/// A room and all its events.
pub(crate) struct Room {
    pub(crate) rules: RoomVersionRules,
    version: u8,
    id: Option<OwnedRoomId>,
    pub(crate) events: HashMap<OwnedEventId, Event>,
    now_ms: u64,
}

impl Room {
    /// A public room that Alice made and the others joined; Bob has half her power.
    pub(crate) fn with_all(version: u8) -> (Self, Branch) {
        Self::with_all_by(version, rules(version))
    }

    /// Such a room of versions 10 and 11 with owned state.
    pub(crate) fn with_owned_state(version: &'static str) -> (Self, Branch) {
        let (_, number) = version.rsplit_once('.').unwrap();
        Self::with_all_by(number.parse().unwrap(), rules_of(&version.try_into().unwrap()).unwrap())
    }

    fn with_all_by(version: u8, rules: RoomVersionRules) -> (Self, Branch) {
        let (mut room, mut main) = Self::of_alice(version, rules);
        room.sets(&mut main, ALICE, "m.room.join_rules", "", json!({ "join_rule": "public" })).unwrap();
        room.sets(&mut main, ALICE, "m.room.power_levels", "", room.levels(&[(BOB, 50)])).unwrap();
        for person in [BOB, CAROL, DAVE] {
            room.sets(&mut main, person, "m.room.member", person, json!({ "membership": "join" })).unwrap();
        }
        (room, main)
    }

    /// A room with Alice in it.
    fn of_alice(version: u8, rules: RoomVersionRules) -> (Self, Branch) {
        let id = (version < 12).then(|| "!room:alpha.test".try_into().unwrap());
        let mut room = Self { rules, version, id, events: HashMap::new(), now_ms: 1_000 };
        let mut main = Branch::default();
        let create = json!({ "creator": ALICE, "room_version": version.to_string() });
        let create = room.sets(&mut main, ALICE, "m.room.create", "", create).unwrap();
        room.id = Some(create.room().to_owned());
        room.sets(&mut main, ALICE, "m.room.member", ALICE, json!({ "membership": "join" })).unwrap();
        (room, main)
    }

    /// Power levels in which Alice, who made the room, and these people have some.
    pub(crate) fn levels(&self, users: &[(&str, i64)]) -> Value {
        let mut levels: HashMap<&str, i64> = users.iter().copied().collect();
        if self.version < 12 {
            levels.insert(ALICE, 100);
        }
        json!({ "users": levels, "ban": 50, "kick": 50, "state_default": 50 })
    }

    pub(crate) fn get(&self, id: &EventId) -> Option<Event> {
        self.events.get(id).cloned()
    }

    /// The event that holds an entry of a state.
    pub(crate) fn holds(&self, state: &StateMap, kind: &str, state_key: &str) -> Event {
        self.events[&state[&(StateEventType::from(kind), state_key.to_owned())]].clone()
    }

    pub(crate) fn sets(
        &mut self,
        branch: &mut Branch,
        sender: &str,
        kind: &str,
        state_key: &str,
        content: Value,
    ) -> Result<Event, Denied> {
        self.adds(branch, sender, Draft::state(kind, state_key, object(&content)))
    }

    pub(crate) fn says(&mut self, branch: &mut Branch, sender: &str, body: &str) -> Result<Event, Denied> {
        self.adds(branch, sender, Draft::message("m.room.message", object(&json!({ "body": body }))))
    }

    /// Adds an event to a branch, if the state there permits it.
    pub(crate) fn adds(&mut self, branch: &mut Branch, sender: &str, draft: Draft) -> Result<Event, Denied> {
        let event = self.unchecked(branch, sender, draft);
        authorize_by_auth_events(&event, &self.rules, |id| self.get(id))?;
        authorize_by_state(&event, &self.rules, |kind, state_key| {
            self.get(branch.state.get(&(kind.clone(), state_key.to_owned()))?)
        })?;
        self.events.insert(event.id().clone(), event.clone());
        branch.depth += 1;
        branch.ends = vec![event.id().clone()];
        if let Some(state_key) = event.state_key() {
            let key = (StateEventType::from(event.kind().to_string()), state_key.to_owned());
            branch.state.insert(key, event.id().clone());
        }
        Ok(event)
    }

    /// The next event of a branch, permitted or not. It is not added.
    pub(crate) fn unchecked(&mut self, branch: &mut Branch, sender: &str, draft: Draft) -> Event {
        self.now_ms += 1;
        let sender = user(sender);
        let key = key_of(sender.server_name());
        let keys = auth_types(&draft, sender, &self.rules).unwrap();
        let local_id = format!("local{}", self.now_ms);
        let placing = Placing {
            room_id: self.id.as_deref().filter(|_| self.version < 12 || draft.kind != TimelineEventType::RoomCreate),
            sender,
            ts: MilliSecondsSinceUnixEpoch(UInt::new(self.now_ms).unwrap()),
            prev_events: branch.ends.clone(),
            auth_events: keys.iter().filter_map(|key| branch.state.get(key).cloned()).collect(),
            depth: branch.depth + 1,
            local_id: &local_id,
        };
        let event = build(draft.clone(), &placing, &self.rules, &key).unwrap();
        if self.version > 2 {
            let slowly = sign(template(draft, &placing, &self.rules), &self.rules, &key).unwrap();
            assert_eq!(slowly.json(), event.json(), "both ways of building make the same event");
            assert_eq!(slowly.id(), event.id());
        }
        event
    }

    /// The room's first event.
    pub(crate) fn create(&self, main: &Branch) -> Event {
        let id = self.id.as_deref().and_then(|id| create_of(id, &self.rules));
        id.and_then(|id| self.get(&id)).unwrap_or_else(|| self.holds(&main.state, "m.room.create", ""))
    }
}

/// Any JSON with a canonical form.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Any object with a canonical form.
pub(crate) fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::hash_map(any::<String>(), any_json(), 0..6)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
}
