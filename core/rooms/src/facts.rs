//! What a room's state events say, parsed once: leniently, because what other servers let through need not be well-formed.

use lyceum_events::Event;
use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedUserId,
    events::{
        StateEventType,
        room::{
            history_visibility::HistoryVisibility,
            power_levels::{RoomPowerLevels, RoomPowerLevelsEventContent, RoomPowerLevelsSource},
            server_acl::RoomServerAclEventContent,
        },
    },
    room::JoinRule,
    room_version_rules::{AuthorizationRules, RoomVersionRules},
    state_res::events::RoomCreateEvent,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use crate::policy_server::{self, PolicyServer};

/// What a room's state says about it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Who made it, and whom they named beside themselves.
    pub creators: Vec<OwnedUserId>,
    /// Whether other servers may take part.
    pub federate: bool,
    /// Its type, such as `m.space`.
    pub room_type: Option<String>,
    /// Its kind and unit, as whoever made it says.
    pub campus: CampusMarks,
    /// The room it continues.
    pub predecessor: Option<OwnedRoomId>,
    /// The room that continues it.
    pub successor: Option<OwnedRoomId>,
    /// The power levels, defaults and creators applied.
    pub power_levels: RoomPowerLevels,
    /// Who may join.
    pub join_rule: JoinRule,
    /// Who may see events.
    pub history_visibility: HistoryVisibility,
    /// Whether guests may join.
    pub guest_can_join: bool,
    /// Which servers may take part.
    pub server_acl: Option<RoomServerAclEventContent>,
    /// The policy server it names.
    pub policy_server: Option<PolicyServer>,
    /// The algorithm messages are encrypted with.
    pub encryption: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// Its picture.
    pub avatar_url: Option<String>,
    /// Its main alias.
    pub canonical_alias: Option<OwnedRoomAliasId>,
    /// Its other published aliases.
    pub alt_aliases: Vec<OwnedRoomAliasId>,
}

impl Default for Facts {
    fn default() -> Self {
        Self::of(&BTreeMap::new(), &RoomVersionRules::V12)
    }
}

/// What the create event of a campus's room says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CampusMarks {
    /// The name of its kind.
    #[serde(rename = "org.lyceum.kind")]
    pub kind: Option<String>,
    /// The code of its unit.
    #[serde(rename = "org.lyceum.unit")]
    pub unit: Option<String>,
}

#[derive(Default, Deserialize)]
struct Create {
    #[serde(rename = "type")]
    room_type: Option<String>,
    predecessor: Option<Room>,
}

#[derive(Deserialize)]
struct Room {
    room_id: OwnedRoomId,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Aliases {
    alias: Option<OwnedRoomAliasId>,
    alt_aliases: Vec<OwnedRoomAliasId>,
}

#[derive(Deserialize)]
struct Visibility {
    history_visibility: HistoryVisibility,
}

impl Facts {
    pub(crate) fn of(kept: &BTreeMap<StateEventType, Event>, rules: &RoomVersionRules) -> Self {
        let text = |kind: StateEventType, field: &str| {
            let content: Map<String, Value> = read(kept, &kind)?;
            content.get(field)?.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
        };
        let create = kept.get(&StateEventType::RoomCreate).cloned().map(RoomCreateEvent::new);
        let creators = create
            .as_ref()
            .and_then(|create| create.creators(&rules.authorization).ok())
            .map(|creators| sorted(creators.into_iter().collect()))
            .unwrap_or_default();
        let create_content: Create = read(kept, &StateEventType::RoomCreate).unwrap_or_default();
        let aliases: Aliases = read(kept, &StateEventType::RoomCanonicalAlias).unwrap_or_default();
        Self {
            power_levels: power_levels(kept, &rules.authorization, &creators),
            creators,
            federate: create.as_ref().is_none_or(|create| create.federate().unwrap_or(true)),
            room_type: create_content.room_type,
            campus: read(kept, &StateEventType::RoomCreate).unwrap_or_default(),
            predecessor: create_content.predecessor.map(|room| room.room_id),
            successor: text(StateEventType::RoomTombstone, "replacement_room").and_then(|id| id.try_into().ok()),
            join_rule: read(kept, &StateEventType::RoomJoinRules).unwrap_or(JoinRule::Invite),
            history_visibility: read::<Visibility>(kept, &StateEventType::RoomHistoryVisibility)
                .map_or(HistoryVisibility::Shared, |content| content.history_visibility),
            guest_can_join: text(StateEventType::RoomGuestAccess, "guest_access").as_deref() == Some("can_join"),
            server_acl: kept.get(&StateEventType::RoomServerAcl).map(server_acl),
            policy_server: read::<policy_server::Content>(kept, &StateEventType::RoomPolicy).map(Into::into),
            encryption: text(StateEventType::RoomEncryption, "algorithm"),
            name: text(StateEventType::RoomName, "name"),
            topic: text(StateEventType::RoomTopic, "topic"),
            avatar_url: text(StateEventType::RoomAvatar, "url"),
            canonical_alias: aliases.alias,
            alt_aliases: aliases.alt_aliases,
        }
    }

    /// Whether the room is a space.
    pub fn is_space(&self) -> bool {
        self.room_type.as_deref() == Some("m.space")
    }
}

fn sorted(mut users: Vec<OwnedUserId>) -> Vec<OwnedUserId> {
    users.sort();
    users
}

fn read<T: DeserializeOwned>(kept: &BTreeMap<StateEventType, Event>, kind: &StateEventType) -> Option<T> {
    serde_json::from_str(kept.get(kind)?.content().get()).ok()
}

/// What a server ACL says. What is no text in a list is left out, and what has no form otherwise counts as not there, so that
/// one slip keeps out too many rather than nobody: without `allow` nobody is allowed (spec, `m.room.server_acl`).
fn server_acl(event: &Event) -> RoomServerAclEventContent {
    let content: Map<String, Value> = serde_json::from_str(event.content().get()).unwrap_or_default();
    let list = |name: &str| {
        let entries = content.get(name).and_then(Value::as_array).into_iter().flatten();
        entries.filter_map(|entry| entry.as_str().map(ToOwned::to_owned)).collect()
    };
    // "Defaults to `true` if missing or otherwise not a boolean."
    let allow_ip_literals = content.get("allow_ip_literals").and_then(Value::as_bool).unwrap_or(true);
    RoomServerAclEventContent::new(allow_ip_literals, list("allow"), list("deny"))
}

fn power_levels(
    kept: &BTreeMap<StateEventType, Event>,
    rules: &AuthorizationRules,
    creators: &[OwnedUserId],
) -> RoomPowerLevels {
    let content: Option<RoomPowerLevelsEventContent> = read(kept, &StateEventType::RoomPowerLevels);
    RoomPowerLevels::new(RoomPowerLevelsSource::from(content), rules, creators.to_vec())
}
