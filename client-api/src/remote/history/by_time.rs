//! Jumping to a date of which this server does not have everything: others are asked for the event, and it is fetched.

use lyceum_peers::calls::Nearest;
use lyceum_rooms::{Direction, GivenStates, Known, Part, RoomError, Snapshot, Visibility};
use lyceum_web::ApiError;
use ruma::{EventId, MilliSecondsSinceUnixEpoch, RoomId, ServerName};
use std::sync::Arc;

use super::{Asked, FETCHES_MAX, Remote, SERVERS_MAX};

/// Pages fetched to fill a hole up to the event of a moment.
const FETCHES_INTO_A_HOLE_MAX: usize = 5;

/// What somebody looks for: the event nearest to a moment, going in a direction.
#[derive(Clone, Copy)]
struct Moment {
    ts: MilliSecondsSinceUnixEpoch,
    direction: Direction,
}

impl Remote {
    /// The event nearest to a moment. Where something is missing between the moment and the nearest event here, other servers
    /// of the room are asked, and what is nearer there is fetched (spec, "Jump to date": "If the server does not have all of
    /// the room history …", it can "ask other servers for a suitable event").
    pub(crate) async fn event_by_time(
        &self,
        visibility: &Visibility,
        ts: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<Arc<Known>, ApiError> {
        let here = self.rooms.event_by_time(visibility, ts, direction).await;
        let found = match &here {
            Ok(known) => Some(&**known),
            Err(RoomError::NotFound(_)) => None,
            Err(_) => return Ok(here?),
        };
        if self.bring_nearer(visibility.snapshot(), Moment { ts, direction }, found).await? {
            return Ok(self.rooms.event_by_time(visibility, ts, direction).await?);
        }
        Ok(here?)
    }

    /// Brings in what is nearer to a moment than the event that was found here. Answers whether something was.
    async fn bring_nearer(&self, snapshot: &Snapshot, moment: Moment, found: Option<&Known>) -> Result<bool, ApiError> {
        if !snapshot.is_local() || found.is_some_and(|found| found.event().ts() == moment.ts) {
            return Ok(false);
        }
        let room = snapshot.room_id();
        let missing = self.rooms.missing_beside(room, moment.ts, found, moment.direction).await?;
        let Some(part) = missing else { return Ok(false) };
        for server in self.to_ask(self.rooms.servers_in(room).await?).iter().take(SERVERS_MAX) {
            let Some(nearer) = self.nearest_at(server, room, moment, found).await else { continue };
            match self.bring_here(server, snapshot, part, &nearer).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => tracing::debug!(%server, %room, %error, "the server does not tell the event of a moment"),
            }
        }
        Ok(false)
    }

    /// The event that another server says is nearest to a moment, if it is nearer than the one that was found here.
    async fn nearest_at(
        &self,
        server: &ServerName,
        room: &RoomId,
        Moment { ts, direction }: Moment,
        found: Option<&Known>,
    ) -> Option<Nearest> {
        let ts_ms = u64::from(ts.get());
        let dir = match direction {
            Direction::Forward => "f",
            Direction::Backward => "b",
        };
        let told = self.peers.timestamp_to_event(server, room, ts_ms, dir).await;
        let told = told.inspect_err(|error| tracing::debug!(%server, %room, %error, "no event of that time")).ok()?;
        let away = |of_ms: u64| match direction {
            Direction::Forward => of_ms.checked_sub(ts_ms),
            Direction::Backward => ts_ms.checked_sub(of_ms),
        };
        let told_away = away(told.origin_server_ts)?;
        let found_away = found.and_then(|found| away(found.event().ts().get().into()));
        found_away.is_none_or(|found_away| told_away < found_away).then_some(told)
    }

    /// Brings an event into the timeline: with all that came since if that is little, on its own if it is much.
    async fn bring_here(
        &self,
        server: &ServerName,
        snapshot: &Snapshot,
        part: Part,
        nearest: &Nearest,
    ) -> Result<bool, ApiError> {
        let room = snapshot.room_id();
        let fetches = if part == Part::Beginning { FETCHES_MAX } else { FETCHES_INTO_A_HOLE_MAX };
        for _ in 0..fetches {
            if self.has_place(&nearest.event_id).await? {
                return Ok(true);
            }
            if !self.fetch(room, part).await? {
                break;
            }
        }
        match part {
            _ if self.has_place(&nearest.event_id).await? => Ok(true),
            Part::Beginning => self.bring_alone(server, snapshot, nearest).await,
            Part::Hole(_) => Ok(false),
        }
    }

    async fn has_place(&self, id: &EventId) -> Result<bool, ApiError> {
        Ok(self.rooms.known(id).await?.is_some_and(|known| known.order().is_some()))
    }

    /// Brings in one event of long before, with the state before it. One that is of another time than was said is left out.
    async fn bring_alone(
        &self,
        server: &ServerName,
        snapshot: &Snapshot,
        Nearest { event_id, origin_server_ts }: &Nearest,
    ) -> Result<bool, ApiError> {
        let (room, version) = (snapshot.room_id(), snapshot.version());
        let turn = self.memory.turn(room);
        let _turn = turn.lock().await;
        let asked = Asked { server, room, version, rules: Arc::new(snapshot.rules().clone()) };
        let told = self.singly(&asked, std::slice::from_ref(event_id)).await?.pop();
        let told = told.filter(|event| u64::from(event.ts().get()) == *origin_server_ts);
        let Some(event) = told else { return Ok(false) };
        let mut given = GivenStates::new();
        if !event.prev().is_empty() {
            given.insert(event_id.clone(), self.state_before(&asked, event_id).await?);
        }
        self.bring_in(&asked, vec![event.clone()]).await?;
        Ok(self.rooms.take_island(room, &event, &given).await?)
    }
}
