//! Bringing a room in from another server: many events at once, each checked against those that permit it, and the state
//! that another server says there was.

use lyceum_events::{Event, authorize_by_auth_events, authorize_by_state, create_of};
use lyceum_storage::Batch;
use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, events::StateEventType,
    room_version_rules::RoomVersionRules,
};
use std::collections::{HashMap, HashSet};

use crate::{
    Acceptance, Change, Known, Place, Result, RoomError, RoomState, Rooms,
    accept::among,
    forks::StateAt,
    groups::Chain,
    known::Around,
    members::MembershipRow,
    tables::{EARLIER, EVENTS, MEMBERSHIPS, OUTLIERS, StoredPlace, VERSIONS},
    write::{Writing, change_of, target_of},
};

/// Events written in one batch.
const BATCH_EVENTS: usize = 500;

/// What another server answered to a join, its signatures checked.
#[derive(Debug, Clone)]
pub struct RemoteJoin {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its version.
    pub version: RoomVersionId,
    /// The join, as the other server accepted it.
    pub event: Event,
    /// The state before it.
    pub state: Vec<Event>,
    /// What permits that, and so on to the start.
    pub auth_chain: Vec<Event>,
}

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
        let rules = version.rules().ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        let room = self.room(room_id);
        let _alone = room.writer.clone().lock_owned().await;
        if !room.queued.lock().is_empty() {
            self.store().commit(Batch::new()).await?;
        }
        let mut first = Batch::new();
        first.put(&VERSIONS, room_id.as_str(), &version.to_string());
        self.store().commit(first).await?;

        let mut imported = Imported::default();
        let mut known = self.already_here(&events, create_of(room_id, &rules), &mut imported).await?;
        let mut rows = Vec::new();
        for event in in_order(events) {
            if known.contains_key(event.id()) || event.room() != room_id {
                continue;
            }
            let missing: Vec<_> = event.auth().iter().filter(|id| !known.contains_key(*id)).cloned().collect();
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

    /// The events among these, and those they rely on, that are here. Since version 12 all rely on the create event.
    async fn already_here(
        &self,
        events: &[Event],
        create: Option<OwnedEventId>,
        imported: &mut Imported,
    ) -> Result<HashMap<OwnedEventId, Event>> {
        let mut ids: HashSet<_> = events.iter().map(|event| event.id().clone()).collect();
        ids.extend(events.iter().flat_map(|event| event.auth().iter().cloned()).chain(create));
        let ids: Vec<_> = ids.into_iter().collect();
        let wanted: HashSet<_> = events.iter().map(|event| event.id()).collect();
        let mut here = HashMap::new();
        for known in self.known_many(&ids).await?.into_iter().flatten() {
            if wanted.contains(known.id()) && !known.event().is_rejected() {
                imported.accepted.insert(known.id().clone(), known.event().clone());
            }
            here.insert(known.id().clone(), known.event().clone());
        }
        Ok(here)
    }

    async fn write_outliers(&self, rows: &[(Event, Place)]) -> Result<()> {
        for rows in rows.chunks(BATCH_EVENTS) {
            let mut batch = Batch::new();
            for (event, place) in rows {
                let stored = Known::new(event.clone(), place.clone(), Around::default(), None).to_stored();
                let at = StoredPlace { room_id: event.room().to_string(), place: place.clone() };
                batch.expect(&EVENTS, event.id().as_str(), None).put(&EVENTS, event.id().as_str(), &at);
                batch.put(&OUTLIERS, event.id().as_str(), &stored);
            }
            self.store().commit(batch).await?;
        }
        Ok(())
    }

    /// Takes up a room that a person of this server has joined by another server's help.
    pub async fn accept_remote_join(&self, join: RemoteJoin) -> Result<Acceptance> {
        let RemoteJoin { room_id, version, event, state, auth_chain } = join;
        let state_ids: Vec<_> = state.iter().map(|event| event.id().clone()).collect();
        let imported = self.import(&room_id, &version, auth_chain.into_iter().chain(state).collect()).await?;
        let mut then = RoomState::default();
        let holding: HashMap<_, _> =
            state_ids.iter().filter_map(|id| Some((id.clone(), imported.accepted.get(id)?.clone()))).collect();
        for change in state_ids.iter().filter_map(|id| change_of(holding.get(id)?)) {
            then.apply(&change);
        }
        check_create(&version, &then, &holding)?;
        if let Ok(snapshot) = self.snapshot(&room_id).await
            && snapshot.is_local()
        {
            // Somebody else of this server came in meanwhile: the room is taken up already.
            return self.accept_at(&event, &state_ids).await;
        }
        self.write_remote_members(&holding).await?;
        for _ in 0..crate::write::WRITE_TRIES {
            match self.begin_joined(&room_id, &version, &event, (&then, &holding)).await {
                Err(RoomError::Busy) => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    async fn begin_joined(
        &self,
        room_id: &RoomId,
        version: &RoomVersionId,
        event: &Event,
        (state, holding): (&RoomState, &HashMap<OwnedEventId, Event>),
    ) -> Result<Acceptance> {
        let mut writing = match self.write(room_id).await {
            Err(RoomError::UnknownRoom(_)) => self.write_new(room_id, version).await?,
            found => found?,
        };
        let rules = writing.rules();
        let events: Vec<_> = holding.values().cloned().collect();
        authorize_by_state(event, &rules, among(&events, None)).map_err(|denied| RoomError::Forbidden(denied.0))?;
        writing.begin_at(event, state, holding).await?;
        writing.queue().durable().await?;
        Ok(Acceptance::Accepted)
    }

    /// How people of other servers stand to the room: many rows, which nothing waits for.
    async fn write_remote_members(&self, holding: &HashMap<OwnedEventId, Event>) -> Result<()> {
        let members = holding.values().filter_map(|event| Some((target_of(event)?, event)));
        let remote: Vec<_> = members.filter(|(user, _)| !self.is_local(user)).collect();
        for members in remote.chunks(BATCH_EVENTS) {
            let mut batch = Batch::new();
            for (user, event) in members {
                let row = MembershipRow::of(event, 0).stored();
                batch.put(&MEMBERSHIPS, (user.as_str(), event.room().as_str()), &row);
            }
            self.store().commit(batch).await?;
            for (user, _) in members {
                self.0.memberships.drop_user(user);
            }
        }
        Ok(())
    }
}

impl Writing {
    /// Begins the room (again) with an event before which the state was this.
    async fn begin_at(
        &mut self,
        event: &Event,
        state: &RoomState,
        holding: &HashMap<OwnedEventId, Event>,
    ) -> Result<()> {
        let from = match self.snapshot().group() {
            Some(_) => {
                // What was said while nobody of this server was there is missing in the middle.
                self.after_gap = !self.follows_what_is_here(event).await?;
                self.current()
            }
            None => {
                let earlier: Vec<_> = event.prev().iter().map(ToString::to_string).collect();
                self.batch().put(&EARLIER, event.room().as_str(), &earlier);
                StateAt { group: None, chain: Chain::default(), state: RoomState::default() }
            }
        };
        let before = self.state_after(&from, from.state.changes_to(state));
        let change = change_of(event);
        let replaces =
            change.as_ref().and_then(|change| state.get(&change.key.0, &change.key.1)).map(ToOwned::to_owned);
        let after = self.state_after(&before, change.into_iter().collect());
        let mut holding = holding.clone();
        holding.insert(event.id().clone(), event.clone());
        let changes: Vec<Change> = from.state.changes_to(&after.state);
        let group = after.group;
        self.make_current(&changes, after, &holding);
        // What the graph here ended with before is not what the room goes on from.
        self.stored_mut().extremities.clear();
        self.add_end(event, group);
        let around = Around { before: before.group, after: group, current: None, replaces };
        let local = |event: &Event| target_of(event).is_some_and(|user| self.rooms.is_local(&user));
        let members = changes.iter().filter_map(|change| holding.get(&change.to.as_ref()?.0));
        let mut members: Vec<_> = members.filter(|event| local(event)).cloned().collect();
        members.retain(|one| one.id() != event.id());
        members.push(event.clone());
        self.place(event, around, members).await
    }
}

/// The state must begin with the room's own create event, of the version that was asked for.
fn check_create(version: &RoomVersionId, state: &RoomState, holding: &HashMap<OwnedEventId, Event>) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Create {
        room_version: Option<RoomVersionId>,
    }
    let create = state.get(&StateEventType::RoomCreate, "").and_then(|id| holding.get(id));
    let create = create.ok_or_else(|| RoomError::Bad("the state has no create event".to_owned()))?;
    let content: Create = create.content_as().ok_or_else(|| RoomError::Bad("a create event of no form".to_owned()))?;
    if content.room_version.unwrap_or(RoomVersionId::V1) != *version {
        return Err(RoomError::Bad("the create event has another room version".to_owned()));
    }
    Ok(())
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
