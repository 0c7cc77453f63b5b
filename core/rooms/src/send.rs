//! Sending messages and setting state.

use lyceum_events::Draft;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId, RoomId,
    events::{StateEventType, TimelineEventType},
};

use crate::{
    Act, Relation, Result, RoomError, Rooms,
    room::TransactionKey,
    tables::ANNOTATIONS,
    write::{Repeated, Sender, Transaction, WRITE_TRIES, Writing},
};

impl Rooms {
    /// Sends an event, once for each transaction id. Answers when it is durable.
    pub async fn send(&self, sender: Sender<'_>, room: &RoomId, draft: Draft) -> Result<OwnedEventId> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_send(sender, room, &draft).await {
                Err(RoomError::Busy) if tries < WRITE_TRIES => {}
                done => return done,
            }
        }
    }

    async fn try_send(&self, sender: Sender<'_>, room: &RoomId, draft: &Draft) -> Result<OwnedEventId> {
        let mut writing = self.write(room).await.map_err(unknown_is_forbidden)?;
        let transaction = sender.transaction.map(|transaction| transaction_key(sender, room, transaction));
        if let Some(key) = &transaction
            && let Some(repeated) = writing.already_sent(key).await?
        {
            drop(writing);
            return repeated.durable().await;
        }
        if let Some(same) = writing.same_state(sender, draft).await? {
            return Ok(same);
        }
        match writing.ask_judge(sender, draft).await {
            Err(RoomError::Held(rule)) => return writing.hold(sender, draft.clone(), (rule, transaction)).await,
            judged => judged?,
        }
        if writing.is_unheard(sender, draft).await {
            return writing.leave_unheard(sender, draft.clone(), transaction).await;
        }
        let event = writing.append(sender, draft.clone()).await?;
        if let Some(key) = transaction {
            writing.remember(key, event.id());
        }
        writing.queue().durable().await?;
        Ok(event.id().clone())
    }

    /// Sets state. Answers with the event that holds it, which is an old one if it says the same.
    pub async fn set_state(
        &self,
        sender: Sender<'_>,
        room: &RoomId,
        key: (StateEventType, &str),
        mut content: CanonicalJsonObject,
    ) -> Result<OwnedEventId> {
        let (kind, state_key) = key;
        match kind {
            StateEventType::RoomCreate => return Err(RoomError::Bad("a room has one create event".to_owned())),
            StateEventType::RoomCanonicalAlias => self.check_aliases(room, &content).await?,
            StateEventType::RoomPowerLevels => self.check_levels(room, &content).await?,
            // Who vouches for a join is not for the client to say.
            StateEventType::RoomMember => drop(content.remove("join_authorised_via_users_server")),
            _ => {}
        }
        self.send(sender, room, Draft::state(kind.to_string(), state_key, content)).await
    }

    /// Refuses power levels of a form that the room's version does not know. Since version 12 creators have more than any
    /// level says, and may not be named among them.
    async fn check_levels(&self, room: &RoomId, content: &CanonicalJsonObject) -> Result<()> {
        let snapshot = self.snapshot(room).await.map_err(unknown_is_forbidden)?;
        let privileged = snapshot.rules().authorization.explicitly_privilege_room_creators;
        let Some(CanonicalJsonValue::Object(users)) = content.get("users").filter(|_| privileged) else {
            return Ok(());
        };
        let is_creator = |user: &String| snapshot.facts().creators.iter().any(|creator| creator.as_str() == user);
        match users.keys().find(|user| is_creator(user)) {
            Some(user) => Err(RoomError::Bad(format!("{user} made the room and has no power level"))),
            None => Ok(()),
        }
    }

    /// Redacts an event.
    pub async fn redact(
        &self,
        sender: Sender<'_>,
        room: &RoomId,
        target: &EventId,
        reason: Option<&str>,
    ) -> Result<OwnedEventId> {
        let reason = reason.map(|reason| ("reason".to_owned(), reason.to_owned().into()));
        self.send_redaction(sender, room, target, reason.into_iter().collect()).await
    }

    /// Sends a redaction with this content.
    pub async fn send_redaction(
        &self,
        sender: Sender<'_>,
        room: &RoomId,
        target: &EventId,
        mut content: CanonicalJsonObject,
    ) -> Result<OwnedEventId> {
        self.check_redaction(sender.user, room, target).await?;
        content.remove("redacts");
        let kind = TimelineEventType::RoomRedaction;
        let draft = Draft { kind, state_key: None, content, redacts: Some(target.to_owned()) };
        self.send(sender, room, draft).await
    }
}

impl Writing {
    /// The event that already says what a state draft says, if there is one by the same sender.
    pub(crate) async fn same_state(&self, sender: Sender<'_>, draft: &Draft) -> Result<Option<OwnedEventId>> {
        let Some(state_key) = &draft.state_key else { return Ok(None) };
        let kind = StateEventType::from(draft.kind.to_string());
        let held = self.state_event(&kind, state_key).await?;
        let held = held.filter(|held| held.sender() == sender.user && self.snapshot().is_joined(sender.user));
        Ok(held.filter(|held| held.content_as().as_ref() == Some(&draft.content)).map(|held| held.id().clone()))
    }

    pub(crate) async fn ask_judge(&self, sender: Sender<'_>, draft: &Draft) -> Result<()> {
        if let Some(relation) = Relation::of_content(&draft.content)
            && let Some(key) = relation.annotation_key()
        {
            let kind = draft.kind.to_string();
            let annotation = (relation.event_id.as_str(), sender.user.as_str(), kind.as_str(), key);
            if self.rooms.store().get(&ANNOTATIONS, annotation).await?.is_some() {
                return Err(RoomError::DuplicateAnnotation);
            }
        }
        if draft.kind == TimelineEventType::RoomMember {
            return self.ask_judge_of_membership(sender, draft).await;
        }
        let kind = draft.kind.to_string();
        let act = Act::Send {
            room: self.snapshot(),
            kind: &kind,
            state_key: draft.state_key.as_deref(),
            content: &draft.content,
        };
        self.rooms.judge(sender.user, &act).await
    }
}

impl Repeated {
    /// The event of the first request, once it is durable.
    async fn durable(self) -> Result<OwnedEventId> {
        match self {
            Self::Done(event_id) => Ok(event_id),
            Self::OnItsWay(sent) => {
                sent.durable.await?;
                Ok(sent.event_id)
            }
        }
    }
}

/// To a person outside, a room that does not exist looks like one they are not in.
pub(crate) fn unknown_is_forbidden(error: RoomError) -> RoomError {
    match error {
        RoomError::UnknownRoom(room) => RoomError::Forbidden(format!("you are not in room {room}")),
        other => other,
    }
}

pub(crate) fn transaction_key(sender: Sender<'_>, room: &RoomId, transaction: Transaction<'_>) -> TransactionKey {
    let endpoint = format!("{room}|{}", transaction.endpoint);
    (sender.user.to_string(), transaction.device.to_owned(), endpoint, transaction.id.to_owned())
}
