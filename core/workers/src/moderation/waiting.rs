//! Posts that wait to be looked at: telling those who moderate, letting posts go, refusing them.

use lyceum_institution::{
    InstitutionError,
    audit::{Actor, Entry},
};
use lyceum_rooms::{Held, RoomError};
use lyceum_storage::Batch;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Moderation, Notice,
    desk::{RULE, TRIES},
    error::{ModerationError, Result},
    notices::tell,
    words,
};
use crate::campus::approvals_key;

/// Posts read at once.
const HELD_PAGE: usize = 500;
/// Posts of which people are told at once.
const NEWS_PAGE: usize = 100;
/// How much of an id names a post.
const ID_LETTERS_MIN: usize = 5;
/// Letters of an id that posts are called by.
pub(super) const ID_LETTERS: usize = 9;

/// A post that waits, as those see it who look at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waiting {
    /// Its id, which it keeps.
    pub event_id: String,
    /// Where it was posted.
    pub room_id: String,
    /// By whom.
    pub sender: String,
    /// The rule that holds it.
    pub rule: String,
    /// When.
    pub at_ms: u64,
    /// The type of the event.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub content: Value,
}

impl Waiting {
    fn of(id: &EventId, held: &Held) -> Self {
        Self {
            event_id: id.to_string(),
            room_id: held.room_id.clone(),
            sender: held.sender.clone(),
            rule: held.rule.clone(),
            at_ms: held.at_ms,
            kind: held.kind(),
            content: held.content(),
        }
    }
}

impl Moderation {
    /// The posts that wait, after one.
    pub async fn waiting(&self, by: &Actor, after: Option<&EventId>, limit: usize) -> Result<Vec<Waiting>> {
        self.may_moderate(by).await?;
        self.parts().institution.audit().note(&Entry::new(by, "post.list")).await?;
        let page = self.parts().rooms.held_posts(after, limit.clamp(1, HELD_PAGE)).await?;
        Ok(page.iter().map(|(id, held)| Waiting::of(id, held)).collect())
    }

    /// The posts that wait in the rooms of a unit, for whoever decides about them.
    pub(super) async fn waiting_in(&self, by: &Actor, unit: &str, limit: usize) -> Result<Vec<Waiting>> {
        self.may_decide(by, Some(unit)).await?;
        let entry = Entry { over: Some(unit.to_owned()), ..Entry::new(by, "post.list") };
        self.parts().institution.audit().note(&entry).await?;
        let posts = self.parts().rooms.held_in(unit, limit).await?;
        Ok(posts.iter().map(|(id, held)| Waiting::of(id, held)).collect())
    }

    /// Whether somebody may decide about posts that wait in a room of a unit, or of none.
    async fn may_decide(&self, by: &Actor, unit: Option<&str>) -> Result<()> {
        let Actor::Person(user) = by else { return Ok(()) };
        let institution = &self.parts().institution;
        let roster = institution.roster().await?;
        if institution.facts(&roster).may_decide(user, unit) {
            return Ok(());
        }
        let reason = "Only those who moderate, and those who teach the course, decide about its posts".to_owned();
        Err(InstitutionError::Refused { rule: RULE, reason }.into())
    }

    /// The unit of the room in which a post waits.
    async fn unit_of(&self, room: &RoomId) -> Result<Option<String>> {
        match self.parts().rooms.snapshot(room).await {
            Ok(snapshot) => Ok(snapshot.facts().campus.unit.clone()),
            Err(RoomError::UnknownRoom(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The post that waits whose id begins so.
    pub async fn waiting_named(&self, beginning: &str) -> Result<OwnedEventId> {
        let none = || ModerationError::NotFound(format!("no post that begins with {beginning} waits"));
        if beginning.len() < ID_LETTERS_MIN {
            return Err(none());
        }
        let mut found = self.parts().rooms.held_named(beginning, 2).await?;
        match found.len() {
            1 => found.pop().ok_or_else(none),
            0 => Err(none()),
            _ => Err(ModerationError::Wrong(format!("several posts begin with {beginning}: write more of the id"))),
        }
    }

    /// Lets a post go: everybody in the room sees it now, under the id it had from the start.
    pub async fn approve(&self, by: &Actor, id: &EventId, why: Option<&str>) -> Result<()> {
        self.decide(by, id, ("post.approve", why), Decision::Approve).await
    }

    /// Refuses a post. Nobody sees it; its author is told why.
    pub async fn refuse(&self, by: &Actor, id: &EventId, why: Option<&str>) -> Result<()> {
        self.decide(by, id, ("post.refuse", why), Decision::Refuse).await
    }

    async fn decide(
        &self,
        by: &Actor,
        id: &EventId,
        (act, why): (&'static str, Option<&str>),
        decision: Decision,
    ) -> Result<()> {
        for _ in 0..TRIES {
            match self.try_decide(by, id, (act, why), decision).await {
                Err(error) if error.is_busy() => {}
                done => return done,
            }
        }
        Err(ModerationError::Busy)
    }

    async fn try_decide(
        &self,
        by: &Actor,
        id: &EventId,
        (act, why): (&'static str, Option<&str>),
        decision: Decision,
    ) -> Result<()> {
        let (rooms, institution) = (&self.parts().rooms, &self.parts().institution);
        let none = || ModerationError::NotFound(format!("no post {id} waits"));
        let held = rooms.held_post(id).await?.ok_or_else(none)?;
        let place = (OwnedUserId::try_from(held.sender.as_str()), OwnedRoomId::try_from(held.room_id.as_str()));
        let (Ok(author), Ok(room)) = place else { return Err(none()) };
        self.may_decide(by, self.unit_of(&room).await?.as_deref()).await?;
        let what = json!({ "room_id": held.room_id, "sender": held.sender, "rule": held.rule });
        let entry = Entry { over: Some(id.to_string()), why, what, ..Entry::new(by, act) };
        let told = words::refused(&held, why);
        let mut chain = institution.audit().hold().await?;
        let note = |batch: &mut Batch| {
            match decision {
                Decision::Approve => institution.note_approved(batch, &author, &room),
                Decision::Refuse => tell(batch, vec![Notice::person(&author, &told)]),
            }
            chain.add(batch, &entry).map_err(|error| RoomError::Damaged(error.to_string()))?;
            chain.tie(batch);
            Ok(())
        };
        let done = match decision {
            Decision::Approve => rooms.release(id, note).await,
            Decision::Refuse => rooms.refuse(id, note).await,
        };
        chain.done(done.is_ok());
        Ok(done?)
    }

    /// Tells those who decide about it, and the author, of each post that waits, once.
    pub(super) async fn tell_of_waiting(&self) -> Result<()> {
        loop {
            let news = self.parts().rooms.held_news(NEWS_PAGE).await?;
            if news.is_empty() {
                return Ok(());
            }
            for id in news {
                let held = self.parts().rooms.held_post(&id).await?;
                if let Some(held) = &held {
                    self.tell_of(&id, held).await?;
                }
                let mut batch = Batch::new();
                self.parts().rooms.note_told(&mut batch, &id);
                let author = held.as_ref().and_then(|held| OwnedUserId::try_from(held.sender.as_str()).ok());
                if let (Some(author), Some(held)) = (author, &held) {
                    tell(&mut batch, vec![Notice::person(&author, &words::told_author(held))]);
                }
                self.store().commit(batch).await?;
            }
        }
    }

    async fn tell_of(&self, id: &EventId, held: &Held) -> Result<()> {
        let unit = match <&RoomId>::try_from(held.room_id.as_str()) {
            Ok(room) => self.unit_of(room).await?,
            Err(_) => None,
        };
        let approvals = match unit {
            Some(unit) => self.parts().keeper.room_for(&approvals_key(&unit)).await?,
            None => None,
        };
        let text = words::waits(&Waiting::of(id, held));
        for room in self.moderation_room().await?.into_iter().chain(approvals) {
            self.say(&room, &format!("waits-{id}"), &text).await?;
        }
        Ok(())
    }
}

/// What becomes of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Approve,
    Refuse,
}
