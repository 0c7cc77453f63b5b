//! What is done about what was reported: a message deleted, somebody warned, restrained, or sent out of a room. Each is one batch
//! with the case it belongs to and its audit row.

use lyceum_institution::audit::{Actor, Entry, Held};
use lyceum_rooms::RoomError;
use lyceum_storage::Batch;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};

use super::{
    Case, Moderation, Notice, Taken,
    desk::{TRIES, entry, put_case},
    error::{ModerationError, Result},
};

/// What people in the room read of why.
const REASON: &str = "Removed by a moderator";

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// The message is redacted for everybody; the original stays in the sealed archive.
    Delete,
    /// Its author is told off.
    Warn,
    /// Its author says nothing any more. What they said stays.
    Block {
        /// Until when; until it is taken back, if not said.
        until_ms: Option<u64>,
        /// Everywhere, and not only in that room.
        everywhere: bool,
    },
    /// They say something again.
    Unblock {
        /// What was taken from them everywhere, and not only in that room.
        everywhere: bool,
    },
    /// What its author posts waits until somebody has looked at it.
    Hold {
        /// Until when; until it is taken back, if not said.
        until_ms: Option<u64>,
        /// Everywhere, and not only in that room.
        everywhere: bool,
    },
    /// It waits no longer.
    Unhold {
        /// What waited everywhere, and not only in that room.
        everywhere: bool,
    },
    /// Its author reads and leaves, and does nothing else (spec, "Account suspension").
    Suspend,
    /// They do again.
    Unsuspend,
    /// Its author does nothing but sign out (spec, "Account locking").
    Lock,
    /// They do again.
    Unlock,
    /// Its author is sent out of the room.
    Remove,
}

impl Measure {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Warn => "warn",
            Self::Block { .. } => "block",
            Self::Unblock { .. } => "unblock",
            Self::Hold { .. } => "hold",
            Self::Unhold { .. } => "unhold",
            Self::Suspend => "suspend",
            Self::Unsuspend => "unsuspend",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Remove => "remove",
        }
    }
}

impl Moderation {
    /// Takes a measure in a case.
    pub async fn measure(&self, by: &Actor, number: u64, measure: &Measure, why: Option<&str>) -> Result<Case> {
        self.may_moderate(by).await?;
        for _ in 0..TRIES {
            match self.try_measure(by, number, measure, why).await {
                Err(error) if error.is_busy() => {}
                done => return done,
            }
        }
        Err(ModerationError::Busy)
    }

    async fn try_measure(&self, by: &Actor, number: u64, measure: &Measure, why: Option<&str>) -> Result<Case> {
        let before = self.case(number).await?;
        let mut after = before.clone();
        after.take(Taken {
            by: by.to_string(),
            at_ms: self.now_ms(),
            measure: measure.name().to_owned(),
            why: why.map(str::to_owned),
        })?;
        match measure {
            Measure::Delete => self.delete(by, (&before, &after), why).await?,
            Measure::Remove => self.remove(by, (&before, &after), why).await?,
            Measure::Block { .. } | Measure::Unblock { .. } | Measure::Hold { .. } | Measure::Unhold { .. } => {
                self.restrain(by, (&before, &after), measure, why).await?;
            }
            Measure::Suspend | Measure::Unsuspend | Measure::Lock | Measure::Unlock => {
                self.restrict(by, (&before, &after), measure, why).await?;
            }
            Measure::Warn => return self.warn(by, number, why).await,
        }
        Ok(after)
    }

    async fn delete(&self, by: &Actor, (before, after): (&Case, &Case), why: Option<&str>) -> Result<()> {
        let event: OwnedEventId = wanted(before.event_id.as_deref(), before, "message")?;
        let entry = entry(after, (by, "case.delete"), why);
        let mut held = self.parts().institution.audit().hold().await?;
        let note = |batch: &mut Batch| write_down(batch, (before, after), &mut held, &entry);
        let done = self.parts().rooms.take_back(self.account(), &event, REASON, note).await;
        held.done(done.is_ok());
        done?;
        Ok(())
    }

    async fn remove(&self, by: &Actor, (before, after): (&Case, &Case), why: Option<&str>) -> Result<()> {
        let (room, user) = (room_of(before)?, author_of(before)?);
        let entry = entry(after, (by, "case.remove"), why);
        let mut held = self.parts().institution.audit().hold().await?;
        let note = |batch: &mut Batch| write_down(batch, (before, after), &mut held, &entry);
        let done = self.parts().rooms.put_out(self.account(), (&room, &user), REASON, note).await;
        held.done(done.is_ok());
        done?;
        Ok(())
    }

    async fn warn(&self, by: &Actor, number: u64, why: Option<&str>) -> Result<Case> {
        let Some(text) = why else {
            return Err(ModerationError::Wrong("say what the warning is to say".to_owned()));
        };
        let (now, server) = (self.now_ms(), self.account().server_name());
        self.change_case((by, "case.warn"), number, why, |case, told| {
            let user = author_of(case)?;
            if user.server_name() != server {
                return Err(ModerationError::Wrong(format!("{user} belongs to another server and cannot be told")));
            }
            let measure = Measure::Warn.name().to_owned();
            case.take(Taken { by: by.to_string(), at_ms: now, measure, why: why.map(str::to_owned) })?;
            told.push(Notice::person(&user, &format!("A moderator warns you: {text}")));
            Ok(())
        })
        .await
    }
}

/// Puts the case and its audit row beside what is done in a room.
pub(super) fn write_down(
    batch: &mut Batch,
    (before, after): (&Case, &Case),
    held: &mut Held,
    entry: &Entry<'_>,
) -> std::result::Result<(), RoomError> {
    put_case(batch, before, after);
    held.add(batch, entry).map_err(|error| RoomError::Damaged(error.to_string()))?;
    held.tie(batch);
    Ok(())
}

pub(super) fn room_of(case: &Case) -> Result<OwnedRoomId> {
    wanted(case.room_id.as_deref(), case, "room")
}

pub(super) fn author_of(case: &Case) -> Result<OwnedUserId> {
    wanted(case.user_id.as_deref(), case, "person")
}

fn wanted<T: for<'a> TryFrom<&'a str>>(id: Option<&str>, case: &Case, what: &str) -> Result<T> {
    id.and_then(|id| T::try_from(id).ok())
        .ok_or_else(|| ModerationError::Wrong(format!("case {} is about no {what}", case.number)))
}
