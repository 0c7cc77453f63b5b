//! The handle: opening requests, closing them, and who asks.

use lyceum_events::Clock;
use lyceum_institution::{Desk, Institution};
use lyceum_rooms::{Rooms, Sender, Transaction};
use lyceum_storage::{Batch, Store};
use ruma::{CanonicalJsonObject, EventId, OwnedEventId, OwnedRoomId, RoomId, UserId};
use std::sync::Arc;

use super::{Passed, Request, content, words};
use crate::{
    campus::{CampusRooms, SUPPORT_ROOM},
    moderation::{Moderation, ModerationError, Result},
    tables::{OPEN_REQUESTS, PASSED, REQUESTS},
};

/// The desk's accounts have no devices; their transaction ids have a place all the same.
const DEVICE: &str = "lyceum";
/// Open requests listed at once.
pub(super) const LISTED_MAX: usize = 100;

/// What the desk is built from.
pub struct SupportParts {
    /// Where requests are kept.
    pub store: Store,
    /// Rooms.
    pub rooms: Rooms,
    /// The desk's settings, roles.
    pub institution: Institution,
    /// Who makes the room of those who support.
    pub keeper: CampusRooms,
    /// Who knows who oversees, and tells people things.
    pub moderation: Moderation,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Passes on what people ask. Cheap to clone.
#[derive(Clone)]
pub struct Support(Arc<SupportParts>);

impl Support {
    /// The desk.
    pub fn new(parts: SupportParts) -> Self {
        Self(Arc::new(parts))
    }

    pub(super) fn parts(&self) -> &SupportParts {
        &self.0
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The account that people ask, and the desk's settings.
    pub(super) fn desk(&self) -> Option<(&UserId, &Desk)> {
        let institution = &self.0.institution;
        institution.desk().zip(institution.settings().desk.as_ref())
    }

    /// The room of those who support.
    pub(super) async fn team(&self) -> Result<Option<OwnedRoomId>> {
        Ok(self.0.keeper.room_for(SUPPORT_ROOM).await?)
    }

    pub(super) async fn request(&self, number: u64) -> Result<Request> {
        let found = self.store().get(&REQUESTS, number).await?;
        found.ok_or_else(|| ModerationError::NotFound(format!("there is no request {number}")))
    }

    /// The open request of a chat, which is opened and told of when there is none.
    pub(super) async fn request_in(&self, room: &RoomId, team: &RoomId, asker: &UserId) -> Result<Request> {
        let request = match self.store().get(&OPEN_REQUESTS, room.as_str()).await? {
            Some(number) => self.request(number).await?,
            None => self.open(room, asker).await?,
        };
        match request.root {
            Some(_) => Ok(request),
            None => self.begin_thread(request, team).await,
        }
    }

    async fn open(&self, room: &RoomId, asker: &UserId) -> Result<Request> {
        let newest = self.store().scan(&REQUESTS, REQUESTS.all().reversed().limit(1)).await?;
        let number = newest.first().map_or(1, |(number, _)| number + 1);
        let now = self.0.clock.now().get().into();
        let request = Request::open(number, room.as_str(), asker.as_str(), now);
        let mut batch = Batch::new();
        batch.expect(&REQUESTS, number, None).put(&REQUESTS, number, &request);
        batch.expect(&OPEN_REQUESTS, room.as_str(), None).put(&OPEN_REQUESTS, room.as_str(), &number);
        self.store().commit(batch).await?;
        tracing::info!(request = number, "a request was opened at the support desk");
        Ok(request)
    }

    /// Begins a request's thread, and tells whoever asks who sees what. After a crash the same is said once all the same.
    async fn begin_thread(&self, before: Request, team: &RoomId) -> Result<Request> {
        let Some((account, desk)) = self.desk() else { return Ok(before) };
        let role = self.role_of(&before).await?;
        let named = (!desk.anonymous).then_some(before.user_id.as_str());
        let (number, own) = (before.number, self.0.institution.account());
        let root = content::said(&words::opened(&before, named, &role));
        let root = self.say((own, team), &format!("request-{number}"), root).await?;
        let asked_in = room_of(&before)?;
        let greeting = content::said(&words::greeting(&before, desk.anonymous));
        self.say((account, &asked_in), &format!("greeting-{number}"), greeting).await?;
        let after = Request { root: Some(root.to_string()), ..before.clone() };
        let mut batch = Batch::new();
        batch.expect(&REQUESTS, number, Some(&before)).put(&REQUESTS, number, &after);
        batch.put(&PASSED, root.as_str(), &Passed { request: number, other: None });
        self.store().commit(batch).await?;
        Ok(after)
    }

    async fn role_of(&self, request: &Request) -> Result<String> {
        let institution = &self.0.institution;
        let roster = institution.roster().await?;
        let facts = institution.facts(&roster);
        let user = <&UserId>::try_from(request.user_id.as_str()).ok();
        Ok(user.map_or_else(|| "visitor".to_owned(), |user| facts.someone(user).title().to_owned()))
    }

    /// Closes a request. Whoever asked is told.
    pub(super) async fn close(&self, number: u64, text: Option<&str>) -> Result<()> {
        let before = self.request(number).await?;
        if before.closed_ms.is_some() {
            return Err(ModerationError::Wrong(format!("request {number} is closed")));
        }
        let after = Request { closed_ms: Some(self.0.clock.now().get().into()), ..before.clone() };
        let mut batch = Batch::new();
        batch.expect(&REQUESTS, number, Some(&before)).put(&REQUESTS, number, &after);
        batch.delete(&OPEN_REQUESTS, &before.room_id);
        self.store().commit(batch).await?;
        if let Some((account, _)) = self.desk() {
            let told = content::said(&words::closed(number, text));
            self.say((account, &room_of(&before)?), &format!("closed-{number}"), told).await?;
        }
        Ok(())
    }

    /// The requests that are open, the oldest first.
    pub(super) async fn open_requests(&self) -> Result<Vec<Request>> {
        let rows = self.store().scan(&OPEN_REQUESTS, OPEN_REQUESTS.all().limit(LISTED_MAX)).await?;
        let mut requests = Vec::new();
        for (_, number) in rows {
            requests.push(self.request(number).await?);
        }
        requests.sort_by_key(|request| request.number);
        Ok(requests)
    }

    /// Says something in a room in the name of one of the institution's accounts, once for each id.
    pub(super) async fn say(
        &self,
        (by, room): (&UserId, &RoomId),
        id: &str,
        content: CanonicalJsonObject,
    ) -> Result<OwnedEventId> {
        Ok(self.0.rooms.send(self.sender(by, id), room, content::message(content)).await?)
    }

    /// Takes something back in the name of one of the institution's accounts, once for each id.
    pub(super) async fn unsay(&self, (by, room): (&UserId, &RoomId), id: &str, event: &EventId) -> Result<()> {
        self.0.rooms.redact(self.sender(by, id), room, event, None).await?;
        Ok(())
    }

    fn sender<'a>(&self, by: &'a UserId, id: &'a str) -> Sender<'a> {
        let transaction = Transaction { device: DEVICE, endpoint: "support", id };
        Sender { transaction: Some(transaction), ..Sender::of(by) }
    }
}

pub(super) fn room_of(request: &Request) -> Result<OwnedRoomId> {
    let damaged = |_| ModerationError::Wrong(format!("request {} names no room", request.number));
    request.room_id.as_str().try_into().map_err(damaged)
}
