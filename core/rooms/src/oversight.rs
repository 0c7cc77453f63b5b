//! What those who answer for rooms do in them without being members: reading, taking an event back, sending somebody away.
//! Who may is decided above and noted in the same batch; no campus rule is asked.

use lyceum_events::Draft;
use lyceum_storage::Batch;
use ruma::{CanonicalJsonObject, EventId, OwnedEventId, OwnedUserId, RoomId, UserId, events::TimelineEventType};
use std::sync::Arc;

use crate::{
    Direction, Known, MemberProfile, Membership, Result, RoomError, Rooms, Sender, Snapshot,
    membership_acts::{draft, member_content},
    tables::{ARCHIVE, RELATIONS},
};

/// Events read on either side of one at most.
const AROUND_MAX: usize = 50;
/// Edits of one event that are read.
const EDITS_MAX: usize = 100;

/// An event as those see it who answer for what is said.
#[derive(Debug)]
pub struct Overseen {
    /// The event.
    pub event: Arc<Known>,
    /// What came before it, in order.
    pub before: Vec<Arc<Known>>,
    /// What came after it, in order.
    pub after: Vec<Arc<Known>>,
    /// Its later wordings, in order.
    pub edits: Vec<Arc<Known>>,
}

impl Rooms {
    /// An event and what stands around it, whoever is in the room.
    pub async fn oversee(&self, id: &EventId, around: usize) -> Result<Overseen> {
        let unknown = || RoomError::UnknownEvent(id.to_owned());
        let event = self.known(id).await?.ok_or_else(unknown)?;
        let (room, order) = (event.event().room().to_owned(), event.order().ok_or_else(unknown)?);
        let around = around.clamp(1, AROUND_MAX);
        let mut before = self.page(&room, Direction::Backward, order.saturating_sub(1), None, around).await?.events;
        before.reverse();
        let after = self.page(&room, Direction::Forward, order, None, around).await?.events;
        let edits = self.edits_of(&event).await?;
        Ok(Overseen { event, before, after, edits })
    }

    /// The edits that the author of an event made of it.
    async fn edits_of(&self, event: &Known) -> Result<Vec<Arc<Known>>> {
        let scan = RELATIONS.prefix((event.id().as_str(), "m.replace")).limit(EDITS_MAX);
        let rows = self.store().scan(&RELATIONS, scan).await?;
        let by_author = rows.into_iter().filter(|(_, row)| row.sender == event.event().sender().as_str());
        let ids: Vec<_> = by_author.filter_map(|(_, row)| OwnedEventId::try_from(row.event_id).ok()).collect();
        Ok(self.known_many(&ids).await?.into_iter().flatten().collect())
    }

    /// What an event was before it was redacted, out of the sealed archive.
    pub async fn sealed_original(&self, id: &EventId) -> Result<Option<Box<str>>> {
        Ok(self.store().get(&ARCHIVE, id.as_str()).await?.map(|original| original.json))
    }

    /// Redacts an event for everybody. `Busy`: somebody else was quicker, decide again.
    pub async fn take_back(
        &self,
        account: &UserId,
        id: &EventId,
        reason: &str,
        note: impl FnOnce(&mut Batch) -> Result<()> + Send,
    ) -> Result<OwnedEventId> {
        let known = self.known(id).await?.ok_or_else(|| RoomError::UnknownEvent(id.to_owned()))?;
        if known.redacted_by().is_some() {
            return Err(RoomError::InvalidParam("the message was taken back already".to_owned()));
        }
        let (room, author) = (known.event().room(), known.event().sender());
        let snapshot = self.snapshot(room).await?;
        let able = |user: &UserId| snapshot.power_levels().user_can_redact_event_of_other(user);
        let author = Some(author).filter(|author| snapshot.is_joined(author));
        let by = self.stand_in(&snapshot, account, author, able)?;
        let content = CanonicalJsonObject::from([("reason".to_owned(), reason.into())]);
        let kind = TimelineEventType::RoomRedaction;
        let draft = Draft { kind, state_key: None, content, redacts: Some(id.to_owned()) };
        self.append_noted(&by, room, draft, note).await
    }

    /// Sends somebody out of a room. `Busy`: somebody else was quicker, decide again.
    pub async fn put_out(
        &self,
        account: &UserId,
        (room, user): (&RoomId, &UserId),
        reason: &str,
        note: impl FnOnce(&mut Batch) -> Result<()> + Send,
    ) -> Result<OwnedEventId> {
        let snapshot = self.snapshot(room).await?;
        if !snapshot.membership(user).is_in_or_invited() {
            return Err(RoomError::InvalidParam(format!("{user} is not in that room")));
        }
        let able = |by: &UserId| snapshot.power_levels().user_can_kick_user(by, user);
        let by = self.stand_in(&snapshot, account, Some(user), able)?;
        let draft = draft(user, member_content(Membership::Leave, &MemberProfile::default()), Some(reason));
        self.append_noted(&by, room, draft, note).await
    }

    /// In whose name the institution acts in a room: its own account's where that has the power, which it has in rooms it
    /// made; else that of the person the act is about, who may always take back and leave; else of one here who may.
    fn stand_in(
        &self,
        snapshot: &Snapshot,
        account: &UserId,
        concerned: Option<&UserId>,
        able: impl Fn(&UserId) -> bool,
    ) -> Result<OwnedUserId> {
        if snapshot.is_joined(account) && able(account) {
            return Ok(account.to_owned());
        }
        if let Some(concerned) = concerned.filter(|concerned| self.is_local(concerned)) {
            return Ok(concerned.to_owned());
        }
        let powerful = snapshot.local_joined().find(|user| able(user)).cloned();
        powerful.ok_or_else(|| RoomError::forbidden("nobody of this server has the power to do that in this room"))
    }

    async fn append_noted(
        &self,
        by: &UserId,
        room: &RoomId,
        draft: Draft,
        note: impl FnOnce(&mut Batch) -> Result<()> + Send,
    ) -> Result<OwnedEventId> {
        let mut writing = self.write(room).await?;
        let event = writing.append(Sender::of(by), draft).await?;
        note(writing.batch())?;
        writing.queue().durable().await?;
        Ok(event.id().clone())
    }
}
