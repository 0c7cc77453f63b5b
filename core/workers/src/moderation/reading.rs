//! Looking at what was reported, and into rooms, unseen by those in them. Each look is noted before it happens.

use futures_util::future::BoxFuture;
use lyceum_institution::audit::{Actor, Entry};
use lyceum_rooms::{Direction, Known, RoomError};
use ruma::{EventId, OwnedEventId, RoomId};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{
    Case, Moderation,
    desk::entry,
    error::{ModerationError, Result},
};
use crate::{campus::MODERATION_ROOM, tables::REQUESTS};

/// Events shown on either side of the reported one.
const AROUND: usize = 10;
/// Events of a room read at once.
const ROOM_PAGE_MAX: usize = 200;
/// The bytes of what is looked for.
const TERM_BYTES_MAX: usize = 500;

/// Finds words in rooms that are not encrypted, the latest first: in one, or in all. Who may look is asked before.
pub trait Finds: Send + Sync {
    /// So many events at most; what went wrong, in words.
    fn find<'a>(
        &'a self,
        room: Option<&'a RoomId>,
        term: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Known>>, String>>;
}

/// An event as those see it who oversee.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Said {
    /// Its id.
    pub event_id: String,
    /// Who.
    pub sender: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    pub at_ms: u64,
    /// What, as far as it was not redacted.
    pub content: Value,
    /// Whether it was redacted.
    pub is_redacted: bool,
}

/// What a case is about, with what stands around it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Context {
    /// The event that was reported.
    pub event: Said,
    /// What came before it, in order.
    pub before: Vec<Said>,
    /// What came after it, in order.
    pub after: Vec<Said>,
    /// Its later wordings, in order.
    pub edits: Vec<Said>,
}

impl Said {
    pub(super) fn of(known: &Known) -> Self {
        let event = known.event();
        Self {
            event_id: event.id().to_string(),
            sender: event.sender().to_string(),
            kind: event.kind().to_string(),
            at_ms: event.ts().get().into(),
            content: event.content_as().unwrap_or_default(),
            is_redacted: known.redacted_by().is_some(),
        }
    }
}

impl Moderation {
    /// What a case is about, with what stands around it.
    pub async fn context(&self, by: &Actor, number: u64) -> Result<Context> {
        self.may_moderate(by).await?;
        let case = self.case(number).await?;
        let event = event_of(&case)?;
        self.audit(&entry(&case, (by, "case.context"), None)).await?;
        let seen = self.parts().rooms.oversee(&event, AROUND).await?;
        let all = |events: &[std::sync::Arc<Known>]| events.iter().map(|known| Said::of(known)).collect();
        Ok(Context {
            event: Said::of(&seen.event),
            before: all(&seen.before),
            after: all(&seen.after),
            edits: all(&seen.edits),
        })
    }

    /// The sealed original of the message that a case is about, after it was deleted.
    pub async fn original(&self, by: &Actor, number: u64, why: Option<&str>) -> Result<Value> {
        self.may_oversee(by).await?;
        let case = self.case(number).await?;
        let event = event_of(&case)?;
        self.audit(&entry(&case, (by, "case.original"), why)).await?;
        self.opened(&event).await
    }

    async fn opened(&self, event: &EventId) -> Result<Value> {
        let json = self.parts().rooms.sealed_original(event).await?;
        let none = || ModerationError::NotFound(format!("{event} is not in the sealed archive: nobody deleted it"));
        let json = json.ok_or_else(none)?;
        serde_json::from_str(&json).map_err(|error| RoomError::Damaged(error.to_string()).into())
    }

    /// The last things that were said in a room before a place, in order, and the place to go on from.
    pub async fn look(
        &self,
        by: &Actor,
        (room, before): (&RoomId, Option<i64>),
        limit: usize,
        why: Option<&str>,
    ) -> Result<(Vec<Said>, Option<i64>)> {
        self.may_oversee(by).await?;
        self.parts().rooms.snapshot(room).await?;
        let what = json!({ "before": before, "limit": limit });
        self.audit(&Entry { over: Some(room.to_string()), why, what, ..Entry::new(by, "room.read") }).await?;
        let (from, limit) = (before.unwrap_or(i64::MAX), limit.clamp(1, ROOM_PAGE_MAX));
        let mut page = self.parts().rooms.page(room, Direction::Backward, from, None, limit).await?;
        page.events.reverse();
        Ok((page.events.iter().map(|known| Said::of(known)).collect(), page.next))
    }

    /// Where something was said, in a room or in all of them, with the room of each.
    pub async fn search(
        &self,
        by: &Actor,
        (room, term): (Option<&RoomId>, &str),
        limit: usize,
        why: Option<&str>,
    ) -> Result<Vec<(String, Said)>> {
        self.note_search(by, (room, term), why).await?;
        let found = self.parts().finds.find(room, term, limit.clamp(1, ROOM_PAGE_MAX)).await;
        let found = found.map_err(ModerationError::Search)?;
        // What is found by what was asked and answered about it tells nothing.
        let moderation = self.parts().keeper.room_for(MODERATION_ROOM).await?;
        let told = found.iter().filter(|known| {
            let event = known.event();
            !self.parts().institution.is_own(event.sender()) && moderation.as_deref() != Some(event.room())
        });
        Ok(told.map(|known| (known.event().room().to_string(), Said::of(known))).collect())
    }

    /// Writes down that somebody who may looks for something in rooms that they are not in.
    pub async fn note_search(
        &self,
        by: &Actor,
        (room, term): (Option<&RoomId>, &str),
        why: Option<&str>,
    ) -> Result<()> {
        self.may_oversee(by).await?;
        if term.len() > TERM_BYTES_MAX {
            return Err(ModerationError::Wrong(format!("look for at most {TERM_BYTES_MAX} bytes")));
        }
        if let Some(room) = room {
            self.parts().rooms.snapshot(room).await?;
        }
        let over = room.map(ToString::to_string);
        self.audit(&Entry { over, why, what: json!({ "term": term }), ..Entry::new(by, "room.search") }).await
    }

    /// Who asks the support desk something, for somebody who oversees, in words.
    pub(crate) async fn who_asks(&self, by: &Actor, number: u64, why: Option<&str>) -> Result<String> {
        self.may_oversee(by).await?;
        let request = self.store().get(&REQUESTS, number).await?;
        let request = request.ok_or_else(|| ModerationError::NotFound(format!("there is no request {number}")))?;
        let over = Some(format!("request {number}"));
        self.audit(&Entry { over, why, ..Entry::new(by, "request.who") }).await?;
        Ok(format!("Request {number} is from {}, in {}.", request.user_id, request.room_id))
    }

    async fn audit(&self, entry: &Entry<'_>) -> Result<()> {
        Ok(self.parts().institution.audit().note(entry).await?)
    }
}

fn event_of(case: &Case) -> Result<OwnedEventId> {
    let event = case.event_id.as_deref().and_then(|event| event.try_into().ok());
    event.ok_or_else(|| ModerationError::Wrong(format!("case {} is about no message", case.number)))
}
