//! Reading marks as people set them: checked against the room and the thread they name.

use lyceum_storage::Position;
use ruma::{EventId, MilliSecondsSinceUnixEpoch, RoomId, UserId, events::receipt::ReceiptThread};

use crate::{
    Known, Relation, Result, RoomError, Rooms,
    receipts::{Receipt, ReceiptKind},
};

/// Relations followed from an event to the thread it is shown in, so that a loop of events ends.
const RELATION_HOPS_MAX: usize = 8;
/// The name of the part of a room outside threads.
pub const MAIN_THREAD: &str = "main";

impl Rooms {
    /// Moves a person's receipt to an event. Answers the stream position if it moved.
    pub async fn read(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: ReceiptKind,
        thread: ReceiptThread,
        event: &EventId,
    ) -> Result<Option<Position>> {
        let snapshot = self.snapshot(room).await?;
        if !snapshot.is_joined(user) {
            return Err(RoomError::forbidden("You are not in this room"));
        }
        let known = self.known(event).await?.filter(|known| known.event().room() == room);
        let known = known.ok_or_else(|| RoomError::UnknownEvent(event.to_owned()))?;
        self.check_thread(&known, &thread).await?;
        // Reading an event without a place in the timeline says nothing about what was read.
        let Some(order) = known.order() else { return Ok(None) };
        let (event, ts) = (event.as_str(), self.0.clock.now());
        let receipt = Receipt { room, user, kind, thread, event, order: Some(order), ts };
        Ok(self.receipts().advance(&receipt).await?)
    }

    /// Takes a receipt of somebody of another server as that one says; now where it does not say when. The event may be
    /// on its way here, or be one of those from before this server came in.
    pub async fn read_elsewhere(
        &self,
        user: &UserId,
        room: &RoomId,
        thread: ReceiptThread,
        event: &str,
        ts: Option<MilliSecondsSinceUnixEpoch>,
    ) -> Result<Option<Position>> {
        if !self.snapshot(room).await?.may_be_joined(user) {
            return Err(RoomError::forbidden("This person is not in the room"));
        }
        let known = match <&EventId>::try_from(event) {
            Ok(id) => self.known(id).await?,
            Err(_) => None,
        };
        if known.as_ref().is_some_and(|known| known.event().room() != room) {
            return Err(RoomError::InvalidParam(format!("event {event} is one of another room")));
        }
        match (&thread, &known) {
            (ReceiptThread::Unthreaded | ReceiptThread::Main, _) => {}
            (ReceiptThread::Thread(_), Some(known)) => self.check_thread(known, &thread).await?,
            // Whether it is a thread cannot be told; that it may be one, its id has shown.
            (ReceiptThread::Thread(_), None) => {}
            _ => return Err(RoomError::InvalidParam("a thread is named by an event".to_owned())),
        }
        if self.receipts().is_crowded(room, user, &thread).await? {
            return Err(RoomError::Limit("receipts in too many threads of this room".to_owned()));
        }
        let order = known.and_then(|known| known.order());
        let ts = ts.unwrap_or_else(|| self.0.clock.now());
        let receipt = Receipt { room, user, kind: ReceiptKind::Public, thread, event, order, ts };
        Ok(self.receipts().advance(&receipt).await?)
    }

    /// Spec, receipts: refused where "the event_id is not related to the thread_id", be it by relations that leave the event in
    /// the main timeline: who read a reaction to a thread's root has seen the thread up to there.
    async fn check_thread(&self, known: &Known, thread: &ReceiptThread) -> Result<()> {
        let ReceiptThread::Thread(root) = thread else { return Ok(()) };
        let mut relation = Relation::of(known.event());
        let mut is_related = known.id() == root;
        for _ in 0..RELATION_HOPS_MAX {
            let Some(found) = relation.filter(|_| !is_related) else { break };
            is_related = found.event_id == *root;
            relation = self.known(&found.event_id).await?.and_then(|known| Relation::of(known.event()));
        }
        if is_related {
            return Ok(());
        }
        Err(RoomError::InvalidParam(format!("event {} is not related to the thread {root}", known.id())))
    }

    /// The thread an event is shown in: its root's id, or `main`. What relates to an event otherwise (an edit, a reaction)
    /// is shown where that one is.
    pub async fn thread_of(&self, known: &Known) -> Result<String> {
        let mut relation = Relation::of(known.event());
        for _ in 0..RELATION_HOPS_MAX {
            let Some(found) = relation else { break };
            if found.rel_type == "m.thread" {
                return Ok(found.event_id.to_string());
            }
            relation = self.known(&found.event_id).await?.and_then(|known| Relation::of(known.event()));
        }
        Ok(MAIN_THREAD.to_owned())
    }
}
