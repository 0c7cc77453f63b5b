//! The power levels new rooms begin with.

use js_int::Int;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId, room_version_rules::RoomVersionRules};

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
