//! For tests of rules: a small college with somebody of every role.

use ruma::{OwnedUserId, UserId, server_name};

use super::{Act, Facts, Place, Verdict, judge};
use crate::{
    Kind, PartnerPeople, Person, Roster, Settings,
    testing::{college, enrolment},
};

/// A Monday, 08:00 UTC.
pub(super) const NOW: u64 = 1_793_606_400_000;

/// Everybody in alg but the second student of each, who are in geo; visitors have no role.
pub(crate) struct College {
    pub(crate) settings: Settings,
    pub(crate) roster: Roster,
    pub(crate) partners: PartnerPeople,
}

impl College {
    pub(crate) fn new() -> Self {
        let settings = Settings { enabled: true, ..Settings::default() };
        let mut roster = college();
        for role in &settings.roles {
            for (unit, number) in [("alg", ""), ("geo", "2")] {
                let user = person(&format!("{}{number}", role.name));
                let _ = roster.say_person(&user, crate::HAND, Some(Person { role: role.name.clone() }));
                let _ = roster.say_enrolment((&user, unit), crate::HAND, Some(enrolment(&role.name, None, None)));
            }
        }
        Self { settings, roster, partners: PartnerPeople::default() }
    }

    pub(crate) fn facts(&self, now_ms: u64) -> Facts<'_> {
        let Self { settings, roster, partners } = self;
        Facts { settings, roster, partners, now_ms, server: server_name!("alpha.test") }
    }

    pub(crate) fn kind(&self, name: &str) -> &Kind {
        &self.settings.kinds[name]
    }

    pub(crate) fn place<'a>(&'a self, kind: &str, unit: Option<&'a str>) -> Place<'a> {
        Place { room: None, kind: self.kind(kind), unit, is_ours: true, is_encrypted: false, others: &[] }
    }

    /// The name of the rule that refuses.
    pub(crate) fn refuses(&self, who: &str, act: &Act<'_>) -> Option<&'static str> {
        self.refuses_at(NOW, &person(who), act)
    }

    pub(crate) fn refuses_at(&self, now_ms: u64, who: &UserId, act: &Act<'_>) -> Option<&'static str> {
        match judge(who, act, &self.facts(now_ms)) {
            Verdict::Allow => None,
            Verdict::Hold { rule } => Some(rule),
            Verdict::Deny { rule, reason } => {
                assert!(reason.len() > 10 && reason.starts_with(char::is_uppercase), "a sentence: {reason}");
                Some(rule)
            }
        }
    }
}

pub(crate) fn person(name: &str) -> OwnedUserId {
    let server = if name.starts_with("visitor") { "beta.test" } else { "alpha.test" };
    UserId::parse(format!("@{name}:{server}")).unwrap()
}
