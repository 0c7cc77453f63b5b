//! What one person may do, asked by those who are about to serve them.

use ruma::UserId;

use crate::{
    Institution, InstitutionError, Kind, Result, Roster,
    kinds::Encryption,
    policies::{Act, Facts, Place, Verdict, judge},
};

/// What a person is and may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The name of their role.
    pub role: Option<String>,
    /// The kinds of rooms they may make.
    pub may_make: Vec<String>,
    /// Whether they are blocked everywhere.
    pub is_blocked: bool,
}

/// What clients are told about encryption, so that no button of theirs lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionAdvice {
    /// Whether rooms that people make are encrypted from the start.
    pub by_default: bool,
    /// Whether it cannot be turned on anywhere.
    pub is_forbidden: bool,
}

impl Institution {
    /// The facts of now, for the rules.
    pub fn facts<'a>(&'a self, roster: &'a Roster) -> Facts<'a> {
        Facts {
            settings: self.settings(),
            roster,
            partners: self.partner_people(),
            now_ms: self.now_ms(),
            server: self.account().server_name(),
        }
    }

    /// What a person is and may do; nothing is said where no rules are in force.
    pub async fn standing(&self, user: &UserId) -> Result<Option<Standing>> {
        if !self.is_enabled() {
            return Ok(None);
        }
        let roster = self.roster().await?;
        let facts = self.facts(&roster);
        let may_make = |kind: &&Kind| {
            let is_encrypted = kind.encryption == Encryption::Required;
            let place = Place { room: None, kind, unit: None, is_ours: true, is_encrypted, others: &[] };
            judge(user, &Act::Create { place, invitees: &[] }, &facts) == Verdict::Allow
        };
        Ok(Some(Standing {
            role: facts.someone(user).role.map(|role| role.name.clone()),
            may_make: self.settings().kinds.values().filter(may_make).map(|kind| kind.name.clone()).collect(),
            is_blocked: roster.block(user, None, facts.now_ms).is_some(),
        }))
    }

    /// Whether a person may be shown to somebody who looks for people.
    pub fn may_find(&self, roster: &Roster, who: &UserId, whom: &UserId) -> bool {
        let account = self.account();
        !self.is_enabled()
            || who == account
            || self.desk() == Some(whom)
            || (whom != account && judge(who, &Act::Find(whom), &self.facts(roster)) == Verdict::Allow)
    }

    /// Whether a person may upload a file.
    pub async fn check_upload(&self, user: &UserId) -> Result<()> {
        if !self.is_enabled() || self.is_own(user) {
            return Ok(());
        }
        let roster = self.roster().await?;
        match judge(user, &Act::Upload, &self.facts(&roster)) {
            Verdict::Allow | Verdict::Hold { .. } => Ok(()),
            Verdict::Deny { rule, reason } => Err(InstitutionError::Refused { rule, reason }),
        }
    }

    /// What clients are told about encryption; nothing where no rules are in force.
    pub fn encryption_advice(&self) -> Option<EncryptionAdvice> {
        let settings = self.settings();
        let usual = settings.kinds.get(&settings.default_kind).filter(|_| settings.enabled)?;
        let made = settings.kinds.values().filter(|kind| !kind.made_by.is_empty());
        Some(EncryptionAdvice {
            by_default: usual.encryption != Encryption::Forbidden,
            is_forbidden: made.into_iter().all(|kind| kind.encryption == Encryption::Forbidden),
        })
    }
}
