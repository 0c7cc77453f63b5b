//! Sending a delayed event: the event and the end of its row are one batch.

use lyceum_events::Draft;
use lyceum_storage::{Batch, CommitError};
use ruma::{
    CanonicalJsonObject, OwnedEventId, UserId,
    events::{StateEventType, TimelineEventType},
};

use super::{DelayedOutcome, StoredDelayed, time};
use crate::{Result, RoomError, Rooms, Sender, send::unknown_is_forbidden, write::WRITE_TRIES};

impl Rooms {
    /// Sends a delayed event now.
    pub async fn send_delayed(&self, id: &str) -> Result<OwnedEventId> {
        self.end_by_sending(id, true).await
    }

    /// Sends one that waits. If the room does not permit it, it ends all the same, and the refusal is the answer.
    pub(super) async fn end_by_sending(&self, id: &str, was_asked_for: bool) -> Result<OwnedEventId> {
        for _ in 0..WRITE_TRIES {
            let (user, row) = self.waiting(id).await?;
            match self.try_send_delayed((&user, id), &row, was_asked_for).await {
                Err(RoomError::Busy) => {}
                Err(passing @ (RoomError::Storage(_) | RoomError::Commit(_))) => return Err(passing),
                Err(refusal) => {
                    let outcome = DelayedOutcome::Refused(refusal.to_string());
                    self.end_delayed((&user, id), &row, outcome, was_asked_for).await?;
                    return Err(refusal);
                }
                sent => return sent,
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_send_delayed(
        &self,
        (user, id): (&UserId, &str),
        row: &StoredDelayed,
        was_asked_for: bool,
    ) -> Result<OwnedEventId> {
        let room = row.room()?;
        let sender = Sender { user, transaction: None, ts: time(row.ts) };
        let draft = self.draft_of(user, row).await?;
        let mut writing = self.write(&room).await.map_err(unknown_is_forbidden)?;
        if let Some(same) = writing.same_state(sender, &draft).await? {
            drop(writing);
            self.end_delayed((user, id), row, DelayedOutcome::Sent(same.clone()), was_asked_for).await?;
            return Ok(same);
        }
        writing.ask_judge(sender, &draft).await?;
        if writing.is_unheard(sender, &draft).await {
            let unheard = writing.leave_unheard(sender, draft, None).await?;
            self.end_delayed((user, id), row, DelayedOutcome::Sent(unheard.clone()), was_asked_for).await?;
            return Ok(unheard);
        }
        let event = writing.append(sender, draft).await?;
        let ended = row.clone().ended(self.now_ms(), DelayedOutcome::Sent(event.id().clone()), was_asked_for);
        self.replace_delayed(writing.batch(), (user, id), row, &ended);
        writing.queue().durable().await?;
        Ok(event.id().clone())
    }

    /// Ends one without an event of its own. That somebody else ended it meanwhile is as good.
    pub(super) async fn end_delayed(
        &self,
        key: (&UserId, &str),
        row: &StoredDelayed,
        outcome: DelayedOutcome,
        was_asked_for: bool,
    ) -> Result<()> {
        let mut batch = Batch::new();
        let ended = row.clone().ended(self.now_ms(), outcome, was_asked_for);
        self.replace_delayed(&mut batch, key, row, &ended);
        match self.store().commit(batch).await {
            Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn draft_of(&self, user: &UserId, row: &StoredDelayed) -> Result<Draft> {
        let room = row.room()?;
        let mut content: CanonicalJsonObject = serde_json::from_str(&row.content)
            .map_err(|error| RoomError::Damaged(format!("a delayed event: {error}")))?;
        if let Some(state_key) = &row.state_key {
            if StateEventType::from(row.kind.as_str()) == StateEventType::RoomCanonicalAlias {
                self.check_aliases(&room, &content).await?;
            }
            return Ok(Draft::state(row.kind.as_str(), state_key, content));
        }
        let kind = TimelineEventType::from(row.kind.as_str());
        if kind != TimelineEventType::RoomRedaction {
            return Ok(Draft::message(kind, content));
        }
        let target = content.remove("redacts");
        let target = target.as_ref().and_then(|id| OwnedEventId::try_from(id.as_str()?).ok());
        let target = target.ok_or_else(|| RoomError::Bad("a redaction names the event it redacts".to_owned()))?;
        self.check_redaction(user, &room, &target).await?;
        Ok(Draft { kind, state_key: None, content, redacts: Some(target) })
    }
}
