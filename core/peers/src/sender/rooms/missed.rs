//! What a server that could not be reached missed of a room.

use lyceum_rooms::{Direction, Known};
use ruma::{RoomId, ServerName};
use std::sync::Arc;

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

impl RoomsSource {
    /// What a server missed of a room since a position: the events of this server there.
    pub(super) async fn missed_events(
        &self,
        server: &ServerName,
        room: &RoomId,
        from: u64,
        most: usize,
    ) -> Result<Missed, PeerError> {
        let Some(snapshot) = self.snapshot(room).await? else { return Ok(Missed::default()) };
        let is_in = snapshot.has_server(server);
        let mut missed = Vec::new();
        let mut next = Some(from.cast_signed() - 1);
        let mut scanned = 0;
        while let Some(after) = next {
            let page = self.rooms.page(room, Direction::Forward, after, None, SCAN_PAGE).await.map_err(failed)?;
            scanned += page.events.len();
            let concerns = |known: &&Arc<Known>| self.is_ours(known) && (is_in || is_sent_away(known.event(), server));
            missed.extend(page.events.iter().filter(concerns).cloned());
            next = page.next;
            if missed.len() > MISSED_EVENTS_MAX || (next.is_some() && scanned >= SCANNED_EVENTS_MAX) {
                return self.last_of_ours(room, is_in).await;
            }
        }
        let order = |known: &Arc<Known>| known.order().unwrap_or_default().cast_unsigned();
        let rest_from = missed.get(most).map(order);
        let pieces = missed.iter().take(most).map(|known| (order(known), pdu(known))).collect();
        Ok(Missed { pieces, rest_from })
    }

    /// The last event of this server in a room: all its others there come before it in the graph.
    async fn last_of_ours(&self, room: &RoomId, is_in: bool) -> Result<Missed, PeerError> {
        let mut next = Some(i64::MAX).filter(|_| is_in);
        while let Some(before) = next {
            let page = self.rooms.page(room, Direction::Backward, before, Some(0), SCAN_PAGE).await.map_err(failed)?;
            if let Some(known) = page.events.iter().find(|known| self.is_ours(known)) {
                let order = known.order().unwrap_or_default().cast_unsigned();
                return Ok(Missed { pieces: vec![(order, pdu(known))], rest_from: None });
            }
            next = page.next;
        }
        Ok(Missed::default())
    }
}
