//! The rules, asked one after another: each is a plain function from an act, the facts and the settings to a verdict. The
//! first one that has something to say is heard.

mod announcement;
mod approval;
mod blocked;
mod contact;
mod creation;
mod encryption;
mod entry;
mod exam;
mod federation;
mod quiet;
mod units;

use ruma::{RoomId, UserId};

use crate::{Kind, PartnerPeople, Roster, Settings, Someone};

pub use approval::{Approval, ApprovalConfig, Post, Which};
pub use contact::{Contact, ContactConfig};
pub use quiet::{Quiet, QuietConfig};

/// A room, as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Which; none while it is being made.
    pub room: Option<&'a RoomId>,
    /// Its kind.
    pub kind: &'a Kind,
    /// The unit it belongs to.
    pub unit: Option<&'a str>,
    /// Whether this institution's people or its own account made it.
    pub is_ours: bool,
    /// Whether messages in it are encrypted.
    pub is_encrypted: bool,
    /// Of a direct chat: who else is in it or asked in.
    pub others: &'a [&'a UserId],
}

/// What somebody is about to do.
#[derive(Debug, Clone, Copy)]
pub enum Act<'a> {
    /// Make a room and ask these people in.
    Create {
        /// The room as it will be.
        place: Place<'a>,
        /// Who is asked in.
        invitees: &'a [&'a UserId],
    },
    /// Ask somebody in.
    Invite {
        /// Where to.
        place: Place<'a>,
        /// Whom.
        whom: &'a UserId,
    },
    /// Come in.
    Join(Place<'a>),
    /// Ask to be let in.
    Knock(Place<'a>),
    /// Say something.
    Say {
        /// Where.
        place: Place<'a>,
        /// The type of the event.
        kind: &'a str,
    },
    /// Set state.
    Set {
        /// Where.
        place: Place<'a>,
        /// The type of the event.
        kind: &'a str,
    },
    /// Upload a file.
    Upload,
    /// Find somebody in the directory of people.
    Find(&'a UserId),
    /// Find a room in the directory of rooms.
    See(Place<'a>),
}

impl<'a> Act<'a> {
    /// The room it is about.
    fn place(&self) -> Option<&Place<'a>> {
        match self {
            Self::Create { place, .. }
            | Self::Invite { place, .. }
            | Self::Say { place, .. }
            | Self::Set { place, .. } => Some(place),
            Self::Join(place) | Self::Knock(place) | Self::See(place) => Some(place),
            Self::Upload | Self::Find(_) => None,
        }
    }
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Allow,
    /// A rule refuses.
    Deny {
        /// Its name.
        rule: &'static str,
        /// What the person is told.
        reason: String,
    },
    /// Somebody has to look at it first.
    Hold {
        /// The rule's name.
        rule: &'static str,
    },
}

/// The facts of a moment.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// What is.
    pub roster: &'a Roster,
    /// What partner servers said of their people.
    pub partners: &'a PartnerPeople,
    /// When it is.
    pub now_ms: u64,
    /// The name of this server.
    pub server: &'a ruma::ServerName,
}

impl<'a> Facts<'a> {
    /// Somebody, with the role that counts: the one they were given here; else, if they are of this server, the usual one,
    /// and if they are of a partner server, the one that it states.
    pub fn someone<'b>(&self, user: &'b UserId) -> Someone<'b>
    where
        'a: 'b,
    {
        if let Some(told) = self.roster.person(user) {
            return Someone { user, role: self.settings.role(&told.value.role), is_partner: false };
        }
        if user.server_name() == self.server {
            let usual = self.settings.default_role.as_deref();
            return Someone { user, role: usual.and_then(|name| self.settings.role(name)), is_partner: false };
        }
        let role = self.partners.role(self.settings, user, self.now_ms);
        Someone { user, role, is_partner: role.is_some() }
    }

    fn share_unit(&self, one: &UserId, other: &UserId) -> bool {
        self.roster.share_unit(one, other, self.now_ms)
    }
}

/// A refusal, or nothing to say.
type Answer = Option<(&'static str, String)>;

/// A rule.
type Policy = fn(&Someone<'_>, &Act<'_>, &Facts<'_>) -> Answer;

/// The rules in the order in which they are asked: who somebody is comes before what they want.
const POLICIES: [Policy; 10] = [
    blocked::judge,
    federation::judge,
    creation::judge,
    entry::judge,
    units::judge,
    contact::judge,
    exam::judge,
    announcement::judge,
    quiet::judge,
    encryption::judge,
];

/// Whether somebody may do something.
pub fn judge(who: &UserId, act: &Act<'_>, facts: &Facts<'_>) -> Verdict {
    let someone = facts.someone(who);
    match POLICIES.iter().find_map(|policy| policy(&someone, act, facts)) {
        Some((rule, reason)) => Verdict::Deny { rule, reason },
        None => Verdict::Allow,
    }
}

/// Whether somebody may say this: the same, and whether it waits for somebody to look at it first.
pub fn judge_post(who: &UserId, act: &Act<'_>, post: &Post, facts: &Facts<'_>) -> Verdict {
    let verdict = judge(who, act, facts);
    match act {
        Act::Say { place, kind }
            if verdict == Verdict::Allow && approval::holds(&facts.someone(who), (place, kind), post, facts) =>
        {
            Verdict::Hold { rule: approval::RULE }
        }
        _ => verdict,
    }
}

/// A word with `a` or `an` before it.
fn one(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

/// The same at the beginning of a sentence.
fn one_capital(word: &str) -> String {
    let words = one(word);
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
