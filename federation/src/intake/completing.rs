//! The rest of the state of rooms that were joined with part of it: asked for in the background, over restarts, of one server
//! after another.

use lyceum_events::{Clock, Event};
use lyceum_rooms::{RoomError, WholeStates};
use ruma::{OwnedEventId, OwnedRoomId, RoomId, ServerName};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{Intake, Trouble, filling::Filling};

/// Rooms whose rest is asked for at once.
const ROOMS_AT_ONCE: usize = 8;
/// Servers that are asked in one try.
const SERVERS_PER_TRY: usize = 5;
/// The wait after the first try that failed; each one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// How often it is looked for rooms that another node of this server joined and did not complete.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

impl Intake {
    /// Brings the rest of the state of rooms that were joined with part of it, for as long as it is run.
    pub async fn complete_rooms(self, clock: Arc<dyn Clock>) {
        let joined = self.0.rooms.watch_partial_rooms();
        let at_once = Arc::new(Semaphore::new(ROOMS_AT_ONCE));
        let (mut work, mut under_way) = (JoinSet::new(), HashSet::new());
        loop {
            match self.incomplete_rooms().await {
                Ok(rooms) => {
                    for room in rooms.into_iter().filter(|room| under_way.insert(room.clone())) {
                        work.spawn(self.clone().complete_room(room, clock.clone(), at_once.clone()));
                    }
                }
                Err(error) => tracing::warn!(%error, "rooms of which state is wanting could not be looked for"),
            }
            tokio::select! {
                () = joined.changed() => {}
                () = clock.sleep(LOOK_PAUSE) => {}
                Some(done) = work.join_next(), if !work.is_empty() => match done {
                    Ok(room) => drop(under_way.remove(&room)),
                    Err(error) => {
                        tracing::error!(%error, "completing a room broke off");
                        under_way.clear();
                    }
                },
            }
        }
    }

    /// Those rooms that people of this server are in: the others wait until somebody comes in again.
    async fn incomplete_rooms(&self) -> lyceum_rooms::Result<Vec<OwnedRoomId>> {
        let mut rooms = Vec::new();
        for room in self.0.rooms.partial_rooms().await? {
            if self.0.rooms.snapshot(&room).await.is_ok_and(|snapshot| snapshot.is_local()) {
                rooms.push(room);
            }
        }
        Ok(rooms)
    }

    async fn complete_room(self, room: OwnedRoomId, clock: Arc<dyn Clock>, at_once: Arc<Semaphore>) -> OwnedRoomId {
        let mut pause = FIRST_PAUSE;
        for tries in 0.. {
            let permit = at_once.acquire().await;
            let done = self.try_to_complete(&room, tries).await;
            drop(permit);
            match done {
                Ok(true) => break,
                Ok(false) => continue,
                Err(trouble) => tracing::info!(%room, ?trouble, "the rest of a room's state could not be had yet"),
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        room
    }

    /// Answers whether there is nothing more to do.
    async fn try_to_complete(&self, room: &RoomId, tries: usize) -> Result<bool, Trouble> {
        let snapshot = match self.0.rooms.snapshot(room).await {
            // It was taken away meanwhile.
            Err(RoomError::UnknownRoom(_)) => return Ok(true),
            found => found?,
        };
        let Some(partial) = snapshot.partial().filter(|_| snapshot.is_local()) else { return Ok(true) };
        let mut filling = Filling::new(&self.0, self.0.rooms.server(), &snapshot);
        filling.resident = partial.servers.first().cloned();
        let known = partial.servers.iter().filter(|server| self.0.peers.allows(server));
        let known: Vec<_> = known.filter(|server| *server != self.0.rooms.server()).cloned().collect();
        let first = (tries * SERVERS_PER_TRY) % known.len().max(1);
        filling.servers = known.iter().cycle().skip(first).take(SERVERS_PER_TRY.min(known.len())).cloned().collect();
        let mut told = WholeStates::new();
        for join in self.0.rooms.beginnings_untold(partial).await? {
            told.insert(join.id().clone(), filling.whole_state_before(join.event()).await?);
        }
        Ok(self.0.rooms.make_whole(room, &told).await?)
    }
}

impl Filling<'_> {
    /// The whole state before a join, from the first server that tells it.
    async fn whole_state_before(&self, join: &Event) -> Result<Vec<OwnedEventId>, Trouble> {
        let mut trouble = Trouble::there("there is no server to ask");
        for server in &self.servers {
            match self.told_before(server, join).await {
                Ok(state) => return Ok(state),
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(there) => trouble = there,
            }
        }
        Err(trouble)
    }

    /// The state before an event: that before the one it follows, and what this one changes. Servers have that even where they
    /// do not know the event itself.
    async fn told_before(&self, server: &ServerName, event: &Event) -> Result<Vec<OwnedEventId>, Trouble> {
        if let [prev] = event.prev() {
            match self.state_after(server, prev).await {
                Ok(Some(state)) => return Ok(state),
                Ok(None) => {}
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(Trouble::There(why) | Trouble::Never(why)) => {
                    tracing::debug!(%server, why, "the state before the event before is not told")
                }
            }
        }
        let state = self.state_at(server, event.id()).await?;
        state.ok_or_else(|| Trouble::there("the state is not known there"))
    }
}
