//! Rooms as other servers tell of them: summaries, and the rooms below a space.

use lyceum_peers::calls::HierarchyPart;
use lyceum_rooms::{Asker, Outside, OutsideRoom};
use lyceum_web::ApiError;
use ruma::{OwnedServerName, RoomId, room::RoomSummary};
use serde_json::{Value, value::to_raw_value};
use std::{sync::Arc, time::Duration};

use super::{Remote, memory::Learnt};

/// How long a room is told of without asking again.
const FRESH: Duration = Duration::from_secs(30);
/// How long one server may take: a walk through a space asks many.
const PATIENCE: Duration = Duration::from_secs(10);
/// Servers that are asked about one room.
const SERVERS_MAX: usize = 3;

#[async_trait::async_trait]
impl Outside for Remote {
    async fn look_at(&self, room: &RoomId, via: &[OwnedServerName], suggested_only: bool) -> Option<Arc<OutsideRoom>> {
        let key = (room.to_owned(), suggested_only);
        if let Some(learnt) = self.memory.rooms().get(&key)
            && learnt.is_within(FRESH, self.clock.monotonic())
        {
            return Some(learnt.what);
        }
        let servers = via.iter().cloned().chain(room.server_name().map(ToOwned::to_owned));
        for server in self.to_ask(servers).iter().take(SERVERS_MAX) {
            let asking = self.peers.hierarchy(server, room, suggested_only);
            match tokio::time::timeout(PATIENCE, asking).await {
                Ok(Ok(part)) => match self.learn(room, part, suggested_only) {
                    Some(found) => return Some(found),
                    None => tracing::debug!(%server, %room, "told of another room than was asked about"),
                },
                Ok(Err(error)) => tracing::debug!(%server, %room, %error, "the server tells nothing of the room"),
                Err(_) => tracing::debug!(%server, %room, "the server took too long to tell of the room"),
            }
        }
        None
    }
}

impl Remote {
    /// Asks other servers what may be told of a room.
    pub(crate) async fn summary(
        &self,
        asker: Asker<'_>,
        room: &RoomId,
        via: &[OwnedServerName],
    ) -> Result<RoomSummary, ApiError> {
        let mut servers = via.to_vec();
        if let Asker::Person(user) = asker {
            servers.extend(self.rooms.servers_outside(user, room).await?);
        }
        let found = match self.look_at(room, &servers, false).await {
            Some(found) if self.rooms.may_know_of_outside(asker, &found.summary).await? => found,
            _ => return Err(ApiError::not_found("There is no such room that you may know of")),
        };
        Ok(found.summary.clone())
    }

    /// Remembers what a server told of a room.
    fn learn(&self, room: &RoomId, part: HierarchyPart, suggested_only: bool) -> Option<Arc<OutsideRoom>> {
        let found = Arc::new(outside_room(part).filter(|found| found.summary.room_id == room)?);
        let learnt = Learnt { what: found.clone(), at: self.clock.monotonic() };
        self.memory.rooms().insert((room.to_owned(), suggested_only), learnt);
        Some(found)
    }
}

fn outside_room(part: HierarchyPart) -> Option<OutsideRoom> {
    let mut told = part.room;
    let children = told.remove("children_state");
    let children = children.iter().filter_map(Value::as_array).flatten();
    let children = children.filter_map(|child| to_raw_value(child).ok()).collect();
    let summary = |told| serde_json::from_value::<RoomSummary>(Value::Object(told)).ok();
    let below = part.children.into_iter().filter_map(summary).collect();
    Some(OutsideRoom { summary: summary(told)?, children, below })
}
