//! How a person stands to a room.

use ruma::events::room::member::MembershipState;
use serde::{Deserialize, Serialize};

/// How a person stands to a room. Whoever has no membership event has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Membership {
    /// Not in the room, or no longer.
    #[default]
    Leave,
    /// In the room.
    Join,
    /// Asked in.
    Invite,
    /// Asks to come in.
    Knock,
    /// Kept out.
    Ban,
}

impl Membership {
    /// The spelling in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Knock => "knock",
            Self::Ban => "ban",
        }
    }

    /// By the spelling in events.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "leave" => Self::Leave,
            "join" => Self::Join,
            "invite" => Self::Invite,
            "knock" => Self::Knock,
            "ban" => Self::Ban,
            _ => return None,
        })
    }

    /// Joined or asked in.
    pub fn is_in_or_invited(self) -> bool {
        matches!(self, Self::Join | Self::Invite)
    }
}

impl From<Membership> for MembershipState {
    fn from(membership: Membership) -> Self {
        match membership {
            Membership::Leave => Self::Leave,
            Membership::Join => Self::Join,
            Membership::Invite => Self::Invite,
            Membership::Knock => Self::Knock,
            Membership::Ban => Self::Ban,
        }
    }
}
