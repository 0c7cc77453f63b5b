//! What shadow-banned people send: decided on and answered like everything else, so that nothing gives it away, and written
//! down nowhere. They come and go as they like; whatever else they do in a room reaches nobody.

use lyceum_events::Draft;
use ruma::{OwnedEventId, UserId, events::TimelineEventType};

use crate::{Membership, Result, Rooms, Sender, room::TransactionKey, write::Writing};

impl Rooms {
    /// Whether what a person sends reaches nobody.
    pub async fn is_unheard(&self, user: &UserId) -> bool {
        self.is_local(user) && self.0.people.is_shadow_banned(user).await
    }
}

impl Writing {
    /// Whether this is to reach nobody.
    pub(crate) async fn is_unheard(&self, sender: Sender<'_>, draft: &Draft) -> bool {
        !self.is_coming_or_going(sender.user, draft) && self.rooms.is_unheard(sender.user).await
    }

    /// Whether somebody comes into the room, or leaves it, by themselves.
    fn is_coming_or_going(&self, user: &UserId, draft: &Draft) -> bool {
        let said = draft.content.get("membership").and_then(|value| value.as_str()).and_then(Membership::named);
        draft.kind == TimelineEventType::RoomMember
            && draft.state_key.as_deref() == Some(user.as_str())
            && matches!(said, Some(Membership::Join | Membership::Leave))
            && said != Some(self.snapshot().membership(user))
    }

    /// Answers as if the draft were sent. Its transaction id is kept, so that a repeated request is answered the same.
    pub(crate) async fn leave_unheard(
        mut self,
        sender: Sender<'_>,
        draft: Draft,
        transaction: Option<TransactionKey>,
    ) -> Result<OwnedEventId> {
        let auth = self.auth_events(&draft, sender.user).await?;
        let event = self.compose(sender, draft, &auth)?;
        self.authorize(&event, &auth)?;
        if let Some(key) = transaction {
            self.remember(key, event.id());
        }
        self.queue().durable().await?;
        Ok(event.id().clone())
    }
}
