//! What is new in one room that one is in: timeline, state, people, and how much is unread.

use lyceum_rooms::{Direction, Known, Membership, RoomState, Snapshot, StateKey, state_type};
use lyceum_storage::{Position, Subject};
use ruma::{EventId, OwnedEventId, OwnedUserId, RoomId, UserId, events::TimelineEventType};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    Result, Sync,
    lazy::RoomSession,
    request::{Lazy, StateForm},
    response::{JoinedRoom, Json, StateUpdate, Summary},
    timeline::{Slice, Span, order_of},
    v2::{Turn, came_whole},
};

/// People a room without a name is named after.
const HEROES: usize = 5;
/// In rooms with more people than this the heroes are simply the first by name: reading when each came would cost more
/// than a name is worth.
const HEROES_BY_AGE_MAX: usize = 100;

/// What the client has of a room already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    /// Nothing: it asks for the first time, or the person was not in the room.
    Nothing,
    /// Everything up to this position.
    UpTo(Position),
}

impl Has {
    pub(crate) fn position(self) -> Option<Position> {
        match self {
            Self::Nothing => None,
            Self::UpTo(position) => Some(position),
        }
    }
}

impl Sync {
    /// The room's part of the answer; `None` if there is nothing to tell.
    pub(crate) async fn joined_room(&self, turn: &Turn<'_>, room: &RoomId, has: Has) -> Result<Option<JoinedRoom>> {
        let snapshot = self.rooms().snapshot(room).await?;
        let after = has.position();
        let span = Span { after, through: turn.to.position };
        let mut slice = self.slice(turn, room, span, has == Has::Nothing).await?;
        // Whoever comes into a room again may have missed something that is not shown: what a client has from before ends.
        slice.limited |= has == Has::Nothing && turn.since.is_some();
        let full = has == Has::Nothing || turn.request.full_state;
        let state = self.state_update(turn, &snapshot, (&slice, turn.to.position), after, full).await?;
        let ephemeral = self.ephemeral(turn, room, has).await?;
        let account_data = self.room_account_data(turn, room, has).await?;
        let own_changed = turn.changes.may_include(&Subject::own(turn.request.user, room));
        let quiet = slice.is_empty() && state.is_empty() && ephemeral.is_empty() && account_data.is_empty();
        let came_whole = came_whole(&snapshot, after, turn.to.position);
        if quiet && !full && !own_changed && !came_whole {
            return Ok(None);
        }
        let unread = self.unreads().unread(turn.request.user, room).await?;
        Ok(Some(JoinedRoom {
            summary: self.summary_if_changed(turn, &snapshot, &slice, full || came_whole).await?,
            state: state.into_form(turn.request.state_form),
            ephemeral: ephemeral.into(),
            account_data: account_data.into(),
            unread_notifications: Some(if turn.wanted.by_thread { unread.main() } else { unread.total() }),
            unread_thread_notifications: if turn.wanted.by_thread { unread.threads() } else { BTreeMap::new() },
            timeline: self.timeline_of(turn, slice).await?,
        }))
    }

    /// State as the client needs it beside the timeline.
    pub(crate) async fn state_update(
        &self,
        turn: &Turn<'_>,
        snapshot: &Snapshot,
        (slice, ends): (&Slice, Position),
        after: Option<Position>,
        full: bool,
    ) -> Result<StateEvents> {
        let room = snapshot.room_id();
        if !turn.wanted.state_of(room) {
            return Ok(StateEvents::default());
        }
        let lazy = turn.wanted.lazy;
        let session = (lazy != Lazy::No).then(|| {
            let device = turn.request.device.unwrap_or_default();
            self.lazy_members().session(turn.request.user.as_str(), device, room.as_str())
        });
        if full && let Some(session) = &session {
            session.reset();
        }

        let end = self.state_at_end(snapshot, slice, ends).await?;
        let target = match turn.request.state_form {
            StateForm::Before => self.state_at_start(slice, &end, room).await?,
            StateForm::After => end.clone(),
        };
        let mut ids =
            if full { full_state(&target, lazy) } else { self.state_since(turn, slice, after, &target, room).await? };
        if let Some(session) = session {
            let people = self.people_of(turn, snapshot, slice, full).await?;
            let since = after.unwrap_or_default();
            let mut members = lazy_members((&target, &end), people, lazy, &session, since, turn.to.position, full);
            if turn.request.state_form == StateForm::Before {
                members.retain(|id| slice.events.iter().all(|known| known.id() != id));
            }
            ids.extend(members);
        }
        self.load_state(turn, ids).await
    }

    /// Who must be known for the answer to be readable: those who wrote, oneself, and the heroes.
    async fn people_of(
        &self,
        turn: &Turn<'_>,
        snapshot: &Snapshot,
        slice: &Slice,
        full: bool,
    ) -> Result<BTreeSet<OwnedUserId>> {
        let mut people: BTreeSet<OwnedUserId> =
            slice.events.iter().map(|known| known.event().sender().to_owned()).collect();
        if full {
            people.insert(turn.request.user.to_owned());
            people.extend(self.heroes(snapshot, turn.request.user).await?);
        }
        Ok(people)
    }

    /// What changed in the state since the client last asked.
    async fn state_since(
        &self,
        turn: &Turn<'_>,
        slice: &Slice,
        after: Option<Position>,
        target: &RoomState,
        room: &RoomId,
    ) -> Result<Vec<OwnedEventId>> {
        let Some(after) = after else { return Ok(Vec::new()) };
        if slice.events_in_span == 0 {
            return Ok(Vec::new());
        }
        // Without a gap and without forks, the state before the timeline is the one the client has, and what changed after
        // is what the timeline itself holds.
        if !slice.limited
            && slice.is_linear
            && slice.all.first().map(|first| first.before()) == Some(self.group_at(room, after).await?)
        {
            return Ok(match turn.request.state_form {
                StateForm::Before => Vec::new(),
                StateForm::After => {
                    let keys: HashSet<StateKey> = slice.all.iter().filter_map(state_key).collect();
                    keys.iter().filter_map(|(kind, key)| target.get(kind, key)).map(ToOwned::to_owned).collect()
                }
            });
        }
        let had = self.state_at(room, after).await?;
        let in_timeline: HashSet<&EventId> = match turn.request.state_form {
            StateForm::Before => slice.events.iter().map(|known| &**known.id()).collect(),
            StateForm::After => HashSet::new(),
        };
        let changes = had.changes_to(target).into_iter().filter_map(|change| change.to.map(|(id, _)| id));
        Ok(changes.filter(|id| !in_timeline.contains(&**id)).collect())
    }

    /// The state after the timeline, which goes up to `ends`.
    async fn state_at_end(&self, snapshot: &Snapshot, slice: &Slice, ends: Position) -> Result<Arc<RoomState>> {
        let room = snapshot.room_id();
        match slice.all.last().and_then(|known| known.room_after()) {
            Some(group) if Some(group) == snapshot.group() => Ok(Arc::new(snapshot.state().clone())),
            Some(group) => Ok(self.rooms().state_of_group(room, group).await?),
            None => Ok(self.state_at(room, ends).await?),
        }
    }

    /// The group of a room's state at a position of the stream.
    pub(crate) async fn group_at(&self, room: &RoomId, position: Position) -> Result<Option<u64>> {
        let page = self.rooms().page(room, Direction::Backward, order_of(position), None, 1).await?;
        Ok(page.events.first().and_then(|known| known.room_after()))
    }

    /// A room's state at a position of the stream; none before the room came here.
    pub(crate) async fn state_at(&self, room: &RoomId, position: Position) -> Result<Arc<RoomState>> {
        match self.group_at(room, position).await? {
            Some(_) => Ok(self.rooms().state_at(room, order_of(position)).await?),
            None => Ok(Arc::default()),
        }
    }

    async fn state_at_start(&self, slice: &Slice, end: &Arc<RoomState>, room: &RoomId) -> Result<Arc<RoomState>> {
        match slice.first() {
            None => Ok(end.clone()),
            Some(first) => match first.before() {
                Some(group) => Ok(self.rooms().state_of_group(room, group).await?),
                None => Ok(Arc::default()),
            },
        }
    }

    async fn load_state(&self, turn: &Turn<'_>, mut ids: Vec<OwnedEventId>) -> Result<StateEvents> {
        ids.sort();
        ids.dedup();
        let known: Vec<_> = self.rooms().known_many(&ids).await?.into_iter().flatten().collect();
        let filter = &turn.wanted.state;
        let mut known: Vec<_> = known.into_iter().filter(|known| passes(filter, known)).collect();
        known.sort_by_key(|known| (known.order(), known.event().depth()));
        self.state_events(turn, &known).await
    }

    pub(crate) async fn state_events(&self, turn: &Turn<'_>, known: &[Arc<Known>]) -> Result<StateEvents> {
        let looker = turn.request.looker(self.now());
        Ok(StateEvents(self.rooms().present_state(looker, known).await?))
    }

    /// Counts and heroes, if the room's people may have changed.
    async fn summary_if_changed(
        &self,
        turn: &Turn<'_>,
        snapshot: &Snapshot,
        slice: &Slice,
        full: bool,
    ) -> Result<Option<Summary>> {
        let is_member = |known: &Arc<Known>| *known.event().kind() == TimelineEventType::RoomMember;
        if !full && !slice.limited && !slice.all.iter().any(is_member) {
            return Ok(None);
        }
        let heroes = self.heroes(snapshot, turn.request.user).await?;
        Ok(Some(Summary {
            heroes: (!heroes.is_empty()).then(|| heroes.iter().map(ToString::to_string).collect()),
            joined: snapshot.joined_count(),
            invited: snapshot.invited_count(),
        }))
    }

    /// Whom a room without a name is named after: the first to come, or else those who went.
    pub(crate) async fn heroes(&self, snapshot: &Snapshot, viewer: &UserId) -> Result<Vec<OwnedUserId>> {
        let facts = snapshot.facts();
        if facts.name.is_some() || facts.canonical_alias.is_some() {
            return Ok(Vec::new());
        }
        let others = |present: bool| {
            let mut people: Vec<_> = snapshot
                .state()
                .members()
                .filter(|(user, member)| {
                    *user != viewer
                        && member.membership.is_in_or_invited() == present
                        && (present || member.membership != Membership::Knock)
                })
                .map(|(user, member)| (user.clone(), member.event_id.clone()))
                .collect();
            people.sort();
            people
        };
        let mut people = others(true);
        if people.is_empty() {
            people = others(false);
        }
        if people.len() > HEROES && people.len() <= HEROES_BY_AGE_MAX {
            let ids: Vec<_> = people.iter().map(|(_, id)| id.clone()).collect();
            let known = self.rooms().known_many(&ids).await?;
            let mut aged: Vec<_> = people
                .into_iter()
                .zip(known)
                .map(|(person, known)| (known.and_then(|known| known.order()).unwrap_or(i64::MIN), person))
                .collect();
            aged.sort();
            people = aged.into_iter().map(|(_, person)| person).collect();
        }
        people.truncate(HEROES);
        Ok(people.into_iter().map(|(user, _)| user).collect())
    }
}

/// State events that go with a timeline.
#[derive(Default)]
pub(crate) struct StateEvents(Vec<Json>);

impl StateEvents {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_form(self, form: StateForm) -> StateUpdate {
        match form {
            StateForm::Before => StateUpdate::Before(self.0),
            StateForm::After => StateUpdate::After(self.0),
        }
    }
}

pub(crate) fn passes(filter: &crate::filter::EventFilter, known: &Known) -> bool {
    filter.wants(known.event())
}

fn state_key(known: &Arc<Known>) -> Option<StateKey> {
    let event = known.event();
    event.state_key().map(|key| (state_type(event.kind()), key.to_owned()))
}

fn full_state(target: &RoomState, lazy: Lazy) -> Vec<OwnedEventId> {
    let rest = target.rest().map(|(_, id)| id.clone());
    match lazy {
        Lazy::No => rest.chain(target.members().map(|(_, member)| member.event_id.clone())).collect(),
        Lazy::Yes | Lazy::Redundant => rest.collect(),
    }
}

/// The member events of `people` that the client does not have; where the first state does not know somebody, as in a room
/// of which part of the state is still to come, those of the other.
fn lazy_members(
    (target, end): (&RoomState, &RoomState),
    people: BTreeSet<OwnedUserId>,
    lazy: Lazy,
    session: &RoomSession,
    since: Position,
    to: Position,
    full: bool,
) -> Vec<OwnedEventId> {
    let mut ids = Vec::new();
    for user in people {
        if !full && lazy == Lazy::Yes && session.knows(user.as_str(), since) {
            continue;
        }
        if let Some(member) = target.member(&user).or_else(|| end.member(&user)) {
            ids.push(member.event_id.clone());
            session.sends(user.as_str(), to);
        }
    }
    ids
}
