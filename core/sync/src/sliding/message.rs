//! Request and answer of simplified sliding sync, as JSON has them (MSC4186).

use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::{
    response::{DeviceLists, Json},
    sliding::threads::ThreadSubscriptionsAnswer,
};

/// What a client asks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlidingRequest {
    /// Which of the device's connections this is.
    pub conn_id: Option<String>,
    /// Echoed in the answer.
    pub txn_id: Option<String>,
    /// Lists of rooms, by names of the client's own.
    pub lists: BTreeMap<String, List>,
    /// Rooms to be told of wherever they stand.
    pub room_subscriptions: BTreeMap<OwnedRoomId, Subscription>,
    /// What else is wanted.
    pub extensions: Extensions,
}

/// A list of rooms, newest first, of which stretches are wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct List {
    /// First and last place of each stretch.
    pub ranges: Vec<(u64, u64)>,
    /// What of each room.
    #[serde(flatten)]
    pub wishes: Subscription,
    /// Which rooms belong to the list.
    pub filters: Option<Filters>,
}

/// What of a room is wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Subscription {
    /// Types and state keys; `*` any, `$ME` oneself, `$LAZY` those who wrote.
    pub required_state: Vec<(String, String)>,
    /// Events at most.
    pub timeline_limit: u64,
}

/// Which rooms belong to a list. All that are given must fit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Direct chats, or all others.
    pub is_dm: Option<bool>,
    /// Encrypted rooms, or all others.
    pub is_encrypted: Option<bool>,
    /// Invites, or all others.
    pub is_invite: Option<bool>,
    /// Rooms of these types; `null` is a room without a type.
    pub room_types: Option<Vec<Option<String>>>,
    /// No rooms of these types.
    pub not_room_types: Vec<Option<String>>,
    /// Rooms with one of these tags.
    pub tags: Option<Vec<String>>,
    /// No rooms with one of these tags.
    pub not_tags: Vec<String>,
    /// Rooms whose name has this in it.
    pub room_name_like: Option<String>,
}

/// What else is wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Extensions {
    /// Messages to the device.
    pub to_device: ToDevice,
    /// Keys.
    pub e2ee: Switch,
    /// Account data.
    pub account_data: Scoped,
    /// Receipts.
    pub receipts: Scoped,
    /// Typing.
    pub typing: Scoped,
    /// Threads that are followed (MSC4308).
    #[serde(rename = "io.element.msc4308.thread_subscriptions", alias = "thread_subscriptions")]
    pub thread_subscriptions: ThreadSubscriptions,
}

/// Threads that are followed.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct ThreadSubscriptions {
    /// On.
    pub enabled: bool,
    /// Changes at most.
    pub limit: Option<u64>,
}

/// On or off.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct Switch {
    /// On.
    pub enabled: bool,
}

/// Messages to the device.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ToDevice {
    /// On.
    pub enabled: bool,
    /// At most so many.
    pub limit: Option<u64>,
    /// Those up to here have arrived.
    pub since: Option<String>,
}

/// On for some rooms.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Scoped {
    /// On.
    pub enabled: bool,
    /// For the rooms of these lists; `["*"]` or nothing: of all.
    pub lists: Option<Vec<String>>,
    /// For these subscribed rooms; `["*"]` or nothing: for all.
    pub rooms: Option<Vec<String>>,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
pub struct SlidingResponse {
    /// To be given with the next request.
    pub pos: String,
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// The lists asked for.
    pub lists: BTreeMap<String, ListAnswer>,
    /// Rooms with something to tell.
    pub rooms: BTreeMap<OwnedRoomId, RoomAnswer>,
    /// What else was wanted.
    pub extensions: ExtensionsAnswer,
    /// Whether a list is longer or shorter than the client knows.
    #[serde(skip)]
    pub(crate) lists_changed: bool,
}

impl SlidingResponse {
    /// Whether a waiting client should be told of it at once.
    pub(crate) fn has_news(&self) -> bool {
        self.lists_changed || !self.rooms.is_empty() || self.extensions.has_news()
    }
}

/// A list.
#[derive(Debug, Default, Serialize)]
pub struct ListAnswer {
    /// How many rooms it has.
    pub count: u64,
    /// The stretches asked for, as clients of the older sliding sync read them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<Stretch>,
}

/// A stretch of a list.
#[derive(Debug, Serialize)]
pub struct Stretch {
    /// `SYNC`: this is how it is.
    pub op: &'static str,
    /// First and last place.
    pub range: (u64, u64),
    /// The rooms there.
    pub room_ids: Vec<OwnedRoomId>,
}

/// A room.
#[derive(Debug, Default, Serialize)]
pub struct RoomAnswer {
    /// Whether this is all of it, not what changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub initial: bool,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its picture; `null` if it lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Option<String>>,
    /// Whom it is named after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<Hero>>,
    /// A direct chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_dm: Option<bool>,
    /// What one who is asked in is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_state: Option<Vec<Json>>,
    /// How one stands to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'static str>,
    /// State that was wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_state: Vec<Json>,
    /// The last events, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Json>,
    /// Whether the timeline holds more than what is new, because the client asked for more than before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expanded_timeline: bool,
    /// The same, under the name that clients know.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unstable_expanded_timeline: bool,
    /// From where to page back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// Whether events were left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// How many of the events are new rather than history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_live: Option<u64>,
    /// How many are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_count: Option<u64>,
    /// How many are asked in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_count: Option<u64>,
    /// Unread events that notify.
    pub notification_count: u64,
    /// Unread events that notify loudly.
    pub highlight_count: u64,
    /// What the room is sorted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bump_stamp: Option<u64>,
}

/// One whom a room is named after.
#[derive(Debug, Serialize)]
pub struct Hero {
    /// Who.
    pub user_id: String,
    /// Their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// Their picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// What else was wanted.
#[derive(Debug, Default, Serialize)]
pub struct ExtensionsAnswer {
    /// Messages to the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_device: Option<ToDeviceAnswer>,
    /// Keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2ee: Option<E2eeAnswer>,
    /// Account data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_data: Option<AccountDataAnswer>,
    /// Receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<PerRoom>,
    /// Typing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typing: Option<PerRoom>,
    /// Threads that are followed.
    #[serde(rename = "io.element.msc4308.thread_subscriptions", skip_serializing_if = "Option::is_none")]
    pub thread_subscriptions: Option<ThreadSubscriptionsAnswer>,
}

impl ExtensionsAnswer {
    fn has_news(&self) -> bool {
        self.to_device.as_ref().is_some_and(|answer| !answer.events.is_empty())
            || self.e2ee.as_ref().is_some_and(|answer| !answer.device_lists.is_empty())
            || self.account_data.as_ref().is_some_and(|answer| !answer.global.is_empty() || !answer.rooms.is_empty())
            || self.receipts.as_ref().is_some_and(|answer| !answer.rooms.is_empty())
            || self.typing.as_ref().is_some_and(|answer| !answer.rooms.is_empty())
            || self.thread_subscriptions.is_some()
    }
}

/// Messages to the device.
#[derive(Debug, Default, Serialize)]
pub struct ToDeviceAnswer {
    /// To be given back when they have arrived.
    pub next_batch: String,
    /// The messages.
    pub events: Vec<Json>,
}

/// Keys.
#[derive(Debug, Default, Serialize)]
pub struct E2eeAnswer {
    /// Whose devices changed.
    pub device_lists: DeviceLists,
    /// How many one-time keys the server still holds.
    pub device_one_time_keys_count: BTreeMap<String, u64>,
    /// Which algorithms have a fallback key that was not given out yet.
    pub device_unused_fallback_key_types: Vec<String>,
}

/// Account data.
#[derive(Debug, Default, Serialize)]
pub struct AccountDataAnswer {
    /// Of the whole account.
    pub global: Vec<Json>,
    /// Of rooms.
    pub rooms: BTreeMap<OwnedRoomId, Vec<Json>>,
}

/// One event for each room.
#[derive(Debug, Default, Serialize)]
pub struct PerRoom {
    /// By room.
    pub rooms: BTreeMap<OwnedRoomId, Value>,
}
