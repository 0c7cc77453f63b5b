//! An event together with what this server knows about it: its place, the states around it, who redacted it.

use lyceum_events::Event;
use ruma::{OwnedEventId, room_version_rules::RoomVersionRules};
use std::sync::OnceLock;

use crate::{Place, Result, RoomError, client_form::base_of, groups::parse_event_id, tables::StoredEvent};

/// An event and what this server knows about it.
#[derive(Debug)]
pub struct Known {
    event: Event,
    place: Place,
    before: Option<u64>,
    after: Option<u64>,
    current: Option<u64>,
    replaces: Option<OwnedEventId>,
    transaction: Option<(String, String)>,
    redacted_by: Option<OwnedEventId>,
    base: OnceLock<Box<str>>,
}

/// What is known of an event from the graph around it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Around {
    /// The state group before it.
    pub(crate) before: Option<u64>,
    /// The state group after it.
    pub(crate) after: Option<u64>,
    /// The group of the room's state once it had come here, if that is another.
    pub(crate) current: Option<u64>,
    /// The event that held its state before.
    pub(crate) replaces: Option<OwnedEventId>,
}

impl Known {
    pub(crate) fn new(event: Event, place: Place, around: Around, transaction: Option<(String, String)>) -> Self {
        let Around { before, after, current, replaces } = around;
        Self { event, place, before, after, current, replaces, transaction, redacted_by: None, base: OnceLock::new() }
    }

    pub(crate) fn from_stored(stored: StoredEvent, place: Place, rules: &RoomVersionRules) -> Result<Self> {
        let event_id = parse_event_id(stored.event_id)?;
        let event =
            Event::from_stored(event_id, stored.json, rules).map_err(|error| RoomError::Damaged(error.to_string()))?;
        let event = if matches!(place, Place::Rejected(_)) { event.into_rejected() } else { event };
        Ok(Self {
            event,
            place,
            before: stored.before,
            after: stored.after,
            current: stored.current,
            replaces: stored.replaces.map(parse_event_id).transpose()?,
            transaction: stored.transaction,
            redacted_by: stored.redacted_by.map(parse_event_id).transpose()?,
            base: OnceLock::new(),
        })
    }

    pub(crate) fn to_stored(&self) -> StoredEvent {
        StoredEvent {
            event_id: self.event.id().to_string(),
            json: self.event.json().into(),
            before: self.before,
            after: self.after,
            current: self.current,
            replaces: self.replaces.as_ref().map(ToString::to_string),
            transaction: self.transaction.clone(),
            redacted_by: self.redacted_by.as_ref().map(ToString::to_string),
        }
    }

    /// The same, with what redaction leaves of the event.
    pub(crate) fn redacted(&self, event: Event, by: OwnedEventId) -> Self {
        Self { redacted_by: Some(by), ..self.with_event(event) }
    }

    /// The same place with another form of the event.
    pub(crate) fn with_event(&self, event: Event) -> Self {
        Self {
            event,
            place: self.place.clone(),
            before: self.before,
            after: self.after,
            current: self.current,
            replaces: self.replaces.clone(),
            transaction: self.transaction.clone(),
            redacted_by: self.redacted_by.clone(),
            base: OnceLock::new(),
        }
    }

    /// The same event as it was judged anew.
    pub(crate) fn judged_anew(&self, event: Event, place: Place, around: Around) -> Self {
        let known = Self::new(event, place, around, self.transaction.clone());
        Self { redacted_by: self.redacted_by.clone(), ..known }
    }

    /// The event itself.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Its id.
    pub fn id(&self) -> &OwnedEventId {
        self.event.id()
    }

    /// Where it is and what was thought of it.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its place in the timeline, if it has one.
    pub fn order(&self) -> Option<i64> {
        match self.place {
            Place::Timeline(order) => Some(order),
            _ => None,
        }
    }

    /// Whether clients may be shown it at all: it is in the timeline, or an accepted state event.
    pub fn is_visible_kind(&self) -> bool {
        matches!(self.place, Place::Timeline(_) | Place::Outlier)
    }

    /// The state group before it, if this server knows that state.
    pub fn before(&self) -> Option<u64> {
        self.before
    }

    /// The state group after it, if this server knows that state.
    pub fn after(&self) -> Option<u64> {
        self.after
    }

    /// The group of the room's state once the event had come here. Another than that after it when the graph had other
    /// ends.
    pub fn room_after(&self) -> Option<u64> {
        self.current.or(self.after)
    }

    /// The event that held its state before, if it is a state event.
    pub fn replaces(&self) -> Option<&OwnedEventId> {
        self.replaces.as_ref()
    }

    /// The device and transaction id it was sent with, if it was sent here.
    pub fn transaction(&self) -> Option<(&str, &str)> {
        self.transaction.as_ref().map(|(device, id)| (device.as_str(), id.as_str()))
    }

    /// The event that redacted it.
    pub fn redacted_by(&self) -> Option<&OwnedEventId> {
        self.redacted_by.as_ref()
    }

    /// The event as clients see it, without `unsigned`: made once. It ends in `}`.
    pub fn client_base(&self) -> &str {
        self.base.get_or_init(|| base_of(&self.event))
    }
}
