//! Bringing in events of another server's room: many at once, each checked against those that permit it.

use lyceum_events::{Event, authorize_by_auth_events, authorize_by_state, create_of, rules_of};
use lyceum_storage::{Batch, Pending};
use ruma::{EventId, OwnedEventId, RoomId, RoomVersionId, room_version_rules::RoomVersionRules};
use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    Known, Place, Result, RoomError, Rooms,
    accept::among,
    known::Around,
    tables::{EVENTS, OUTLIERS, StoredPlace, VERSIONS},
};

/// Events written in one batch.
pub(crate) const BATCH_EVENTS: usize = 500;
/// Such batches that are under way at once.
const BATCHES_AT_ONCE: usize = 4;

/// Events that were brought in.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// Those that are here now and were permitted.
    pub accepted: HashMap<OwnedEventId, Event>,
    /// Those left out because events that permit them are not here.
    pub left_out: Vec<OwnedEventId>,
    /// The events that were missed.
    pub missing: HashSet<OwnedEventId>,
}

impl Rooms {
    /// Brings in events of a room without a place in its timeline. Those here already stay as they are.
    pub async fn import(&self, room_id: &RoomId, version: &RoomVersionId, events: Vec<Event>) -> Result<Imported> {
        let rules = rules_of(version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        let room = self.room(room_id);
        let _alone = room.writer.clone().lock_owned().await;
        if !room.queued.lock().is_empty() {
            self.store().commit(Batch::new()).await?;
        }
        if self.store().get(&VERSIONS, room_id.as_str()).await?.is_none_or(|known| known != version.as_str()) {
            let mut first = Batch::new();
            first.put(&VERSIONS, room_id.as_str(), &version.to_string());
            self.store().commit(first).await?;
        }

        let mut imported = Imported::default();
        let create = create_of(room_id, &rules);
        let mut known = self.already_here((room_id, &events), create.clone(), &mut imported).await?;
        let mut rows = Vec::new();
        for event in in_order(events) {
            if known.contains_key(event.id()) || event.room() != room_id {
                continue;
            }
            // Since version 12 all events rely on the first without saying so.
            let relies_on = event.auth().iter().chain(create.iter().filter(|id| *id != event.id()));
            let missing: Vec<_> = relies_on.filter(|id| !known.contains_key(*id)).cloned().collect();
            if !missing.is_empty() {
                imported.left_out.push(event.id().clone());
                imported.missing.extend(missing);
                continue;
            }
            let place = match permitted(&event, &rules, &known) {
                Ok(()) => Place::Outlier,
                Err(why) => Place::Rejected(why),
            };
            let event = if place == Place::Outlier { event } else { event.into_rejected() };
            known.insert(event.id().clone(), event.clone());
            if place == Place::Outlier {
                imported.accepted.insert(event.id().clone(), event.clone());
            }
            rows.push((event, place));
        }
        self.write_outliers(&rows).await?;
        Ok(imported)
    }

    /// The events among these, and those they rely on, that are here. Since version 12 all rely on the create event. What is of
    /// another room was permitted there, which says nothing of this one.
    async fn already_here(
        &self,
        (room_id, events): (&RoomId, &[Event]),
        create: Option<OwnedEventId>,
        imported: &mut Imported,
    ) -> Result<HashMap<OwnedEventId, Event>> {
        let mut ids: HashSet<_> = events.iter().map(|event| event.id().clone()).collect();
        ids.extend(events.iter().flat_map(|event| event.auth().iter().cloned()).chain(create));
        let ids: Vec<_> = ids.into_iter().collect();
        let wanted: HashSet<_> = events.iter().map(|event| event.id()).collect();
        let mut here = HashMap::new();
        for known in self.known_many(&ids).await?.into_iter().flatten() {
            let is_of_room = known.event().room() == room_id && !known.event().is_rejected();
            if wanted.contains(known.id()) && is_of_room {
                imported.accepted.insert(known.id().clone(), known.event().clone());
            }
            here.insert(known.id().clone(), known.event().clone());
        }
        Ok(here)
    }

    async fn write_outliers(&self, rows: &[(Event, Place)]) -> Result<()> {
        let mut under_way = UnderWay::default();
        for rows in rows.chunks(BATCH_EVENTS) {
            let mut batch = Batch::new();
            for (event, place) in rows {
                let stored = Known::new(event.clone(), place.clone(), Around::default(), None).to_stored();
                let at = StoredPlace { room_id: event.room().to_string(), place: place.clone() };
                batch.expect(&EVENTS, event.id().as_str(), None).put(&EVENTS, event.id().as_str(), &at);
                batch.put(&OUTLIERS, event.id().as_str(), &stored);
            }
            under_way.add(self.store().enqueue(batch)).await?;
        }
        under_way.end().await
    }
}

/// Batches of one long work: the next is made and written while those before it become durable.
#[derive(Default)]
pub(crate) struct UnderWay(VecDeque<Pending>);

impl UnderWay {
    pub(crate) async fn add(&mut self, batch: Pending) -> Result<()> {
        self.0.push_back(batch);
        if self.0.len() > BATCHES_AT_ONCE
            && let Some(first) = self.0.pop_front()
        {
            first.await?;
        }
        Ok(())
    }

    /// Waits until all are durable.
    pub(crate) async fn end(self) -> Result<()> {
        for batch in self.0 {
            batch.await?;
        }
        Ok(())
    }
}

fn permitted(event: &Event, rules: &RoomVersionRules, known: &HashMap<OwnedEventId, Event>) -> Result<(), String> {
    let auth: Vec<_> = event.auth().iter().filter_map(|id| known.get(id).cloned()).collect();
    let create = create_of(event.room(), rules).and_then(|id| known.get(&id).cloned());
    let by_id = |id: &EventId| auth.iter().chain(&create).find(|one| one.id() == id).cloned();
    authorize_by_auth_events(event, rules, by_id).map_err(|denied| denied.0)?;
    authorize_by_state(event, rules, among(&auth, create.as_ref())).map_err(|denied| denied.0)
}

/// Events in such an order that those which permit an event come before it.
fn in_order(events: Vec<Event>) -> Vec<Event> {
    let by_id: HashMap<_, _> = events.iter().map(|event| (event.id().clone(), event.clone())).collect();
    let (mut ordered, mut seen) = (Vec::with_capacity(by_id.len()), HashSet::new());
    for event in events {
        // Depth first with a stack of our own: chains may be long.
        let mut stack = vec![(event, false)];
        while let Some((event, below_done)) = stack.pop() {
            if below_done {
                ordered.push(event);
                continue;
            }
            if !seen.insert(event.id().clone()) {
                continue;
            }
            let below: Vec<_> = event.auth().iter().filter_map(|id| by_id.get(id)).cloned().collect();
            stack.push((event, true));
            stack.extend(below.into_iter().map(|event| (event, false)));
        }
    }
    // Since version 12 the create event is in nobody's auth events and yet permits all.
    ordered.sort_by_key(|event| *event.kind() != ruma::events::TimelineEventType::RoomCreate);
    ordered
}
