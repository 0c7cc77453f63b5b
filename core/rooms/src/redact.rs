//! Redaction: what is left of an event when somebody takes it back. The original goes into the archive, which is not
//! readable through rooms.

use lyceum_events::{Event, redacted};
use lyceum_storage::Batch;
use ruma::{EventId, OwnedEventId, RoomId, events::TimelineEventType, room_version_rules::RoomVersionRules};

use crate::{
    Known, Place, Result, RoomError, Rooms, Snapshot,
    groups::parse_event_id,
    relation::Relation,
    tables::{ANNOTATIONS, ARCHIVE, OUTLIERS, REDACTIONS_AHEAD, RELATIONS, StoredOriginal, TIMELINE},
    write::{Writing, bad},
};

/// Whether a redaction that was let into the graph takes effect on an event. In the first two versions the
/// authorization rules have answered that already.
pub(crate) fn takes_effect(snapshot: &Snapshot, redaction: &Event, target: &Event) -> bool {
    if snapshot.rules().authorization.special_case_room_redaction {
        return true;
    }
    redaction.sender().server_name() == target.sender().server_name()
        || snapshot.power_levels().user_can_redact_event_of_other(redaction.sender())
}

impl Writing {
    /// Takes an event back, if the redaction takes effect.
    pub(crate) async fn redact(&mut self, target: &EventId, redaction: &Event) -> Result<()> {
        let Some(known) = self.rooms.known(target).await? else {
            self.batch().put(&REDACTIONS_AHEAD, target.as_str(), &redaction.id().to_string());
            return Ok(());
        };
        let other_room = known.event().room() != redaction.room();
        let is_create = *known.event().kind() == TimelineEventType::RoomCreate;
        if other_room
            || is_create
            || known.redacted_by().is_some()
            || !takes_effect(self.snapshot(), redaction, known.event())
        {
            return Ok(());
        }
        let after = redact_known(&known, redaction.id(), &self.rules())?;
        let now = self.rooms.0.clock.now().get().into();
        put_redacted(self.batch(), &known, &after, now);
        self.head.snapshot = self.head.snapshot.with_redacted(after.event()).into();
        self.replaced.push(after);
        Ok(())
    }
}

/// What is left of a known event.
pub(crate) fn redact_known(known: &Known, by: &OwnedEventId, rules: &RoomVersionRules) -> Result<Known> {
    Ok(known.redacted(redacted(known.event(), rules).map_err(bad)?, by.clone()))
}

/// Writes what is left in the event's place, and the original into the archive.
pub(crate) fn put_redacted(batch: &mut Batch, known: &Known, after: &Known, at_ms: u64) {
    let (event, room) = (known.event(), known.event().room().as_str());
    match known.place() {
        Place::Timeline(order) => batch.put(&TIMELINE, (room, *order), &after.to_stored()),
        _ => batch.put(&OUTLIERS, event.id().as_str(), &after.to_stored()),
    };
    let original = StoredOriginal { room_id: room.to_owned(), json: event.json().into(), redacted_at_ms: at_ms };
    batch.put(&ARCHIVE, event.id().as_str(), &original);
    if let (Some(relation), Some(order)) = (Relation::of(event), known.order()) {
        batch.delete(&RELATIONS, (relation.event_id.as_str(), relation.rel_type.as_str(), order));
        if let Some(key) = relation.annotation_key() {
            let kind = event.kind().to_string();
            batch.delete(&ANNOTATIONS, (relation.event_id.as_str(), event.sender().as_str(), kind.as_str(), key));
        }
    }
}

impl Writing {
    /// What is left of an event whose redaction was here before it.
    pub(crate) async fn redacted_ahead(&mut self, event: &Event) -> Result<Option<(Event, OwnedEventId)>> {
        let Some(by) = self.rooms.store().get(&REDACTIONS_AHEAD, event.id().as_str()).await? else { return Ok(None) };
        self.batch().delete(&REDACTIONS_AHEAD, event.id().as_str());
        let by = parse_event_id(by)?;
        let Some(redaction) = self.rooms.known(&by).await? else { return Ok(None) };
        let same_room = redaction.event().room() == event.room();
        if !same_room || !takes_effect(self.snapshot(), redaction.event(), event) {
            return Ok(None);
        }
        Ok(Some(self.left_of(event, redaction.event())?))
    }

    /// What is left of an event that is being given its place, and what took it back. The original goes into the archive.
    pub(crate) fn left_of(&mut self, event: &Event, redaction: &Event) -> Result<(Event, OwnedEventId)> {
        let original = StoredOriginal {
            room_id: event.room().to_string(),
            json: event.json().into(),
            redacted_at_ms: self.rooms.0.clock.now().get().into(),
        };
        self.batch().put(&ARCHIVE, event.id().as_str(), &original);
        Ok((redacted(event, &self.rules()).map_err(bad)?, redaction.id().clone()))
    }
}

impl Rooms {
    /// The event that a person wants to redact: it must be in the room, and theirs or theirs to moderate. In a room that
    /// other servers are in it may be one that has not come here yet: it is judged when it does.
    pub(crate) async fn check_redaction(&self, sender: &ruma::UserId, room: &RoomId, target: &EventId) -> Result<()> {
        let snapshot = self.snapshot(room).await?;
        let own = match self.known(target).await? {
            Some(known) if known.event().room() == room => known.event().sender() == sender,
            None if snapshot.servers().any(|(server, _)| server != self.server()) => true,
            _ => return Err(RoomError::UnknownEvent(target.to_owned())),
        };
        if own || snapshot.power_levels().user_can_redact_event_of_other(sender) || !snapshot.is_joined(sender) {
            return Ok(());
        }
        Err(RoomError::forbidden("you may not redact events of others here"))
    }
}
