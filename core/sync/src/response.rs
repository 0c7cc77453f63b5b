//! The body of a `/sync` answer, assembled from events that are already JSON.
//!
//! ruma's own response type would parse nothing but would copy each event into a box of its own; here an event is a
//! shared text, written once into the body.

use lyceum_rooms::UnreadCounts;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An event as JSON text.
pub type Json = Box<RawValue>;

impl SyncResponse {
    /// Whether a waiting client should be told of it at once.
    pub fn has_news(&self) -> bool {
        !self.rooms.is_empty()
            || !self.presence.is_empty()
            || !self.account_data.is_empty()
            || !self.to_device.is_empty()
            || !self.device_lists.is_empty()
    }
}

/// A list of events that is left out when it is empty.
#[derive(Debug, Default, Serialize)]
pub struct Events {
    /// The events.
    pub events: Vec<Json>,
}

impl Events {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// The whole answer.
#[derive(Debug, Default, Serialize)]
pub struct SyncResponse {
    /// The token to continue from.
    pub next_batch: String,
    /// Rooms by membership.
    #[serde(skip_serializing_if = "Rooms::is_empty")]
    pub rooms: Rooms,
    /// Presence of people one shares rooms with.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub presence: Events,
    /// Global account data.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub account_data: Events,
    /// Messages to this device.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub to_device: Events,
    /// Whose devices changed.
    #[serde(skip_serializing_if = "DeviceLists::is_empty")]
    pub device_lists: DeviceLists,
    /// How many one-time keys the server still holds, by algorithm.
    pub device_one_time_keys_count: BTreeMap<String, u64>,
    /// Which algorithms have a fallback key that was not given out yet.
    pub device_unused_fallback_key_types: Vec<String>,
}

/// Whose devices changed, or are not shared any more.
#[derive(Debug, Default, Serialize)]
pub struct DeviceLists {
    /// Their keys are to be asked for again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// No encrypted room is shared with them any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl DeviceLists {
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// Rooms by membership.
#[derive(Debug, Default, Serialize)]
pub struct Rooms {
    /// Rooms one is in.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub join: BTreeMap<String, JoinedRoom>,
    /// Rooms one is invited to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub invite: BTreeMap<String, InvitedRoom>,
    /// Rooms one has knocked on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub knock: BTreeMap<String, KnockedRoom>,
    /// Rooms one has left or was banned from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub leave: BTreeMap<String, LeftRoom>,
}

impl Rooms {
    /// Whether no room has anything to say.
    pub fn is_empty(&self) -> bool {
        self.join.is_empty() && self.invite.is_empty() && self.knock.is_empty() && self.leave.is_empty()
    }
}

/// What is new in a room one is in.
#[derive(Debug, Default, Serialize)]
pub struct JoinedRoom {
    /// Heroes and counts, when they may have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// State up to the start or the end of the timeline.
    #[serde(flatten)]
    pub state: StateUpdate,
    /// New events.
    pub timeline: Timeline,
    /// Typing and receipts.
    pub ephemeral: Events,
    /// Account data of this room. Told empty too: clients look for what was deleted there (MSC3391).
    pub account_data: Events,
    /// Unread counts of the main timeline or the whole room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_notifications: Option<UnreadCounts>,
    /// Unread counts by thread.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unread_thread_notifications: BTreeMap<String, UnreadCounts>,
}

/// State in the form the client asked for.
#[derive(Debug)]
pub enum StateUpdate {
    /// Up to the start of the timeline.
    Before(Vec<Json>),
    /// Up to the end of the timeline; written even if empty, which tells the client that it was understood.
    After(Vec<Json>),
}

impl Default for StateUpdate {
    fn default() -> Self {
        Self::Before(Vec::new())
    }
}

impl Serialize for StateUpdate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        #[derive(Serialize)]
        struct Batch<'a> {
            events: &'a [Json],
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Before(events) => map.serialize_entry("state", &Batch { events })?,
            Self::After(events) => {
                map.serialize_entry("state_after", &Batch { events })?;
                map.serialize_entry("org.matrix.msc4222.state_after", &Batch { events })?;
            }
        }
        map.end()
    }
}

/// Who is in a room, for naming it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// People to name the room after.
    #[serde(rename = "m.heroes", skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<String>>,
    /// How many are in.
    #[serde(rename = "m.joined_member_count")]
    pub joined: u64,
    /// How many are invited.
    #[serde(rename = "m.invited_member_count")]
    pub invited: u64,
}

/// New events of a room, oldest first.
#[derive(Debug, Default, Serialize)]
pub struct Timeline {
    /// The events.
    pub events: Vec<Json>,
    /// Whether events between the last answer and this one were left out.
    pub limited: bool,
    /// From where to page back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
}

/// A room one is invited to.
#[derive(Debug, Default, Serialize)]
pub struct InvitedRoom {
    /// What the inviter tells about the room.
    pub invite_state: Events,
}

/// A room one has knocked on.
#[derive(Debug, Default, Serialize)]
pub struct KnockedRoom {
    /// What is known about the room.
    pub knock_state: Events,
}

/// A room one is no longer in.
#[derive(Debug, Default, Serialize)]
pub struct LeftRoom {
    /// State up to the start or the end of the timeline.
    #[serde(flatten)]
    pub state: StateUpdate,
    /// Events up to one's leaving.
    pub timeline: Timeline,
    /// Account data of this room.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub account_data: Events,
}
