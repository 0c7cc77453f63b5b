//! What a server that could not be reached missed of a room.

use lyceum_rooms::{Direction, Known};
use ruma::{RoomId, ServerName};
use std::{collections::HashMap, sync::Arc};

use super::{RoomsSource, failed, pdu};
use crate::{
    PeerError,
    sender::{Missed, member::is_sent_away},
};

/// A server that missed more events of this server in a room than this is sent only the last one: it leads to the rest.
const MISSED_EVENTS_MAX: usize = 200;

/// Events of a room that are looked through for those of this server which another one missed.
const SCANNED_EVENTS_MAX: usize = 2_000;
const SCAN_PAGE: usize = 500;

/// Whether a server was in the room, by the group of its state then: most events leave the state as it is.
type WasIn = HashMap<Option<u64>, bool>;

impl RoomsSource {
    /// What a server missed of a room since a position: the events of this server there, as far as it was in the room itself.
    pub(super) async fn missed_events(
        &self,
        server: &ServerName,
        room: &RoomId,
        from: u64,
        most: usize,
    ) -> Result<Missed, PeerError> {
        if self.snapshot(room).await?.is_none() {
            return Ok(Missed::default());
        }
        let (mut missed, mut was_in) = (Vec::new(), WasIn::new());
        let mut next = Some(from.cast_signed() - 1);
        let mut scanned = 0;
        while let Some(after) = next {
            let page = self.rooms.page(room, Direction::Forward, after, None, SCAN_PAGE).await.map_err(failed)?;
            scanned += page.events.len();
            for known in page.events {
                if self.concerns(server, &known, &mut was_in).await? {
                    missed.push(known);
                }
            }
            next = page.next;
            if missed.len() > MISSED_EVENTS_MAX || (next.is_some() && scanned >= SCANNED_EVENTS_MAX) {
                return self.last_of_ours(server, room).await;
            }
        }
        let order = |known: &Arc<Known>| known.order().unwrap_or_default().cast_unsigned();
        let rest_from = missed.get(most).map(order);
        let pieces = missed.iter().take(most).map(|known| (order(known), pdu(known))).collect();
        Ok(Missed { pieces, rest_from })
    }

    /// Whether a server is told of an event: it is this server's to tell, and the other was in the room, or is sent away by it.
    async fn concerns(&self, server: &ServerName, known: &Known, was_in: &mut WasIn) -> Result<bool, PeerError> {
        if !self.is_ours(known) {
            return Ok(false);
        }
        if is_sent_away(known.event(), server) {
            return Ok(true);
        }
        if let Some(was_in) = was_in.get(&known.room_after()) {
            return Ok(*was_in);
        }
        let found = self.others_at(known).await?.contains(server);
        was_in.insert(known.room_after(), found);
        Ok(found)
    }

    /// The last event of this server in a room that another is told of: all its others there come before it in the graph.
    async fn last_of_ours(&self, server: &ServerName, room: &RoomId) -> Result<Missed, PeerError> {
        let is_in = self.snapshot(room).await?.is_some_and(|snapshot| snapshot.has_server(server));
        let (mut next, mut was_in) = (Some(i64::MAX).filter(|_| is_in), WasIn::new());
        while let Some(before) = next {
            let page = self.rooms.page(room, Direction::Backward, before, Some(0), SCAN_PAGE).await.map_err(failed)?;
            for known in page.events {
                if self.concerns(server, &known, &mut was_in).await? {
                    let order = known.order().unwrap_or_default().cast_unsigned();
                    return Ok(Missed { pieces: vec![(order, pdu(&known))], rest_from: None });
                }
            }
            next = page.next;
        }
        Ok(Missed::default())
    }
}
