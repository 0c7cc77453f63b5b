//! Taking up a room of another server that a person of this one has joined: its events are brought in part by part, then the
//! room begins here (again) with the join.

use lyceum_events::{Event, authorize_by_state};
use lyceum_storage::Batch;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, RoomVersionId, events::StateEventType};
use std::collections::{HashMap, HashSet};

use crate::{
    Acceptance, Change, Result, RoomError, RoomState, Rooms,
    accept::among,
    forks::StateAt,
    groups::Chain,
    import::{BATCH_EVENTS, UnderWay},
    known::Around,
    members::MembershipRow,
    partial::claims,
    tables::{EARLIER, MEMBERSHIPS},
    write::{WRITE_TRIES, Writing, change_of, target_of},
};

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

/// A room of another server whose events are being brought in.
pub struct Arrival {
    rooms: Rooms,
    room_id: OwnedRoomId,
    version: RoomVersionId,
    /// Those that are here and were permitted.
    brought: HashMap<OwnedEventId, Event>,
    /// Those that rely on some that may still come.
    waiting: Vec<Event>,
}

impl Rooms {
    /// Begins to bring a room in.
    pub fn arrival(&self, room_id: &RoomId, version: &RoomVersionId) -> Arrival {
        let (room_id, version) = (room_id.to_owned(), version.clone());
        Arrival { rooms: self.clone(), room_id, version, brought: HashMap::new(), waiting: Vec::new() }
    }

    /// Takes up a room that a person of this server has joined by another server's help.
    pub async fn accept_remote_join(&self, join: RemoteJoin) -> Result<Acceptance> {
        let RemoteJoin { room_id, version, event, state, auth_chain } = join;
        let state_ids: Vec<_> = state.iter().map(|event| event.id().clone()).collect();
        let mut arrival = self.arrival(&room_id, &version);
        arrival.bring(auth_chain.into_iter().chain(state).collect()).await?;
        arrival.join(&event, &state_ids, None).await
    }
}

impl Arrival {
    /// The room.
    pub fn room(&self) -> &RoomId {
        &self.room_id
    }

    /// Brings in a part of the room's events, their signatures checked. Those that rely on others which are not here wait for
    /// them.
    pub async fn bring(&mut self, events: Vec<Event>) -> Result<()> {
        let imported = self.rooms.import(&self.room_id, &self.version, events.clone()).await?;
        let left_out: HashSet<_> = imported.left_out.into_iter().collect();
        self.waiting.extend(events.into_iter().filter(|event| left_out.contains(event.id())));
        self.brought.extend(imported.accepted);
        Ok(())
    }

    /// Takes the room up with a join before which the state was this. Where members were left out of it, `others` are the
    /// servers in the room.
    pub async fn join(
        mut self,
        event: &Event,
        state: &[OwnedEventId],
        others: Option<&[OwnedServerName]>,
    ) -> Result<Acceptance> {
        self.bring_waiting().await?;
        let mut state: Vec<_> = state.iter().filter(|id| self.brought.contains_key(*id)).cloned().collect();
        if others.is_some() {
            state.extend(self.claimed_by(event, &state).await?);
        }
        let wanted: HashSet<_> = state.iter().collect();
        self.brought.retain(|id, _| wanted.contains(id));
        let holding = std::mem::take(&mut self.brought);
        let mut then = RoomState::default();
        for change in state.iter().filter_map(|id| change_of(holding.get(id)?)) {
            then.apply(&change);
        }
        check_create(&self.version, &then, &holding)?;
        if let Ok(snapshot) = self.rooms.snapshot(&self.room_id).await
            && snapshot.is_local()
        {
            // Somebody else of this server came in before: the room is taken up already.
            return match others {
                Some(others) => self.rooms.accept_in_part(event, &state, others).await,
                None => self.rooms.accept_at(event, &state).await,
            };
        }
        self.rooms.write_remote_members(&holding).await?;
        for _ in 0..WRITE_TRIES {
            match self.rooms.begin_joined(&self.room_id, &self.version, event, (&then, &holding), others).await {
                Err(RoomError::Busy) => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    /// The memberships that permit the join, where the state leaves these people out. They need not have come with it: what
    /// is here of them already counts as well.
    async fn claimed_by(&mut self, event: &Event, state: &[OwnedEventId]) -> Result<Vec<OwnedEventId>> {
        let mut then = RoomState::default();
        for change in state.iter().filter_map(|id| change_of(self.brought.get(id)?)) {
            then.apply(&change);
        }
        let here = self.rooms.known_many(event.auth()).await?;
        let here = here.iter().flatten().map(|known| known.event()).filter(|event| event.room() == self.room_id);
        let claimed: Vec<_> = claims(&then, here.clone()).into_iter().filter_map(|change| Some(change.to?.0)).collect();
        self.brought
            .extend(here.filter(|event| claimed.contains(event.id())).map(|one| (one.id().clone(), one.clone())));
        Ok(claimed)
    }

    /// Brings in those that waited, as far as what they rely on has come.
    async fn bring_waiting(&mut self) -> Result<()> {
        let mut before = usize::MAX;
        while !self.waiting.is_empty() && self.waiting.len() < before {
            before = self.waiting.len();
            let waiting = std::mem::take(&mut self.waiting);
            self.bring(waiting).await?;
        }
        Ok(())
    }
}

impl Rooms {
    async fn begin_joined(
        &self,
        room_id: &RoomId,
        version: &RoomVersionId,
        event: &Event,
        (state, holding): (&RoomState, &HashMap<OwnedEventId, Event>),
        others: Option<&[OwnedServerName]>,
    ) -> Result<Acceptance> {
        let mut writing = match self.write(room_id).await {
            Err(RoomError::UnknownRoom(_)) => self.write_new(room_id, version).await?,
            found => found?,
        };
        let rules = writing.rules();
        let events: Vec<_> = holding.values().cloned().collect();
        authorize_by_state(event, &rules, among(&events, None)).map_err(|denied| RoomError::Forbidden(denied.0))?;
        writing.begin_at(event, state, holding).await?;
        if let Some(others) = others {
            writing.begin_in_part(event, others);
        }
        writing.queue().durable().await?;
        Ok(Acceptance::Accepted)
    }

    /// How people of other servers stand to the room: many rows, which nothing waits for.
    async fn write_remote_members(&self, holding: &HashMap<OwnedEventId, Event>) -> Result<()> {
        let members = holding.values().filter_map(|event| Some((target_of(event)?, event)));
        let mut remote: Vec<(OwnedUserId, &Event)> = members.filter(|(user, _)| !self.is_local(user)).collect();
        // In the order of their keys, so that each batch changes few pages of the store.
        remote.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut under_way = UnderWay::default();
        for members in remote.chunks(BATCH_EVENTS) {
            let mut batch = Batch::new();
            for (user, event) in members {
                let row = MembershipRow::of(event, 0).stored();
                batch.put(&MEMBERSHIPS, (user.as_str(), event.room().as_str()), &row);
            }
            under_way.add(self.store().enqueue(batch)).await?;
        }
        under_way.end().await?;
        for (user, _) in &remote {
            self.0.memberships.drop_user(user);
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
