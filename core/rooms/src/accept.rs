//! Events of other servers: whether they may be believed, and their place in the graph (spec, server-server API, "Checks
//! performed on receipt of a PDU"). Form, signatures and hash were checked before.

use lyceum_events::{Event, auth_types_of, authorize_by_auth_events, authorize_by_state};
use ruma::{
    EventId, OwnedEventId, OwnedServerName, RoomId, ServerName,
    events::{StateEventType, TimelineEventType},
};
use std::sync::Arc;

use crate::{
    Known, Place, Result, RoomError, RoomState, Rooms, StateKey,
    forks::StateAt,
    known::Around,
    record::Aside,
    write::{WRITE_TRIES, Writing, change_of},
};

/// What became of an event of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It was here already.
    Known(Place),
    /// It is in the timeline.
    Accepted,
    /// It is in the graph, but clients are not shown it: the current state would not have permitted it.
    SoftFailed,
    /// It is refused.
    Rejected(String),
    /// It cannot be judged before these are here.
    Missing {
        /// Events that permit it.
        auth: Vec<OwnedEventId>,
        /// Events before it, or the state after them.
        prev: Vec<OwnedEventId>,
    },
}

/// An event that another one names, if this server has it.
type MaybeKnown = Option<Arc<Known>>;

impl Rooms {
    /// Judges an event of another server and gives it its place.
    pub async fn accept(&self, event: &Event) -> Result<Acceptance> {
        self.accept_with(event, None).await
    }

    /// Judges an event of another server before which the state was this, as another server said. The events of the
    /// state must be here.
    pub async fn accept_at(&self, event: &Event, state: &[OwnedEventId]) -> Result<Acceptance> {
        self.accept_with(event, Some(state)).await
    }

    /// Takes up one more join into a room that is here already, before which the state was this and more.
    pub(crate) async fn accept_in_part(
        &self,
        event: &Event,
        state: &[OwnedEventId],
        others: &[OwnedServerName],
    ) -> Result<Acceptance> {
        match self.accept(event).await? {
            Acceptance::Missing { .. } => {}
            done => return Ok(done),
        }
        for _ in 0..WRITE_TRIES {
            let mut writing = self.write(event.room()).await?;
            let judged = writing.receive(event, Some(state)).await?;
            if judged == Acceptance::Accepted {
                writing.begin_in_part(event, others);
            }
            match finish(writing, judged).await {
                Err(RoomError::Busy) => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    async fn accept_with(&self, event: &Event, state: Option<&[OwnedEventId]>) -> Result<Acceptance> {
        let event = &self.recommended_or_not(event).await?;
        for tries in 1.. {
            match self.try_accept(event, state).await {
                Err(RoomError::Busy) if tries < WRITE_TRIES => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_accept(&self, event: &Event, state: Option<&[OwnedEventId]>) -> Result<Acceptance> {
        let mut writing = self.write(event.room()).await?;
        let judged = writing.receive(event, state).await?;
        finish(writing, judged).await
    }

    /// Whether a server may take part in a room by its server ACL.
    pub async fn server_allowed(&self, room: &RoomId, server: &ServerName) -> Result<bool> {
        let snapshot = self.snapshot(room).await?;
        Ok(snapshot.facts().server_acl.as_ref().is_none_or(|acl| acl.is_allowed(server)))
    }

    /// Where a room's graph ends here.
    pub async fn ends(&self, room: &RoomId) -> Result<Vec<OwnedEventId>> {
        Ok(self.write(room).await?.prev_events())
    }
}

/// Writes down what became of an event, if that changes anything.
async fn finish(writing: Writing, judged: Acceptance) -> Result<Acceptance> {
    if !matches!(judged, Acceptance::Known(_) | Acceptance::Missing { .. }) {
        writing.queue().durable().await?;
    }
    Ok(judged)
}

fn missing(event: &Event, (auth, prev): (&[MaybeKnown], &[MaybeKnown]), state_is_given: bool) -> Option<Acceptance> {
    let absent = |ids: &[OwnedEventId], found: &[Option<Arc<Known>>], fits: &dyn Fn(&Known) -> bool| -> Vec<_> {
        let absent = ids.iter().zip(found).filter(|(_, known)| !known.as_ref().is_some_and(|known| fits(known)));
        absent.map(|(id, _)| id.clone()).collect()
    };
    let auth = absent(event.auth(), auth, &|_| true);
    let prev = match state_is_given {
        true => Vec::new(),
        false => absent(event.prev(), prev, &|known| known.after().is_some()),
    };
    (!auth.is_empty() || !prev.is_empty()).then_some(Acceptance::Missing { auth, prev })
}

impl Writing {
    /// Judges an event and puts it where it belongs, with what it implies.
    pub(crate) async fn receive(&mut self, event: &Event, state: Option<&[OwnedEventId]>) -> Result<Acceptance> {
        let here = self.find(std::slice::from_ref(event.id())).await?.pop().flatten();
        if let Some(known) = here.as_ref().filter(|known| *known.place() != Place::Outlier) {
            return Ok(Acceptance::Known(known.place().clone()));
        }
        let (auth, prev) = (self.find(event.auth()).await?, self.find_prev(event).await?);
        let missing = missing(event, (&auth, &prev), state.is_some());
        if let Some(missing) = missing {
            return Ok(missing);
        }
        let auth: Vec<_> = auth.into_iter().flatten().collect();
        let before = match state {
            Some(ids) => self.given_state(ids).await?,
            None => self.state_after_all(&prev).await?,
        };
        let claimed = self.claimed_members(&before.state, &auth);
        let before = if claimed.is_empty() { before } else { self.state_after(&before, claimed) };
        let now = match state {
            // The room here may be behind by what is missing: it is judged by what both sides know together.
            Some(_) => self.resolve(vec![self.current(), before.clone()]).await?.state,
            None => {
                let mut now = self.snapshot().state().clone();
                self.claimed_members(&now, &auth).iter().for_each(|claim| now.apply(claim));
                now
            }
        };
        let judged = self.judge_received(event, &auth, (&before.state, &now)).await?;
        let (before, judged) = match self.weighed_with_claims(&before, &auth, &judged).await? {
            Some((then, now)) => {
                let judged = self.judge_received(event, &auth, (&then.state, &now)).await?;
                (if judged == Acceptance::Accepted { then } else { before }, judged)
            }
            None => (before, judged),
        };
        let judged = self.ask_judge_of_received(event, judged).await?;
        let judged = self.ask_policy_of_received(event, judged);
        // Another node may have given it its place since it was looked for.
        self.expect_at(event.id(), here.as_deref());
        if here.is_some() {
            self.leave_outliers(event.id());
        }
        match &judged {
            Acceptance::Accepted => {
                let is_here = |known: &MaybeKnown| known.as_ref().is_some_and(|known| known.after().is_some());
                self.after_gap = state.is_some() && !prev.iter().all(is_here);
                self.record_received(event, before).await?;
            }
            Acceptance::SoftFailed => self.put_aside(event, before, Place::SoftFailed),
            Acceptance::Rejected(why) => self.put_aside(event, before, Place::Rejected(why.clone())),
            Acceptance::Known(_) | Acceptance::Missing { .. } => return Ok(judged),
        }
        Ok(judged)
    }

    /// The state before an event that follows these.
    async fn state_after_all(&mut self, prev: &[Option<Arc<Known>>]) -> Result<StateAt> {
        let mut states = Vec::with_capacity(prev.len());
        for group in prev.iter().flatten().filter_map(|known| known.after()) {
            states.push(self.state_of(group).await?);
        }
        self.resolve(states).await
    }

    /// The state that another server says there was: what holds it are events that are here.
    pub(crate) async fn given_state(&mut self, ids: &[OwnedEventId]) -> Result<StateAt> {
        let mut state = RoomState::default();
        for (id, known) in ids.iter().zip(self.find(ids).await?) {
            let known = known.ok_or_else(|| RoomError::Damaged(format!("event {id} of a given state is not here")))?;
            let of_room = known.event().room() == self.room.id && !known.event().is_rejected();
            if let Some(change) = change_of(known.event()).filter(|_| of_room) {
                state.apply(&change);
            }
        }
        let current = self.current();
        let changes = current.state.changes_to(&state);
        Ok(self.state_after(&current, changes))
    }

    /// Checks 4 to 6 of the specification's.
    pub(crate) async fn judge_received(
        &self,
        event: &Event,
        auth: &[Arc<Known>],
        (before, now): (&RoomState, &RoomState),
    ) -> Result<Acceptance> {
        let rules = self.rules();
        let create = self.snapshot().kept(&StateEventType::RoomCreate).cloned();
        let auth: Vec<_> = auth.iter().map(|known| known.event().clone()).collect();
        let by_id = |id: &EventId| auth.iter().chain(&create).find(|one| one.id() == id).cloned();
        if let Err(denied) = authorize_by_auth_events(event, &rules, by_id) {
            return Ok(Acceptance::Rejected(denied.0));
        }
        if let Err(denied) = authorize_by_state(event, &rules, among(&auth, create.as_ref())) {
            return Ok(Acceptance::Rejected(denied.0));
        }
        let mut keys: Vec<StateKey> = auth_types_of(event, &rules);
        keys.push((StateEventType::RoomCreate, String::new()));
        let then = self.events_of(before, &keys).await?;
        if let Err(denied) = authorize_by_state(event, &rules, among(&then, None)) {
            return Ok(Acceptance::Rejected(denied.0));
        }
        let now = self.events_of(now, &keys).await?;
        Ok(match authorize_by_state(event, &rules, among(&now, None)) {
            Ok(()) => Acceptance::Accepted,
            Err(_) => Acceptance::SoftFailed,
        })
    }

    /// Asks the campus rules about an event that the room's own rules permit. It stays in the graph, since other servers
    /// build on it, but nobody here is shown it.
    pub(crate) async fn ask_judge_of_received(&self, event: &Event, judged: Acceptance) -> Result<Acceptance> {
        if judged != Acceptance::Accepted || self.rooms.is_local(event.sender()) {
            return Ok(judged);
        }
        match self.rooms.judge_event(self.snapshot(), event).await {
            Ok(()) => Ok(judged),
            Err(RoomError::Refused { rule, .. } | RoomError::Held(rule)) => {
                tracing::info!(event = %event.id(), room = %event.room(), rule, "a campus rule refuses this event");
                Ok(Acceptance::SoftFailed)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives an accepted event its place, and the room the state that follows.
    async fn record_received(&mut self, event: &Event, before: StateAt) -> Result<()> {
        let change = change_of(event);
        let replaces = change.as_ref().and_then(|change| before.state.get(&change.key.0, &change.key.1));
        let replaces = replaces.map(ToOwned::to_owned);
        let before_group = before.group;
        let after = match change {
            Some(change) => self.state_after(&before, vec![change]),
            None => before,
        };
        // It may hold state that is resolved below.
        self.arriving.insert(event.id().clone(), event.clone());
        let current = self.new_ends(event, &after).await?;
        let around = Around {
            before: before_group,
            after: after.group,
            current: current.group.filter(|group| Some(*group) != after.group),
            replaces,
        };
        let changes = self.snapshot().state().changes_to(&current.state);
        self.become_current(event, around, changes, current).await
    }

    /// An event that clients are not shown: kept for the sake of those that follow it.
    fn put_aside(&mut self, event: &Event, before: StateAt, place: Place) {
        let before_group = before.group;
        // A refused event changes nothing; a soft-failed one is part of its branch.
        let after = match (&place, change_of(event)) {
            (Place::SoftFailed, Some(change)) => self.state_after(&before, vec![change]).group,
            _ => before_group,
        };
        let around = Around { before: before_group, after, current: None, replaces: None };
        if self.snapshot().partial().is_some() {
            self.judge_again_later(event);
        }
        self.aside.push(Aside { event: event.clone(), place, around });
    }
}

/// Looks state up among some events.
pub(crate) fn among<'a>(
    events: &'a [Event],
    create: Option<&'a Event>,
) -> impl Fn(&StateEventType, &str) -> Option<Event> + 'a {
    move |kind, state_key| {
        let kind = TimelineEventType::from(kind.to_string());
        events.iter().chain(create).find(|one| one.is_state(&kind, state_key)).cloned()
    }
}
