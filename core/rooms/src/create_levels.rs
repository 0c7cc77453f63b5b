//! The power levels new rooms begin with.

use js_int::Int;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId, room_version_rules::RoomVersionRules};
use std::collections::BTreeMap;

use crate::{NewRoom, Preset, Result, RoomError};

/// Which levels the usual state events need.
const EVENT_LEVELS: [(&str, i32); 9] = [
    ("m.room.avatar", 50),
    ("m.room.canonical_alias", 50),
    ("m.room.encryption", 100),
    ("m.room.history_visibility", 100),
    ("m.room.name", 50),
    ("m.room.power_levels", 100),
    ("m.room.server_acl", 100),
    ("m.room.tombstone", 100),
    ("m.space.child", 50),
];

/// Since version 12 only creators upgrade a room, unless it is decided otherwise: above everybody who has a number.
const TOMBSTONE_WITH_CREATORS: i32 = 150;

/// What power levels name beside types of events.
const ACTS: [&str; 7] = ["ban", "events_default", "invite", "kick", "redact", "state_default", "users_default"];

/// Has acts and types of events need this much power, whatever was said of them.
pub fn require_levels(content: &mut CanonicalJsonObject, levels: &BTreeMap<String, i32>) {
    for (what, needed) in levels {
        if ACTS.contains(&what.as_str()) {
            content.insert(what.clone(), level(*needed));
            continue;
        }
        let events = content.entry("events".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
        match events {
            CanonicalJsonValue::Object(events) => drop(events.insert(what.clone(), level(*needed))),
            other => *other = CanonicalJsonObject::from([(what.clone(), level(*needed))]).into(),
        }
    }
}

/// The power levels of a new room.
pub(crate) fn power_levels(creator: &UserId, new: &NewRoom, rules: &RoomVersionRules) -> Result<CanonicalJsonObject> {
    let privileged = rules.authorization.explicitly_privilege_room_creators;
    let mut users = CanonicalJsonObject::new();
    if !privileged {
        users.insert(creator.to_string(), level(100));
        if new.preset == Preset::TrustedPrivateChat {
            users.extend(new.invite.iter().map(|user| (user.to_string(), level(100))));
        }
    }
    let mut events: CanonicalJsonObject =
        EVENT_LEVELS.iter().map(|(kind, needed)| ((*kind).to_owned(), level(*needed))).collect();
    if privileged {
        events.insert("m.room.tombstone".to_owned(), level(TOMBSTONE_WITH_CREATORS));
    }
    let invite = if new.preset == Preset::PublicChat { 50 } else { 0 };
    let mut content = CanonicalJsonObject::from([
        ("users".to_owned(), users.into()),
        ("events".to_owned(), events.into()),
        ("users_default".to_owned(), level(0)),
        ("events_default".to_owned(), level(0)),
        ("state_default".to_owned(), level(50)),
        ("ban".to_owned(), level(50)),
        ("kick".to_owned(), level(50)),
        ("redact".to_owned(), level(50)),
        ("invite".to_owned(), level(invite)),
    ]);
    if let Some(replacing) = &new.power_levels {
        content.extend(replacing.clone());
    }
    if privileged && names(&content, creator) {
        return Err(RoomError::Bad("the creator of a room of this version has no power level".to_owned()));
    }
    Ok(content)
}

fn names(content: &CanonicalJsonObject, user: &UserId) -> bool {
    matches!(content.get("users"), Some(CanonicalJsonValue::Object(users)) if users.contains_key(user.as_str()))
}

fn level(level: i32) -> CanonicalJsonValue {
    CanonicalJsonValue::Integer(Int::from(level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_required_takes_the_place_of_what_was_said() {
        let said = json!({ "invite": 0, "events": { "m.room.name": 50, "m.room.topic": 0 } });
        let levels = BTreeMap::from([("invite".to_owned(), 50), ("m.room.topic".to_owned(), 100)]);
        let mut content: CanonicalJsonObject = serde_json::from_value(said).unwrap();
        require_levels(&mut content, &levels);
        let wanted = json!({ "invite": 50, "events": { "m.room.name": 50, "m.room.topic": 100 } });
        assert_eq!(serde_json::to_value(&content).unwrap(), wanted);

        let mut nonsense: CanonicalJsonObject = serde_json::from_value(json!({ "events": 7 })).unwrap();
        require_levels(&mut nonsense, &levels);
        let wanted = json!({ "invite": 50, "events": { "m.room.topic": 100 } });
        assert_eq!(serde_json::to_value(&nonsense).unwrap(), wanted);
    }
}
