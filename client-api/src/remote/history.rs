//! History of before this server came into a room, and of whiles in which it was not there: asked of the servers that were, a
//! page at a time, when somebody reads so far back.

mod by_time;

use futures_util::{StreamExt, stream};
use lyceum_events::{Event, References};
use lyceum_peers::calls::{RawEvent, StateIds};
use lyceum_rooms::{Around, Direction, GivenStates, Hole, Known, Page, Part, RoomError, Snapshot, Visibility};
use lyceum_web::ApiError;
use ruma::{EventId, OwnedEventId, RoomId, RoomVersionId, ServerName, UserId, room_version_rules::RoomVersionRules};
use std::{collections::HashSet, sync::Arc};

use super::Remote;

/// Pages fetched for one request.
const FETCHES_MAX: usize = 3;
/// Events asked for in one page.
const PAGE_EVENTS: usize = 100;
/// Servers asked for one page.
const SERVERS_MAX: usize = 4;
/// States asked for to judge one page: one for each branch that begins in it.
const STATES_MAX: usize = 5;
/// Events of a state above which it is asked for whole rather than event by event.
const SINGLE_MAX: usize = 50;
/// Single events asked for at once.
const SINGLE_AT_ONCE: usize = 8;
/// Events that one state may consist of.
const STATE_EVENTS_MAX: usize = 300_000;
/// Rounds of asking for events that permit others.
const ROUNDS_MAX: usize = 4;

/// Whom is asked, and about what.
struct Asked<'a> {
    server: &'a ServerName,
    room: &'a RoomId,
    version: &'a RoomVersionId,
    rules: Arc<RoomVersionRules>,
}

impl Remote {
    /// A page of a room's history, with what other servers have of it where this one has no more.
    pub(crate) async fn history(
        &self,
        visibility: &Visibility,
        direction: Direction,
        (from, to): (Option<i64>, Option<i64>),
        limit: usize,
        wanted: impl Fn(&Known) -> bool,
    ) -> Result<Page, ApiError> {
        let room = visibility.snapshot().room_id();
        let mut page = self.rooms.history(visibility, direction, (from, to), limit, &wanted).await?;
        for _ in 0..FETCHES_MAX {
            if direction == Direction::Forward {
                return Ok(page);
            }
            if let Some(hole) = self.hole_in(visibility, (from, to), &page).await? {
                if !self.fetch(room, hole.part).await? {
                    return Ok(page);
                }
                page = self.rooms.history(visibility, direction, (from, to), limit, &wanted).await?;
                continue;
            }
            if page.next.is_some() || page.events.len() >= limit {
                return Ok(page);
            }
            let edge = self.rooms.edge(room, Direction::Forward).await?;
            if to.is_some_and(|to| to >= edge) || !self.goes_on(visibility.snapshot()).await? {
                return Ok(page);
            }
            if !self.fetch(room, Part::Beginning).await? {
                break;
            }
            page = self.rooms.history(visibility, direction, (from, to), limit, &wanted).await?;
        }
        if let Some(hole) = self.hole_in(visibility, (from, to), &page).await? {
            // There is more than is fetched for one request: the next one goes on from here.
            page.events.retain(|known| known.order().is_some_and(|order| order > hole.edge));
            page.next = Some(hole.edge);
            return Ok(page);
        }
        // Whoever was shown nothing would ask again and again.
        if page.next.is_none() && !page.events.is_empty() && self.goes_on(visibility.snapshot()).await? {
            page.next = Some(self.rooms.edge(room, Direction::Forward).await?);
        }
        Ok(page)
    }

    /// The hole that a page leads over, if this server may ask others for what belongs there.
    async fn hole_in(
        &self,
        visibility: &Visibility,
        (from, to): (Option<i64>, Option<i64>),
        page: &Page,
    ) -> Result<Option<Hole>, ApiError> {
        let snapshot = visibility.snapshot();
        if !snapshot.is_local() {
            return Ok(None);
        }
        let from = from.into_iter().chain(visibility.ends_at()).min().unwrap_or(i64::MAX);
        let reached = page.next.or(to).map_or(i64::MIN, |before| before.saturating_add(1));
        Ok(self.rooms.hole_within(snapshot.room_id(), from, reached).await?)
    }

    /// An event and what stands around it, both with what other servers have of the room's history.
    pub(crate) async fn around(
        &self,
        (user, room): (&UserId, &RoomId),
        id: &EventId,
        limit: usize,
        wanted: impl Fn(&Known) -> bool,
    ) -> Result<(Around, Visibility), ApiError> {
        for _ in 0..FETCHES_MAX {
            let found = self.rooms.around(user, room, id, limit, &wanted).await;
            let reaches_back = match &found {
                Ok((around, _)) => around.before.next.is_some() || around.before.events.len() >= limit / 2,
                Err(RoomError::UnknownEvent(_)) => false,
                Err(_) => true,
            };
            let view = if reaches_back { None } else { self.rooms.look_into(user, room).await.ok() };
            let Some(view) = view else { return Ok(found?) };
            if !self.goes_on(view.snapshot()).await? || !self.fetch(room, Part::Beginning).await? {
                return Ok(found?);
            }
        }
        Ok(self.rooms.around(user, room, id, limit, &wanted).await?)
    }

    /// Whether other servers of a room that this one is in may know more of its history.
    async fn goes_on(&self, snapshot: &Snapshot) -> Result<bool, ApiError> {
        Ok(snapshot.is_local() && !self.rooms.earlier(snapshot.room_id()).await?.is_empty())
    }

    /// Fetches the next earlier page of a part of a room's history. Answers whether anything came of it.
    async fn fetch(&self, room: &RoomId, part: Part) -> Result<bool, ApiError> {
        let before = self.rooms.missing_before(room, part).await?;
        if before.is_empty() {
            return Ok(false);
        }
        let turn = self.memory.turn(room);
        let _turn = turn.lock().await;
        let wanted = self.rooms.missing_before(room, part).await?;
        if wanted != before {
            // Somebody else fetched it meanwhile.
            return Ok(true);
        }
        let snapshot = self.rooms.snapshot(room).await?;
        for server in self.to_ask(self.rooms.servers_in(room).await?).iter().take(SERVERS_MAX) {
            match self.earlier_from(server, &snapshot, part, &wanted).await {
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(error) if error.status.is_server_error() && error.status != http::StatusCode::BAD_GATEWAY => {
                    return Err(error);
                }
                Err(error) => tracing::debug!(%server, %room, %error, "the server tells no earlier history"),
            }
        }
        Ok(false)
    }

    async fn earlier_from(
        &self,
        server: &ServerName,
        snapshot: &Snapshot,
        part: Part,
        wanted: &[OwnedEventId],
    ) -> Result<usize, ApiError> {
        let (room, version) = (snapshot.room_id(), snapshot.version());
        let asked = Asked { server, room, version, rules: Arc::new(snapshot.rules().clone()) };
        let mut sent = self.peers.backfill(server, room, wanted, PAGE_EVENTS).await?;
        sent.truncate(PAGE_EVENTS);
        let told = self.read(&asked, sent, References::AsTheyAre).await?;
        let mut given = GivenStates::new();
        for id in self.rooms.states_wanted(room, part, &told).await?.into_iter().take(STATES_MAX) {
            let state = self.state_before(&asked, &id).await?;
            given.insert(id, state);
        }
        self.bring_in(&asked, told.clone()).await?;
        Ok(self.rooms.take_earlier(room, part, &told, &given).await?)
    }

    /// The state before an event as the server says; its events are brought in.
    async fn state_before(&self, asked: &Asked<'_>, id: &OwnedEventId) -> Result<Vec<OwnedEventId>, ApiError> {
        let StateIds { mut pdu_ids, auth_chain_ids } = self.peers.state_ids(asked.server, asked.room, id).await?;
        let all: HashSet<_> = pdu_ids.iter().chain(&auth_chain_ids).cloned().collect();
        if all.len() > STATE_EVENTS_MAX {
            return Err(ApiError::too_large("The state of the room is too large"));
        }
        let absent = self.absent(all.into_iter().collect()).await?;
        let events = match absent.len() {
            0 => Vec::new(),
            1..=SINGLE_MAX => self.singly(asked, &absent).await?,
            _ => {
                let whole = self.peers.state(asked.server, asked.room, id).await?;
                let sent = whole.auth_chain.into_iter().chain(whole.pdus).take(STATE_EVENTS_MAX).collect();
                self.read(asked, sent, References::Limited).await?
            }
        };
        self.bring_in(asked, events).await?;
        let missing: HashSet<_> = self.absent(pdu_ids.clone()).await?.into_iter().collect();
        pdu_ids.retain(|id| !missing.contains(id));
        Ok(pdu_ids)
    }

    /// Brings events in, and those that permit them if they are not here.
    async fn bring_in(&self, asked: &Asked<'_>, mut events: Vec<Event>) -> Result<(), ApiError> {
        for _ in 0..ROUNDS_MAX {
            if events.is_empty() {
                return Ok(());
            }
            let imported = self.rooms.import(asked.room, asked.version, events.clone()).await?;
            let left_out: HashSet<_> = imported.left_out.into_iter().collect();
            // What is missing may be among those left out.
            let missing = imported.missing.into_iter().filter(|id| !left_out.contains(id)).collect::<Vec<_>>();
            if missing.is_empty() {
                return Ok(());
            }
            let more = self.singly(asked, &missing).await?;
            if more.is_empty() {
                return Ok(());
            }
            events.retain(|event| left_out.contains(event.id()));
            events.extend(more);
        }
        Ok(())
    }

    /// Single events that were asked for by their ids.
    async fn singly(&self, asked: &Asked<'_>, ids: &[OwnedEventId]) -> Result<Vec<Event>, ApiError> {
        let asking: Vec<_> = ids.iter().take(SINGLE_MAX).map(|id| self.peers.event(asked.server, id)).collect();
        let answers: Vec<_> = stream::iter(asking).buffer_unordered(SINGLE_AT_ONCE).collect().await;
        let mut events =
            self.read(asked, answers.into_iter().filter_map(Result::ok).collect(), References::Limited).await?;
        events.retain(|event| ids.contains(event.id()));
        Ok(events)
    }

    /// The events among what was sent that are believed.
    async fn read(&self, asked: &Asked<'_>, sent: Vec<RawEvent>, named: References) -> Result<Vec<Event>, ApiError> {
        let read = self.peers.read_events(sent, &asked.rules, named).await?;
        Ok(read.into_iter().flatten().filter(|event| event.room() == asked.room).collect())
    }

    /// Those of the ids of which there is no event here.
    async fn absent(&self, ids: Vec<OwnedEventId>) -> Result<Vec<OwnedEventId>, ApiError> {
        let known = self.rooms.known_many(&ids).await?;
        Ok(ids.into_iter().zip(known).filter(|(_, known)| known.is_none()).map(|(id, _)| id).collect())
    }
}
