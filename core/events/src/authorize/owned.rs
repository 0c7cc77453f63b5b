//! State that belongs to somebody by its state key, in rooms whose version has that (MSC3757): whoever owns it may set it,
//! and whoever has more power than they do. The other rules are ruma's, which knows of a stricter one in this place.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/3757>

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, RoomId, UserId,
    events::{StateEventType, TimelineEventType, room::power_levels::UserPowerLevel},
    room_version_rules::RoomVersionRules,
    state_res::check_state_dependent_auth_rules,
};
use serde_json::value::RawValue;

use super::{Denied, message::Says};
use crate::{Event, ID_BYTES_MAX, versions::has_owned_state};

/// The bytes of a state key in a room with owned state: an owner, and what may stand behind one.
const STATE_KEY_BYTES_MAX: usize = 2 * ID_BYTES_MAX + 1;
/// The bytes behind an owner, with the underscore.
const AFTER_OWNER_BYTES_MAX: usize = ID_BYTES_MAX + 1;
/// The power of who made a room in which nobody was given any.
const CREATOR_POWER: i32 = 100;

/// The bytes that a state key may have.
pub(crate) fn state_key_bytes_max(rules: &RoomVersionRules) -> usize {
    if has_owned_state(rules) { STATE_KEY_BYTES_MAX } else { ID_BYTES_MAX }
}

/// Whom the state with this key belongs to, in a room that has owned state.
pub(crate) fn owner_of(
    kind: &TimelineEventType,
    state_key: Option<&str>,
    rules: &RoomVersionRules,
) -> Result<Option<OwnedUserId>, Denied> {
    use TimelineEventType as Kind;
    let Some(state_key) = state_key.filter(|_| has_owned_state(rules)) else { return Ok(None) };
    // Of these others rules say everything.
    if matches!(kind, Kind::RoomCreate | Kind::RoomMember | Kind::RoomThirdPartyInvite) {
        return Ok(None);
    }
    if !state_key.starts_with('@') {
        return if state_key.len() > ID_BYTES_MAX { Err(too_long()) } else { Ok(None) };
    }
    let colon = state_key.find(':').unwrap_or(state_key.len());
    let end = state_key[colon..].find('_').map_or(state_key.len(), |underscore| colon + underscore);
    let (owner, after) = state_key.split_at(end);
    let owner = UserId::parse(owner).map_err(|_| {
        Denied("the state key begins with @ and is no user id, nor one that an underscore follows".to_owned())
    })?;
    if after.len() > AFTER_OWNER_BYTES_MAX { Err(too_long()) } else { Ok(Some(owner)) }
}

fn too_long() -> Denied {
    Denied(format!("the state key has more than {ID_BYTES_MAX} bytes beside its owner"))
}

/// Whether a state of the room permits an event with this owner.
pub(super) fn authorize(
    event: &Event,
    owner: &UserId,
    rules: &RoomVersionRules,
    state: &impl Fn(&StateEventType, &str) -> Option<Event>,
) -> Result<(), Denied> {
    check_state_dependent_auth_rules(&rules.authorization, Nobodys(event), state).map_err(Denied)?;
    if owner == event.sender() || power_of(event.sender(), rules, state)? > power_of(owner, rules, state)? {
        Ok(())
    } else {
        Err(Denied("the state belongs to somebody who has as much power".to_owned()))
    }
}

/// The power of a person in a room before version 12.
pub(crate) fn power_of(
    user: &UserId,
    rules: &RoomVersionRules,
    state: &impl Fn(&StateEventType, &str) -> Option<Event>,
) -> Result<UserPowerLevel, Denied> {
    if let Some(levels) = state(&StateEventType::RoomPowerLevels, "") {
        return match levels.says(rules) {
            Says::Levels(levels) => Ok(levels.of(user)),
            _ => Err(Denied("the power levels cannot be read".to_owned())),
        };
    }
    let create = state(&StateEventType::RoomCreate, "");
    match create.as_ref().map(|create| create.says(rules)) {
        Some(Says::Create { creators, .. }) if creators.contains(user) => Ok(js_int::Int::from(CREATOR_POWER).into()),
        _ => Ok(js_int::Int::default().into()),
    }
}

/// An event as ruma is shown it: its state key belongs to nobody. Only whether there is one matters to the rules that are
/// asked about it.
struct Nobodys<'a>(&'a Event);

impl ruma::state_res::Event for Nobodys<'_> {
    type Id = OwnedEventId;

    fn event_id(&self) -> &Self::Id {
        ruma::state_res::Event::event_id(self.0)
    }

    fn room_id(&self) -> Option<&RoomId> {
        ruma::state_res::Event::room_id(self.0)
    }

    fn sender(&self) -> &UserId {
        self.0.sender()
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.0.ts()
    }

    fn event_type(&self) -> &TimelineEventType {
        self.0.kind()
    }

    fn content(&self) -> &RawValue {
        self.0.content()
    }

    fn state_key(&self) -> Option<&str> {
        Some("")
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.0.prev().iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.0.auth().iter())
    }

    fn redacts(&self) -> Option<&Self::Id> {
        ruma::state_res::Event::redacts(self.0)
    }

    fn rejected(&self) -> bool {
        self.0.is_rejected()
    }
}

#[cfg(test)]
mod tests;
