//! An event of a room's graph (a PDU), parsed once and shared.

use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::TimelineEventType,
    room_version_rules::{EventsReferenceFormatVersion, RoomVersionRules},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use crate::{
    EVENT_BYTES_MAX, EventError,
    authorize::message::{Says, read},
    canonical::canonical,
    event_id, room_id_of_create,
};

/// An event of a room's graph. Cheap to clone.
#[derive(Clone)]
pub struct Event {
    parsed: Arc<Parsed>,
    rejected: bool,
}

/// What an event says, and the JSON that says so.
pub(crate) struct Parsed {
    pub(crate) event_id: OwnedEventId,
    pub(crate) room_id: OwnedRoomId,
    /// The first event of a room does not carry the room's id where that is made from it.
    pub(crate) carries_room_id: bool,
    pub(crate) sender: OwnedUserId,
    pub(crate) origin_server_ts: MilliSecondsSinceUnixEpoch,
    pub(crate) kind: TimelineEventType,
    pub(crate) state_key: Option<Box<str>>,
    pub(crate) prev_events: Box<[OwnedEventId]>,
    pub(crate) auth_events: Box<[OwnedEventId]>,
    pub(crate) redacts: Option<OwnedEventId>,
    pub(crate) depth: u64,
    pub(crate) json: Box<str>,
    /// Where in `json` the content stands.
    pub(crate) content_at: Range<usize>,
    /// The content once more, made when somebody wants it as raw JSON; most events of a timeline never are.
    pub(crate) content: OnceLock<Box<RawValue>>,
    /// What it says about messages, as state; read when it is first asked.
    pub(crate) says: OnceLock<Box<Says>>,
}

/// The fields of an event's JSON that are read, in one pass.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    room_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    state_key: Option<Box<str>>,
    #[serde(borrow)]
    content: &'a RawValue,
    prev_events: Vec<Reference>,
    auth_events: Vec<Reference>,
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
    depth: u64,
}

#[derive(Deserialize)]
struct RedactsInContent {
    redacts: Option<OwnedEventId>,
}

impl Event {
    /// An event from its canonical JSON, whose form and size were checked (see [`crate::check_format`]). Its id is what
    /// the room version says: a field, or the reference hash.
    pub fn from_object(object: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<Self, EventError> {
        Self::from_stored(event_id(object, rules)?, canonical(object).into_boxed_str(), rules)
    }

    /// An event from canonical JSON that was stored with its id. Neither is computed again.
    pub fn from_stored(event_id: OwnedEventId, json: Box<str>, rules: &RoomVersionRules) -> Result<Self, EventError> {
        if json.len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLarge);
        }
        let fields: Fields<'_> = serde_json::from_str(&json).map_err(EventError::malformed)?;
        let kind = TimelineEventType::from(&*fields.kind);
        let redacts = redacts(&kind, &fields, rules);
        let content_at = place_of(fields.content.get(), &json);
        let room_id =
            fields.room_id.as_deref().map(OwnedRoomId::try_from).transpose().map_err(EventError::malformed)?;
        let without = kind == TimelineEventType::RoomCreate && !rules.event_format.require_room_create_room_id;
        let parsed = Parsed {
            carries_room_id: room_id.is_some(),
            room_id: match room_id {
                Some(room_id) => room_id,
                None if without => room_id_of_create(&event_id)?,
                None => return Err(EventError::malformed("there is no `room_id`")),
            },
            prev_events: ids(fields.prev_events, rules)?,
            auth_events: ids(fields.auth_events, rules)?,
            redacts,
            sender: (&*fields.sender).try_into().map_err(EventError::malformed)?,
            origin_server_ts: fields.origin_server_ts,
            kind,
            state_key: fields.state_key,
            depth: fields.depth,
            content_at,
            content: OnceLock::new(),
            says: OnceLock::new(),
            event_id,
            json,
        };
        Ok(parsed.into())
    }

    /// The same event, marked as refused: events that rely on it are refused as well.
    #[must_use]
    pub fn into_rejected(self) -> Self {
        Self { rejected: true, ..self }
    }

    /// Its id.
    pub fn id(&self) -> &OwnedEventId {
        &self.parsed.event_id
    }

    /// Its room.
    pub fn room(&self) -> &RoomId {
        &self.parsed.room_id
    }

    /// Who sent it.
    pub fn sender(&self) -> &UserId {
        &self.parsed.sender
    }

    /// When, by the sender's server.
    pub fn ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.parsed.origin_server_ts
    }

    /// Its type.
    pub fn kind(&self) -> &TimelineEventType {
        &self.parsed.kind
    }

    /// Its state key, if it is a state event.
    pub fn state_key(&self) -> Option<&str> {
        self.parsed.state_key.as_deref()
    }

    /// Its content as it stands in the JSON.
    pub fn content(&self) -> &RawValue {
        self.parsed.content.get_or_init(|| {
            // The text is a part of JSON that was parsed, so it is JSON.
            RawValue::from_string(self.content_text().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
        })
    }

    /// The text of its content in the JSON: [`Self::content`] without a copy.
    pub fn content_text(&self) -> &str {
        &self.parsed.json[self.parsed.content_at.clone()]
    }

    pub(crate) fn says(&self, rules: &RoomVersionRules) -> &Says {
        self.parsed.says.get_or_init(|| Box::new(read(self, rules)))
    }

    /// Its content, read as `T`; `None` if it has not that form.
    pub fn content_as<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.content_text()).ok()
    }

    /// The events before it.
    pub fn prev(&self) -> &[OwnedEventId] {
        &self.parsed.prev_events
    }

    /// The events that permit it.
    pub fn auth(&self) -> &[OwnedEventId] {
        &self.parsed.auth_events
    }

    /// The event it redacts, wherever the room version puts that.
    pub fn redacts(&self) -> Option<&EventId> {
        self.parsed.redacts.as_deref()
    }

    /// Its depth in the graph.
    pub fn depth(&self) -> u64 {
        self.parsed.depth
    }

    /// Whether it was refused.
    pub fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// The canonical JSON, as signed.
    pub fn json(&self) -> &str {
        &self.parsed.json
    }

    /// The canonical JSON as an object.
    pub fn object(&self) -> CanonicalJsonObject {
        // It was parsed from canonical JSON, so it parses again.
        serde_json::from_str(&self.parsed.json).unwrap_or_default()
    }

    /// Whether it is a state event of this type with this state key.
    pub fn is_state(&self, kind: &TimelineEventType, state_key: &str) -> bool {
        self.state_key() == Some(state_key) && self.kind() == kind
    }
}

impl From<Parsed> for Event {
    fn from(parsed: Parsed) -> Self {
        Self { parsed: Arc::new(parsed), rejected: false }
    }
}

/// Where a slice of a text stands in it.
fn place_of(part: &str, whole: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

fn redacts(kind: &TimelineEventType, fields: &Fields<'_>, rules: &RoomVersionRules) -> Option<OwnedEventId> {
    if *kind != TimelineEventType::RoomRedaction {
        return None;
    }
    if rules.redaction.content_field_redacts {
        return serde_json::from_str::<RedactsInContent>(fields.content.get()).ok()?.redacts;
    }
    serde_json::from_str(fields.redacts?.get()).ok()
}

/// A reference to an event: its id, in the first two versions in a pair with hashes.
enum Reference {
    Id(OwnedEventId),
    Pair(OwnedEventId),
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to an event")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<Reference, E> {
        id.try_into().map(Reference::Id).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Reference, A::Error> {
        let id = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        while pair.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Reference::Pair(id))
    }
}

fn ids(list: Vec<Reference>, rules: &RoomVersionRules) -> Result<Box<[OwnedEventId]>, EventError> {
    let one = |reference| match (reference, rules.events_reference_format) {
        (Reference::Id(id), EventsReferenceFormatVersion::V2)
        | (Reference::Pair(id), EventsReferenceFormatVersion::V1) => Ok(id),
        _ => Err(EventError::malformed("a reference to an event has the form of another room version")),
    };
    list.into_iter().map(one).collect()
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.parsed.event_id)
            .field("kind", &self.parsed.kind)
            .field("state_key", &self.parsed.state_key)
            .field("sender", &self.parsed.sender)
            .finish_non_exhaustive()
    }
}

impl ruma::state_res::Event for Event {
    type Id = OwnedEventId;

    fn event_id(&self) -> &Self::Id {
        self.id()
    }

    /// The room id the JSON carries: that it does not is a rule for the first event of a room since version 12.
    fn room_id(&self) -> Option<&RoomId> {
        self.parsed.carries_room_id.then(|| self.room())
    }

    fn sender(&self) -> &UserId {
        self.sender()
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.ts()
    }

    fn event_type(&self) -> &TimelineEventType {
        self.kind()
    }

    fn content(&self) -> &RawValue {
        self.content()
    }

    fn state_key(&self) -> Option<&str> {
        self.state_key()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.prev().iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.auth().iter())
    }

    fn redacts(&self) -> Option<&Self::Id> {
        self.parsed.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        self.rejected
    }
}
