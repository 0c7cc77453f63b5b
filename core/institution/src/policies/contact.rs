//! The contact matrix: who may start a chat with, ask in, or find whom, by role, unit and time of day. The first line that
//! fits two people and an act decides.

use ruma::UserId;
use serde::Deserialize;

use super::{Act, Answer, Facts};
use crate::{Group, Role, Someone, hours::Hours, settings::Finding};

const RULE: &str = "contact";

/// What one does with somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactAct {
    /// Make a room with them in it.
    Start,
    /// Ask them into a room.
    Invite,
    /// Find them in the directory.
    Find,
}

/// On what condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// None.
    Always,
    /// They have a unit in common.
    SameUnit,
    /// It is not allowed.
    Never,
}

/// One of `institution.contacts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactConfig {
    /// Who.
    pub from: Vec<String>,
    /// Whom.
    pub to: Vec<String>,
    /// Does what; anything, if nothing is named.
    #[serde(default)]
    pub acts: Vec<ContactAct>,
    /// On what condition: "always", "same_unit" or "never".
    pub when: Condition,
    /// At what hours; all, if not said.
    #[serde(default)]
    pub hours: Option<String>,
}

/// A line of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    from: Group,
    to: Group,
    acts: Vec<ContactAct>,
    when: Condition,
    hours: Option<Hours>,
}

impl Contact {
    /// The lines set; the usual ones if none is.
    pub(crate) fn read(config: &[ContactConfig], roles: &[Role], found: &mut Vec<Finding>) -> Vec<Self> {
        if config.is_empty() {
            return usual();
        }
        let mut lines = Vec::new();
        for (at, one) in config.iter().enumerate() {
            let mut wrong = |field: &str, text: String| found.push((format!("contacts.{at}.{field}"), text));
            let hours = one.hours.as_deref().map(Hours::parse);
            if hours == Some(None) {
                wrong("hours", "write hours such as \"mon-fri 08:00-18:00\"".to_owned());
            }
            let mut group = |field: &str, words: &[String]| {
                let read = Group::read(words, roles);
                read.map_err(|name| wrong(field, format!("there is no role {name:?}"))).unwrap_or_default()
            };
            let (from, to) = (group("from", &one.from), group("to", &one.to));
            lines.push(Self { from, to, acts: one.acts.clone(), when: one.when, hours: hours.flatten() });
        }
        lines
    }

    fn fits(&self, from: &Someone<'_>, to: &Someone<'_>, act: ContactAct) -> bool {
        (self.acts.is_empty() || self.acts.contains(&act)) && self.from.has(from) && self.to.has(to)
    }
}

/// The usual matrix: the staff reaches everybody; students reach who is in a unit with them, and those who help.
fn usual() -> Vec<Contact> {
    let line = |from: &[&str], to: &[&str], acts: &[ContactAct], when| Contact {
        from: Group::of(from),
        to: Group::of(to),
        acts: acts.to_vec(),
        when,
        hours: None,
    };
    vec![
        line(&["@staff"], &["*"], &[], Condition::Always),
        line(&["student"], &["support_agent", "moderator", "dos"], &[], Condition::Always),
        line(&["student"], &["@staff"], &[ContactAct::Find], Condition::Always),
        line(&["student"], &["student", "@staff"], &[], Condition::SameUnit),
        line(&["@visitors"], &["@staff"], &[ContactAct::Start, ContactAct::Invite], Condition::Always),
    ]
}

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    match act {
        Act::Create { invitees, .. } => invitees.iter().find_map(|whom| refuse(who, whom, ContactAct::Start, facts)),
        Act::Invite { whom, .. } => refuse(who, whom, ContactAct::Invite, facts),
        Act::Find(whom) => refuse(who, whom, ContactAct::Find, facts),
        _ => None,
    }
}

fn refuse(who: &Someone<'_>, whom: &UserId, act: ContactAct, facts: &Facts<'_>) -> Answer {
    if who.user == whom {
        return None;
    }
    let other = facts.someone(whom);
    let line = facts.settings.contacts.iter().find(|line| line.fits(who, &other, act));
    let when = line.map_or(Condition::Never, |line| line.when);
    let verb = match act {
        ContactAct::Start => "start a chat with",
        ContactAct::Invite => "invite",
        ContactAct::Find => "find",
    };
    let (mine, theirs) = (who.title(), other.title());
    match when {
        Condition::Never => {
            return Some((RULE, format!("{} cannot {verb} {} here", super::one_capital(mine), super::one(theirs))));
        }
        Condition::SameUnit if !facts.share_unit(who.user, whom) => {
            return Some((RULE, format!("You can only {verb} {} of your own courses", super::one(theirs))));
        }
        Condition::Always | Condition::SameUnit => {}
    }
    let now = facts.settings.calendar.minute_of_week(facts.now_ms)?;
    let closed = line.and_then(|line| line.hours).is_some_and(|hours| !hours.contain(now));
    closed.then(|| (RULE, format!("You cannot {verb} {} at this hour", super::one(theirs))))
}
