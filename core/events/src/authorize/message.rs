//! The short way for what is sent most: an ordinary message. The rules are ruma's; what they read in the room's state is
//! read once per state event and kept with it, so that sending costs the same however many people have power levels.

use ruma::{
    OwnedUserId, UserId,
    events::{
        StateEventType, TimelineEventType,
        room::{member::MembershipState, power_levels::UserPowerLevel},
    },
    room_version_rules::RoomVersionRules,
    state_res::events::{RoomCreateEvent, RoomMemberEvent, RoomPowerLevelsEvent},
};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

use crate::Event;

/// What a state event says about messages.
pub(crate) enum Says {
    Create {
        federates: bool,
        creators: HashSet<OwnedUserId>,
    },
    Levels(Levels),
    Joined,
    /// Something else, or nothing that can be read.
    Other,
}

/// Who has which power, and which power a message needs.
pub(crate) struct Levels {
    users: BTreeMap<OwnedUserId, js_int::Int>,
    users_default: js_int::Int,
    events: BTreeMap<TimelineEventType, js_int::Int>,
    events_default: js_int::Int,
}

/// Whether it is certain that a state permits an event. If not, only [`super::authorize_by_state`] can tell.
pub(super) fn surely_permits(
    event: &Event,
    rules: &RoomVersionRules,
    state: &impl Fn(&StateEventType, &str) -> Option<Event>,
) -> bool {
    is_ordinary(event) && permits(event, rules, state).unwrap_or(false)
}

/// Whether no rule but those for all messages is about this type.
fn is_ordinary(event: &Event) -> bool {
    use TimelineEventType as Kind;
    event.state_key().is_none()
        && !matches!(
            event.kind(),
            Kind::RoomCreate
                | Kind::RoomMember
                | Kind::RoomThirdPartyInvite
                | Kind::RoomPowerLevels
                | Kind::RoomRedaction
        )
        && event.kind().to_string() != "m.room.aliases"
}

fn permits(
    event: &Event,
    rules: &RoomVersionRules,
    state: &impl Fn(&StateEventType, &str) -> Option<Event>,
) -> Option<bool> {
    let create = state(&StateEventType::RoomCreate, "")?;
    let Says::Create { federates, creators } = create.says(rules) else { return None };
    if !federates && create.sender().server_name() != event.sender().server_name() {
        return None;
    }
    let member = state(&StateEventType::RoomMember, event.sender().as_str())?;
    let Says::Joined = member.says(rules) else { return None };
    let levels = state(&StateEventType::RoomPowerLevels, "")?;
    let Says::Levels(levels) = levels.says(rules) else { return None };
    let everything = rules.authorization.explicitly_privilege_room_creators && creators.contains(event.sender());
    Some(everything || levels.of(event.sender()) >= UserPowerLevel::Int(levels.to_send(event.kind())))
}

impl Levels {
    pub(super) fn of(&self, user: &UserId) -> UserPowerLevel {
        self.users.get(user).copied().unwrap_or(self.users_default).into()
    }

    fn to_send(&self, kind: &TimelineEventType) -> js_int::Int {
        self.events.get(kind).copied().unwrap_or(self.events_default)
    }
}

pub(crate) fn read(event: &Event, rules: &RoomVersionRules) -> Says {
    let says = match event.kind() {
        TimelineEventType::RoomCreate => create(event, rules),
        TimelineEventType::RoomPowerLevels => levels(event, rules).map(Says::Levels),
        TimelineEventType::RoomMember => match RoomMemberEvent::new(event).membership() {
            Ok(MembershipState::Join) => Ok(Says::Joined),
            _ => Ok(Says::Other),
        },
        _ => Ok(Says::Other),
    };
    says.unwrap_or(Says::Other)
}

fn create(event: &Event, rules: &RoomVersionRules) -> Result<Says, String> {
    let event = RoomCreateEvent::new(event);
    Ok(Says::Create { federates: event.federate()?, creators: event.creators(&rules.authorization)? })
}

/// The two levels that ruma keeps to itself. Older versions allow them to be strings, which is left to ruma.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Defaults {
    users_default: js_int::Int,
    events_default: js_int::Int,
}

fn levels(event: &Event, rules: &RoomVersionRules) -> Result<Levels, String> {
    let Defaults { users_default, events_default } =
        serde_json::from_str(event.content_text()).map_err(|error| error.to_string())?;
    let event = RoomPowerLevelsEvent::new(event);
    Ok(Levels {
        users: event.users(&rules.authorization)?.cloned().unwrap_or_default(),
        users_default,
        events: event.events(&rules.authorization)?.unwrap_or_default(),
        events_default,
    })
}
