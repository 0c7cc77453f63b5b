//! Where campus rules are asked: before an act of a room happens. The rules themselves live elsewhere.

use ruma::{OwnedRoomId, OwnedUserId};

use crate::Snapshot;

/// What somebody is about to do.
#[derive(Debug, Clone)]
pub enum Act<'a> {
    /// Make a room and ask these people in.
    Create {
        /// The preset, room type, visibility and so on, as the client sent them.
        request: &'a CreateFacts,
    },
    /// Ask somebody into a room.
    Invite {
        /// The room.
        room: &'a Snapshot,
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

/// What is asked of a new room, as far as rules look at it.
#[derive(Debug, Clone, Default)]
pub struct CreateFacts {
    /// Who is asked in from the start.
    pub invitees: Vec<OwnedUserId>,
    /// Whether it is a direct chat.
    pub is_direct: bool,
    /// Its type, such as `m.space`.
    pub room_type: Option<String>,
    /// Whether it is to be listed in the directory.
    pub is_listed: bool,
    /// The preset by name.
    pub preset: Option<String>,
    /// The algorithm of an `m.room.encryption` among the first state.
    pub encryption: Option<String>,
    /// What the client put into the create event, as JSON: the campus room kind may stand there.
    pub creation_content: ruma::CanonicalJsonObject,
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
    async fn judge(&self, who: &ruma::UserId, act: &Act<'_>) -> Verdict;
}

/// No rules: everything is allowed that Matrix allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lenient;

#[async_trait::async_trait]
impl Judge for Lenient {
    async fn judge(&self, _: &ruma::UserId, _: &Act<'_>) -> Verdict {
        Verdict::Allow
    }
}
