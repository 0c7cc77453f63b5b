//! Events that could not get their places when they came, for want of what they build on: tried again in the background,
//! over restarts, later and later, and soon when something else of their room has got its place.

use futures_util::{StreamExt, stream};
use lyceum_events::{Clock, Event};
use lyceum_rooms::{Acceptance, RoomError, Waiting};
use lyceum_web::ApiError;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, RoomId, ServerName};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

use super::{Intake, Trouble, filling::Filling, limits::count};

/// Rooms whose events are tried at once.
const ROOMS_AT_ONCE: usize = 4;
/// Events of one room that are tried in one go: other rooms have their turn in between.
const EVENTS_AT_ONCE: usize = 10;
/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);
/// The wait before a try for the sake of news.
const NEWS_PAUSE: Duration = Duration::from_secs(2);
/// The wait before the first try; each one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest wait between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// What could not be placed for so long is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How often it is looked for events that another node of this server lets wait.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

/// The rooms in which events wait.
#[derive(Default)]
pub(super) struct WaitingRooms {
    rooms: Mutex<Rooms>,
    told: Notify,
}

#[derive(Default)]
struct Rooms {
    /// Those in which any waits, as far as this node knows.
    with_waiting: HashSet<OwnedRoomId>,
    /// Those of them in which something got its place since they were looked at.
    with_news: HashSet<OwnedRoomId>,
}

impl WaitingRooms {
    /// Something got its place in a room: what waits there may build on it.
    pub(super) fn news_of(&self, room: &RoomId) {
        let mut rooms = self.rooms.lock();
        if rooms.with_waiting.contains(room) {
            rooms.with_news.insert(room.to_owned());
            self.told.notify_one();
        }
    }

    fn take_news(&self, waiting: &[Waiting]) -> HashSet<OwnedRoomId> {
        let mut rooms = self.rooms.lock();
        rooms.with_waiting = waiting.iter().map(|one| one.event.room().to_owned()).collect();
        std::mem::take(&mut rooms.with_news)
    }
}

impl Intake {
    /// Keeps an event to try it again later. Answers what its sender is told: that it has no place, if it cannot be kept.
    pub(super) async fn let_wait(
        &self,
        origin: &ServerName,
        event: &Event,
        why: String,
    ) -> Result<Option<String>, ApiError> {
        Ok(match self.0.rooms.let_wait(event, origin, FIRST_PAUSE).await? {
            true => {
                tracing::debug!(event = %event.id(), room = %event.room(), why, "an event waits for what it builds on");
                count("waits");
                None
            }
            false => Some(why),
        })
    }

    /// Tries waiting events again, for as long as it is run.
    pub async fn try_waiting(self, clock: Arc<dyn Clock>) {
        let begun = self.0.rooms.watch_waiting();
        loop {
            let pause = match self.try_due(&*clock).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "events that wait could not be tried again");
                    LOOK_PAUSE
                }
            };
            tokio::select! {
                () = begun.changed() => {}
                // More may come at once, among it what waits, sent again.
                () = self.0.waiting.told.notified() => clock.sleep(NEWS_PAUSE).await,
                () = clock.sleep(pause) => {}
            }
        }
    }

    /// Tries those that are due, and those of rooms with news. Answers how long it is until the next one is due.
    async fn try_due(&self, clock: &dyn Clock) -> Result<Duration, RoomError> {
        let waiting = self.0.rooms.waiting_events().await?;
        let (news, now) = (self.0.waiting.take_news(&waiting), clock.now());
        let (due, later): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|one| one.due_in(now).is_zero() || news.contains(one.event.room()));
        let mut by_room = BTreeMap::<OwnedRoomId, Vec<Waiting>>::new();
        for one in due {
            by_room.entry(one.event.room().to_owned()).or_default().push(one);
        }
        if by_room.is_empty() {
            return Ok(later.iter().map(|one| one.due_in(now)).min().unwrap_or(LOOK_PAUSE).min(LOOK_PAUSE));
        }
        let rooms = by_room.into_values().map(|mut of_room| async move {
            of_room.sort_by_key(|one| one.event.depth());
            of_room.truncate(EVENTS_AT_ONCE);
            for one in of_room {
                self.try_again(one, clock).await?;
            }
            Ok::<_, RoomError>(())
        });
        let mut rooms = stream::iter(rooms.collect::<Vec<_>>()).buffer_unordered(ROOMS_AT_ONCE);
        while let Some(done) = rooms.next().await {
            done?;
        }
        // Those that go on waiting are looked at at once, to learn when they are due.
        Ok(Duration::ZERO)
    }

    async fn try_again(&self, waiting: Waiting, clock: &dyn Clock) -> Result<(), RoomError> {
        let Waiting { event, origin, tries, .. } = &waiting;
        let trying = tokio::time::timeout(TRY_TIMEOUT, self.try_once(origin, event));
        let why = match trying.await.unwrap_or_else(|_| Err(Trouble::there("it took too long"))) {
            Ok(Acceptance::Missing { .. }) => "what it builds on could not be had".to_owned(),
            Err(Trouble::There(why)) => why,
            Err(Trouble::Never(why)) => {
                tracing::debug!(event = %event.id(), why, "an event that waited is refused");
                count("refused late");
                return self.0.rooms.waits_no_more(&waiting).await;
            }
            Err(Trouble::Here(error)) => {
                tracing::warn!(%error, event = %event.id(), "an event that waits could not be tried");
                "this server failed".to_owned()
            }
            Ok(taken) => {
                tracing::debug!(event = %event.id(), ?taken, "an event waits no more");
                count("waited");
                if taken == Acceptance::Accepted {
                    self.0.waiting.news_of(event.room());
                }
                return self.0.rooms.waits_no_more(&waiting).await;
            }
        };
        if !waiting.due_in(clock.now()).is_zero() {
            // Tried for the sake of news that were of no use to it: it is tried again when it is due.
            return Ok(());
        }
        if waiting.age(clock.now()) >= GIVEN_UP_AFTER {
            tracing::info!(event = %event.id(), room = %event.room(), %origin, why, "an event is given up");
            count("given up");
            return self.0.rooms.waits_no_more(&waiting).await;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << (tries + 1).min(16)).min(LONGEST_PAUSE);
        self.0.rooms.waits_on(&waiting, pause).await
    }

    /// Answers what became of it; where nobody of this server is in the room any more, or the sender is kept out of it by
    /// now, it has no place.
    async fn try_once(&self, origin: &ServerName, event: &Event) -> Result<Acceptance, Trouble> {
        let room = event.room();
        let _turn = self.0.turns.take(origin, room).await;
        let snapshot = self.0.rooms.snapshot(room).await?;
        if !snapshot.is_local() || !self.0.rooms.server_allowed(room, origin).await? {
            return Ok(Acceptance::Rejected("it came from outside the room".to_owned()));
        }
        Filling::new(&self.0, origin, &snapshot).take(event).await
    }
}
