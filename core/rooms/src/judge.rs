//! Where campus rules are asked: before an act of a room happens. The rules themselves live elsewhere.

use lyceum_events::Event;
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId, UserId};

use crate::{
    Asker, Membership, NewRoom, Result, RoomError, Rooms, Snapshot,
    write::{membership_of, target_of},
};

/// What somebody is about to do.
#[derive(Debug, Clone)]
pub enum Act<'a> {
    /// Make a room and ask these people in.
    Create {
        /// The room as it will be.
        new: &'a NewRoom,
    },
    /// Ask somebody into a room.
    Invite {
        /// The room, if this server knows it already.
        room: Option<&'a Snapshot>,
        /// Who is asked in.
        invitee: OwnedUserId,
    },
    /// Come into a room.
    Join {
        /// The room, if this server knows it already.
        room: Option<&'a Snapshot>,
        /// Its id.
        room_id: OwnedRoomId,
    },
    /// Ask to be let into a room.
    Knock {
        /// The room, if this server knows it already.
        room: Option<&'a Snapshot>,
        /// Its id.
        room_id: OwnedRoomId,
    },
    /// Say or set something in a room.
    Send {
        /// The room.
        room: &'a Snapshot,
        /// The type of the event.
        kind: &'a str,
        /// The state key, if it is state.
        state_key: Option<&'a str>,
        /// The content, as JSON.
        content: &'a ruma::CanonicalJsonObject,
    },
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Allow,
    /// A rule refuses.
    Deny {
        /// Its name.
        rule: String,
        /// What the person is told.
        reason: String,
    },
    /// A moderator has to let it go first.
    Hold {
        /// The rule's name.
        rule: String,
    },
}

/// Knows the campus rules.
#[async_trait::async_trait]
pub trait Judge: Send + Sync + 'static {
    /// Whether `who` may do this.
    async fn judge(&self, who: &UserId, act: &Act<'_>) -> Verdict;

    /// A room that somebody wants to make, as the rules want such rooms to be.
    async fn shape(&self, _creator: &UserId, new: NewRoom) -> Result<NewRoom, Verdict> {
        Ok(new)
    }

    /// Whether somebody may learn of a room that they could look at otherwise.
    async fn shows(&self, _asker: Asker<'_>, _room: &Snapshot) -> bool {
        true
    }
}

/// No rules: everything is allowed that Matrix allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lenient;

#[async_trait::async_trait]
impl Judge for Lenient {
    async fn judge(&self, _: &UserId, _: &Act<'_>) -> Verdict {
        Verdict::Allow
    }
}

impl Verdict {
    /// As an answer.
    pub(crate) fn into_result(self) -> Result<()> {
        match self {
            Self::Allow => Ok(()),
            Self::Deny { rule, reason } => Err(RoomError::Refused { rule, reason }),
            Self::Hold { rule } => Err(RoomError::Held(rule)),
        }
    }
}

impl Rooms {
    /// Asks the campus rules.
    pub(crate) async fn judge(&self, who: &UserId, act: &Act<'_>) -> Result<()> {
        self.check_not_blocked(who, act).await?;
        self.0.judge.judge(who, act).await.into_result()
    }

    /// Asks the campus rules about an event of another server, which that server cannot be trusted to have asked.
    pub(crate) async fn judge_event(&self, room: &Snapshot, event: &Event) -> Result<()> {
        let sender = event.sender();
        if let Some(target) = target_of(event) {
            let room_id = event.room().to_owned();
            let act = match membership_of(event) {
                Membership::Invite => Act::Invite { room: Some(room), invitee: target },
                Membership::Join if !room.is_joined(sender) => Act::Join { room: Some(room), room_id },
                Membership::Knock => Act::Knock { room: Some(room), room_id },
                _ => return Ok(()),
            };
            return self.judge(sender, &act).await;
        }
        let content: CanonicalJsonObject = event.content_as().unwrap_or_default();
        let kind = event.kind().to_string();
        self.judge(sender, &Act::Send { room, kind: &kind, state_key: event.state_key(), content: &content }).await
    }
}
