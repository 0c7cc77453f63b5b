//! For tests: the rooms of one server, in memory, with a clock that stands and seeded chance.

use lyceum_events::{Draft, ManualClock, ServerKey};
use lyceum_storage::Store;
use rand::{SeedableRng, rngs::StdRng};
use ruma::{CanonicalJsonObject, OwnedEventId, OwnedRoomId, OwnedServerName, RoomId, UserId};
use serde_json::json;
use std::sync::Arc;

use crate::{
    Joining, Judge, Lenient, Nameless, NewRoom, Outcome, Preset, Result, Rooms, RoomsConfig, RoomsParts, Sender,
    Transaction,
};

/// Content from JSON.
pub(crate) fn content(value: serde_json::Value) -> CanonicalJsonObject {
    serde_json::from_value(value).unwrap()
}

/// Rooms over a store.
pub(crate) fn over(store: Store, server: &str) -> Rooms {
    judged(store, server, Arc::new(Lenient))
}

/// Rooms over a store, with these rules.
pub(crate) fn judged(store: Store, server: &str, judge: Arc<dyn Judge>) -> Rooms {
    let server = OwnedServerName::try_from(server).unwrap();
    let seed = [server.as_bytes()[0]; 32];
    Rooms::new(RoomsParts {
        store,
        key: ServerKey::from_seed(server, &seed, "a").unwrap(),
        clock: Arc::new(ManualClock::at(1_700_000_000_000)),
        chance: StdRng::from_seed(seed),
        judge,
        people: Arc::new(Nameless),
        config: RoomsConfig::default(),
    })
}

/// The rooms of a server with an empty store.
pub(crate) async fn alpha() -> Rooms {
    over(Store::memory().await.unwrap(), "alpha.test")
}

impl Rooms {
    pub(crate) async fn public_room(&self, creator: &UserId) -> OwnedRoomId {
        let new = NewRoom { preset: Preset::PublicChat, ..NewRoom::default() };
        self.create(creator, new).await.unwrap().room_id
    }

    pub(crate) async fn comes_in(&self, user: &UserId, room: &RoomId) -> Result<Outcome> {
        self.join(&Joining { user, reason: None, is_guest: false, more: Default::default() }, room).await
    }

    pub(crate) async fn says(&self, user: &UserId, room: &RoomId, text: &str) -> Result<OwnedEventId> {
        let draft = Draft::message("m.room.message", content(json!({"msgtype": "m.text", "body": text})));
        self.send(Sender::of(user), room, draft).await
    }

    pub(crate) async fn says_once(&self, user: &UserId, room: &RoomId, id: &str) -> Result<OwnedEventId> {
        let draft = Draft::message("m.room.message", content(json!({"msgtype": "m.text", "body": id})));
        let transaction = Transaction { device: "DEVICE", endpoint: "send/m.room.message", id };
        self.send(Sender { user, transaction: Some(transaction), ts: None }, room, draft).await
    }
}
