//! `m.receipt`: how far people of another server have read, threads included.

use lyceum_rooms::receipts::ReceiptKind;
use ruma::{
    OwnedUserId, RoomId,
    api::federation::transactions::edu::{ReceiptContent, ReceiptData},
};

use super::Hearing;
use crate::intake::Trouble;

/// Receipts of one unit that are taken in.
const RECEIPTS_MAX: usize = 1_000;

impl Hearing<'_> {
    pub(super) async fn receipts(self, content: Result<ReceiptContent, Trouble>) -> Result<(), Trouble> {
        let rooms = content?.receipts.into_iter();
        let receipts = rooms.flat_map(|(room, of)| of.read.into_iter().map(move |receipt| (room.clone(), receipt)));
        let mut refused = None;
        for (room, receipt) in receipts.take(RECEIPTS_MAX) {
            match self.receipt(&room, receipt).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                // One that is wrong says nothing of the others.
                Err(there) => refused = Some(there),
                Ok(()) => {}
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn receipt(&self, room: &RoomId, (user, read): (OwnedUserId, ReceiptData)) -> Result<(), Trouble> {
        self.check_own(&user)?;
        self.room(room).await?;
        let Some(event) = read.event_ids.last() else { return Ok(()) };
        let (thread, ts) = (read.data.thread, read.data.ts);
        self.rooms.read_at(&user, room, ReceiptKind::Public, thread, event, ts).await?;
        Ok(())
    }
}
