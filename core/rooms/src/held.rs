//! Posts that wait: built and signed when they were sent, so that they keep their ids, and given their place when somebody
//! has looked at them. A post waits in one row; whoever lets it go or refuses it takes the row away in the same batch.

use lyceum_events::{Draft, Event};
use lyceum_storage::{Batch, Subject};
use ruma::{CanonicalJsonObject, EventId, OwnedEventId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Acceptance, Result, RoomError, Rooms,
    room::TransactionKey,
    tables::{ARCHIVE, HELD, HELD_BY, HELD_IN, HELD_NEWS, StoredOriginal},
    write::{Sender, Writing, bad},
};

/// Posts of one person that may wait at once.
const HELD_BY_ONE_MAX: usize = 50;

/// How a commit says that posts wait or wait no more.
pub const HELD_SUBJECT: &str = "held";

/// A post that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The room.
    pub room_id: String,
    /// Who wrote it.
    pub sender: String,
    /// The rule that holds it.
    pub rule: String,
    /// When it was sent.
    pub at_ms: u64,
    /// The event as it was signed.
    json: Box<str>,
    /// The device and transaction id it was sent with.
    transaction: Option<(String, String)>,
}

impl Held {
    /// The type of the event.
    pub fn kind(&self) -> String {
        self.field("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// What it says.
    pub fn content(&self) -> serde_json::Value {
        self.field("content").unwrap_or_default()
    }

    fn field(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::from_str::<serde_json::Value>(&self.json).ok()?.get(name).cloned()
    }
}

impl Writing {
    /// Lets a post wait. It answers as if it were sent.
    pub(crate) async fn hold(
        mut self,
        sender: Sender<'_>,
        draft: Draft,
        (rule, transaction): (String, Option<TransactionKey>),
    ) -> Result<OwnedEventId> {
        self.rooms.check_room_to_wait(sender.user).await?;
        let auth = self.auth_events(&draft, sender.user).await?;
        let event = self.compose(sender, draft, &auth)?;
        self.authorize(&event, &auth)?;
        let held = Held {
            room_id: event.room().to_string(),
            sender: sender.user.to_string(),
            rule,
            at_ms: self.rooms.0.clock.now().get().into(),
            json: event.json().into(),
            transaction: transaction.as_ref().map(|(_, device, _, id)| (device.clone(), id.clone())),
        };
        let id = event.id().clone();
        if let Some(key) = transaction {
            self.remember(key, &id);
        }
        let unit = self.snapshot().facts().campus.unit.clone();
        let batch = self.batch();
        batch.put(&HELD, id.as_str(), &held).put(&HELD_BY, (sender.user.as_str(), id.as_str()), &());
        if let Some(unit) = unit {
            batch.put(&HELD_IN, (unit.as_str(), id.as_str()), &());
        }
        batch.put(&HELD_NEWS, id.as_str(), &()).touch(Subject::other(HELD_SUBJECT));
        self.queue().durable().await?;
        Ok(id)
    }
}

impl Rooms {
    async fn check_room_to_wait(&self, user: &UserId) -> Result<()> {
        let own = HELD_BY.prefix((user.as_str(),)).limit(HELD_BY_ONE_MAX);
        if self.store().scan(&HELD_BY, own).await?.len() >= HELD_BY_ONE_MAX {
            return Err(RoomError::Refused {
                rule: "approval".to_owned(),
                reason: "Too many of your messages wait to be looked at: please write on when some were".to_owned(),
            });
        }
        Ok(())
    }

    /// The posts that wait, after one, by id.
    pub async fn held_posts(&self, after: Option<&EventId>, limit: usize) -> Result<Vec<(OwnedEventId, Held)>> {
        let all = HELD.all().limit(limit);
        let scan = match after {
            Some(after) => all.after(&HELD, after.as_str()),
            None => all,
        };
        let rows = self.store().scan(&HELD, scan).await?;
        rows.into_iter().map(|(id, held)| Ok((crate::groups::parse_event_id(id)?, held))).collect()
    }

    /// The posts that wait in rooms of a unit, by id.
    pub async fn held_in(&self, unit: &str, limit: usize) -> Result<Vec<(OwnedEventId, Held)>> {
        let rows = self.store().scan(&HELD_IN, HELD_IN.prefix((unit,)).limit(limit)).await?;
        let mut posts = Vec::new();
        for ((_, id), ()) in rows {
            let id = crate::groups::parse_event_id(id)?;
            posts.extend(self.held_post(&id).await?.map(|held| (id, held)));
        }
        Ok(posts)
    }

    /// The posts that wait whose ids begin so.
    pub async fn held_named(&self, beginning: &str, limit: usize) -> Result<Vec<OwnedEventId>> {
        let scan = HELD.all().from(&HELD, beginning).limit(limit);
        let rows = self.store().scan(&HELD, scan).await?;
        let named = rows.into_iter().map(|(id, _)| id).take_while(|id| id.starts_with(beginning));
        named.map(|id| Ok(crate::groups::parse_event_id(id)?)).collect()
    }

    /// Posts of which nobody was told yet that they wait.
    pub async fn held_news(&self, limit: usize) -> Result<Vec<OwnedEventId>> {
        let rows = self.store().scan(&HELD_NEWS, HELD_NEWS.all().limit(limit)).await?;
        rows.into_iter().map(|(id, ())| Ok(crate::groups::parse_event_id(id)?)).collect()
    }

    /// Remembers that somebody was told of a post that waits.
    pub fn note_told(&self, batch: &mut Batch, id: &EventId) {
        batch.delete(&HELD_NEWS, id.as_str());
    }

    /// A post that waits.
    pub async fn held_post(&self, id: &EventId) -> Result<Option<Held>> {
        Ok(self.store().get(&HELD, id.as_str()).await?)
    }

    /// Gives a post that waits its place: the end of the timeline, where everybody sees it now. `Busy`: decide again.
    pub async fn release(&self, id: &EventId, note: impl FnOnce(&mut Batch) -> Result<()> + Send) -> Result<()> {
        let held = self.held_or_unknown(id).await?;
        let mut writing = self.write(&parse_room(&held.room_id)?).await?;
        let rules = writing.rules();
        let event = Event::from_stored(id.to_owned(), held.json.clone(), &rules).map_err(bad)?;
        let event = writing.rooms.recommended(writing.snapshot(), event).await?;
        match writing.receive(&event, None).await? {
            Acceptance::Accepted => {}
            _ => {
                let text = "its author could not send it any more: they may have left the room".to_owned();
                return Err(RoomError::Forbidden(text));
            }
        }
        if let (Some(transaction), Some(new)) = (&held.transaction, writing.new.last_mut()) {
            new.transaction = Some(transaction.clone());
        }
        let unit = writing.snapshot().facts().campus.unit.clone();
        let batch = writing.batch();
        take_away(batch, id, (&held, unit.as_deref()));
        note(batch)?;
        writing.queue().durable().await?;
        Ok(())
    }

    /// Lets nobody see a post that waits; what it said goes into the sealed archive. `Busy`: decide again.
    pub async fn refuse(&self, id: &EventId, note: impl FnOnce(&mut Batch) -> Result<()> + Send) -> Result<()> {
        let held = self.held_or_unknown(id).await?;
        let unit = match self.snapshot(&parse_room(&held.room_id)?).await {
            Ok(snapshot) => snapshot.facts().campus.unit.clone(),
            Err(RoomError::UnknownRoom(_)) => None,
            Err(error) => return Err(error),
        };
        let mut batch = Batch::new();
        take_away(&mut batch, id, (&held, unit.as_deref()));
        let redacted_at_ms = self.0.clock.now().get().into();
        let original = StoredOriginal { room_id: held.room_id.clone(), json: held.json.clone(), redacted_at_ms };
        batch.put(&ARCHIVE, id.as_str(), &original);
        note(&mut batch)?;
        self.store().commit(batch).await?;
        Ok(())
    }

    async fn held_or_unknown(&self, id: &EventId) -> Result<Held> {
        self.held_post(id).await?.ok_or(RoomError::NotFound("no post of that id waits"))
    }
}

fn take_away(batch: &mut Batch, id: &EventId, (held, unit): (&Held, Option<&str>)) {
    batch.expect(&HELD, id.as_str(), Some(held)).delete(&HELD, id.as_str());
    batch.delete(&HELD_BY, (held.sender.as_str(), id.as_str()));
    if let Some(unit) = unit {
        batch.delete(&HELD_IN, (unit, id.as_str()));
    }
    batch.delete(&HELD_NEWS, id.as_str()).touch(Subject::other(HELD_SUBJECT));
}

fn parse_room(room: &str) -> Result<ruma::OwnedRoomId> {
    room.try_into().map_err(|_| RoomError::Damaged(format!("a post waits for a room {room:?}")))
}

/// What a message says, as far as anybody can look at it.
pub(crate) fn texts_of(content: &CanonicalJsonObject) -> String {
    let mut texts = String::new();
    gather(&ruma::CanonicalJsonValue::Object(content.clone()), &mut texts);
    texts
}

fn gather(value: &ruma::CanonicalJsonValue, texts: &mut String) {
    match value {
        ruma::CanonicalJsonValue::String(text) => {
            texts.push_str(text);
            texts.push('\n');
        }
        ruma::CanonicalJsonValue::Array(values) => values.iter().for_each(|value| gather(value, texts)),
        ruma::CanonicalJsonValue::Object(object) => object.values().for_each(|value| gather(value, texts)),
        _ => {}
    }
}
