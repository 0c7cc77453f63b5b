//! Events of rooms that nobody here is in: of no use, but for those that take back an invite or refuse a knock.

use lyceum_events::{Received, rules_of};
use lyceum_peers::Unverified;
use lyceum_web::ApiError;
use ruma::{OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

use super::{Intake, Outcomes, limits::count};

/// What is looked at before anything is believed.
#[derive(Deserialize)]
struct Membership {
    #[serde(rename = "type")]
    kind: String,
    state_key: OwnedUserId,
}

impl Intake {
    /// Takes in what concerns people of this server outside the room.
    pub(super) async fn outside(&self, room: &RoomId, pdus: Vec<Box<RawValue>>) -> Result<Outcomes, ApiError> {
        for pdu in pdus {
            let membership = serde_json::from_str::<Membership>(pdu.get());
            let about = membership.ok().filter(|one| one.kind == "m.room.member").map(|one| one.state_key);
            match about.filter(|user| self.0.rooms.is_local(user)) {
                Some(user) if self.sent_away(room, &user, &pdu).await? => count("sent away"),
                _ => count("of another's room"),
            }
        }
        Ok(Outcomes::new())
    }

    async fn sent_away(&self, room: &RoomId, user: &OwnedUserId, pdu: &RawValue) -> Result<bool, ApiError> {
        let version = self.0.rooms.version_outside(user, room).await?;
        let Some(rules) = version.and_then(|version| rules_of(&version)).map(Arc::new) else { return Ok(false) };
        let Ok(event) = Received::parse(pdu.get(), &rules) else { return Ok(false) };
        match self.0.peers.verify_events(vec![Unverified { event, rules }]).await?.pop() {
            Some(Ok(verified)) => Ok(self.0.rooms.take_rejection(&verified.into_event()).await?),
            _ => Ok(false),
        }
    }
}
