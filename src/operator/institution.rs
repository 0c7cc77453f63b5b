//! Orders about the institution: people, units, enrolments, the audit chain.

use anyhow::{anyhow, bail};
use lyceum_institution::{
    Block, Change, Enrolment, EnrolmentView, Exam, HAND, Person, PersonView, Unit, UnitKind, UnitView,
    audit::{Actor, PAGE_ROWS_MAX},
};
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{Operator, Report};

/// The role of an enrolment of somebody who has none of their own.
const LEARNER: &str = "student";

/// One order about the institution.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InstitutionOrder {
    PersonSet {
        name: String,
        role: Option<String>,
        why: Option<String>,
    },
    PersonShow {
        name: String,
        json: bool,
    },
    PersonList {
        role: Option<String>,
        json: bool,
    },
    UnitSet {
        code: String,
        kind: String,
        name: Option<String>,
        parent: Option<String>,
        why: Option<String>,
    },
    UnitRemove {
        code: String,
        why: Option<String>,
    },
    UnitList {
        json: bool,
    },
    EnrolAdd {
        name: String,
        unit: String,
        role: Option<String>,
        from: Option<String>,
        until: Option<String>,
        why: Option<String>,
    },
    EnrolEnd {
        name: String,
        unit: String,
        why: Option<String>,
    },
    EnrolRemove {
        name: String,
        unit: String,
        why: Option<String>,
    },
    EnrolList {
        name: Option<String>,
        unit: Option<String>,
        json: bool,
    },
    ExamSet {
        unit: String,
        from: Option<String>,
        until: String,
        why: Option<String>,
    },
    ExamEnd {
        unit: String,
        why: Option<String>,
    },
    ExamList {
        json: bool,
    },
    Block {
        name: String,
        room: Option<String>,
        until: Option<String>,
        why: Option<String>,
    },
    Unblock {
        name: String,
        room: Option<String>,
        why: Option<String>,
    },
    BlockList {
        json: bool,
    },
    Sample {
        seed: u64,
    },
    AuditVerify,
    AuditExport,
}

impl InstitutionOrder {
    /// Whether it says something new, rather than show or end what there is.
    pub(super) fn may_come_first(&self) -> bool {
        matches!(
            self,
            Self::PersonSet { .. }
                | Self::UnitSet { .. }
                | Self::EnrolAdd { .. }
                | Self::Block { .. }
                | Self::Sample { .. }
        )
    }
}

impl Operator {
    pub(super) async fn institution(&self, order: InstitutionOrder, report: &Report) -> anyhow::Result<()> {
        use InstitutionOrder as I;
        match order {
            I::PersonSet { name, role, why } => self.set_role(&name, role, why.as_deref(), report).await,
            I::PersonShow { name, json } => self.show_person(&name, json, report).await,
            I::PersonList { role, json } => self.list_persons(role.as_deref(), json, report).await,
            I::UnitSet { code, kind, name, parent, why } => {
                let kind = UnitKind::named(&kind).ok_or_else(|| anyhow!("{kind:?} is no kind of unit; {}", kinds()))?;
                let unit = Unit { kind, name: name.unwrap_or_else(|| code.clone()), parent };
                self.set_unit(code, Some(unit), why.as_deref(), report).await
            }
            I::UnitRemove { code, why } => self.set_unit(code, None, why.as_deref(), report).await,
            I::UnitList { json } => self.list_units(json, report).await,
            I::EnrolAdd { name, unit, role, from, until, why } => {
                let user = self.user_id(&name)?;
                let enrolment = self.enrolment(&user, role, from.as_deref(), until.as_deref()).await?;
                self.set_enrolment(user, unit, Some(enrolment), why.as_deref(), report).await
            }
            I::EnrolEnd { name, unit, why } => {
                let user = self.user_id(&name)?;
                let roster = self.institution.roster().await?;
                let held = roster.enrolment(&user, &unit).ok_or_else(|| anyhow!("{user} is not enrolled in {unit}"))?;
                let ended = Enrolment { until_ms: Some(self.institution.now_ms()), ..held.value.clone() };
                self.set_enrolment(user, unit, Some(ended), why.as_deref(), report).await
            }
            I::EnrolRemove { name, unit, why } => {
                self.set_enrolment(self.user_id(&name)?, unit, None, why.as_deref(), report).await
            }
            I::EnrolList { name, unit, json } => {
                let user = name.map(|name| self.user_id(&name)).transpose()?;
                self.list_enrolments(user.as_deref(), unit.as_deref(), json, report).await
            }
            I::ExamSet { unit, from, until, why } => {
                let from_ms = match from {
                    Some(from) => self.moment(&from)?,
                    None => self.institution.now_ms(),
                };
                let exam = Exam { from_ms, until_ms: self.end_of(&until)? };
                self.set_exam(unit, Some(exam), why.as_deref(), report).await
            }
            I::ExamEnd { unit, why } => self.set_exam(unit, None, why.as_deref(), report).await,
            I::ExamList { json } => self.list_exams(json, report).await,
            I::Block { name, room, until, why } => {
                let until_ms = until.map(|until| self.end_of(&until)).transpose()?;
                self.set_block((&name, room), Some(Block { until_ms }), why.as_deref(), report).await
            }
            I::Unblock { name, room, why } => self.set_block((&name, room), None, why.as_deref(), report).await,
            I::BlockList { json } => self.list_blocks(json, report).await,
            I::Sample { seed } => self.make_sample(seed, report).await,
            I::AuditVerify => self.verify_audit(report).await,
            I::AuditExport => self.export_audit(report).await,
        }
    }

    pub(super) async fn by_hand(&self, change: Change, why: Option<&str>) -> anyhow::Result<()> {
        let order = lyceum_institution::Order { by: &Actor::Operator, source: HAND, why, changes: vec![change] };
        self.institution.change(&order).await?;
        Ok(())
    }

    async fn set_role(
        &self,
        name: &str,
        role: Option<String>,
        why: Option<&str>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let user = self.user_id(name)?;
        let person = role.clone().map(|role| Person { role });
        self.by_hand(Change::Person { user: user.clone(), person }, why).await?;
        report.say(match &role {
            Some(role) => format!("{user} is {role} now."),
            None => format!("{user} has no role by hand any more."),
        });
        if role.is_some() && self.accounts.user(&user).await?.is_none() {
            report.say("There is no such account yet: the role counts once there is.");
        }
        Ok(())
    }

    async fn show_person(&self, name: &str, json: bool, report: &Report) -> anyhow::Result<()> {
        let user = self.user_id(name)?;
        let roster = self.institution.roster().await?;
        let person = PersonView::of(&user, roster.person(&user));
        if json {
            report.say(serde_json::to_string(&person)?);
        } else {
            let role = person.role.as_deref().unwrap_or("no role");
            let source = person.source.map(|source| format!(" (by {source})")).unwrap_or_default();
            report.say(format!("{user}: {role}{source}"));
        }
        self.list_enrolments(Some(&user), None, json, report).await
    }

    async fn list_persons(&self, role: Option<&str>, json: bool, report: &Report) -> anyhow::Result<()> {
        if let Some(role) = role.filter(|role| self.institution.settings().role(role).is_none()) {
            bail!("{}", self.institution.settings().no_such_role(role));
        }
        let roster = self.institution.roster().await?;
        let persons = roster.persons().map(|(user, told)| PersonView::of(user, Some(told)));
        let persons = persons.filter(|person| role.is_none() || person.role.as_deref() == role);
        let mut table = Table::new(["person", "role", "source"]);
        for person in persons {
            if json {
                report.say(serde_json::to_string(&person)?);
            } else {
                let text = |text: Option<String>| text.unwrap_or_default();
                table.row([person.user_id.to_string(), text(person.role), text(person.source)]);
            }
        }
        table.say(report, json);
        Ok(())
    }

    async fn set_unit(
        &self,
        code: String,
        unit: Option<Unit>,
        why: Option<&str>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let line = match &unit {
            Some(unit) => format!("{code} is a {}: {}.", unit.kind.as_str(), unit.name),
            None => format!("{code} is removed."),
        };
        self.by_hand(Change::Unit { code, unit }, why).await?;
        report.say(line);
        Ok(())
    }

    async fn list_units(&self, json: bool, report: &Report) -> anyhow::Result<()> {
        let roster = self.institution.roster().await?;
        let mut table = Table::new(["unit", "kind", "name", "enrolled", "source"]);
        for (depth, unit) in roster.tree() {
            if json {
                report.say(serde_json::to_string(&unit)?);
                continue;
            }
            let now = self.institution.now_ms();
            let enrolled = roster.enrolments_in(&unit.code).filter(|one| one.enrolment.counts(now)).count();
            let UnitView { code, kind, name, source, .. } = unit;
            let code = format!("{}{code}", "  ".repeat(depth));
            table.row([code, kind.as_str().to_owned(), name, enrolled.to_string(), source]);
        }
        table.say(report, json);
        Ok(())
    }

    async fn enrolment(
        &self,
        user: &UserId,
        role: Option<String>,
        from: Option<&str>,
        until: Option<&str>,
    ) -> anyhow::Result<Enrolment> {
        let roster = self.institution.roster().await?;
        let own = roster.person(user).map(|told| told.value.role.clone());
        Ok(Enrolment {
            role: role.or(own).unwrap_or_else(|| LEARNER.to_owned()),
            from_ms: from.map(|text| self.moment(text)).transpose()?,
            until_ms: until.map(|text| self.end_of(text)).transpose()?,
        })
    }

    async fn set_enrolment(
        &self,
        user: OwnedUserId,
        unit: String,
        enrolment: Option<Enrolment>,
        why: Option<&str>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let line = match &enrolment {
            Some(enrolment) => format!("{user} in {unit} as {}{}.", enrolment.role, self.window(enrolment)),
            None => format!("{user} is not in {unit} by hand any more."),
        };
        self.by_hand(Change::Enrolment { user, unit, enrolment }, why).await?;
        report.say(line);
        Ok(())
    }

    async fn list_enrolments(
        &self,
        user: Option<&UserId>,
        unit: Option<&str>,
        json: bool,
        report: &Report,
    ) -> anyhow::Result<()> {
        let (roster, now) = (self.institution.roster().await?, self.institution.now_ms());
        if let Some(unit) = unit.filter(|unit| roster.unit(unit).is_none()) {
            bail!("there is no unit {unit}; `lyceum unit list` shows those there are");
        }
        let mut table = Table::new(["person", "unit", "role", "when", "source"]);
        let found: Vec<_> = match (user, unit) {
            (Some(user), _) => {
                roster.enrolments_of(user).filter(|one| unit.is_none_or(|unit| one.unit == unit)).collect()
            }
            (None, Some(unit)) => roster.enrolments_in(unit).collect(),
            (None, None) => roster.units().flat_map(|(code, _)| roster.enrolments_in(code)).collect(),
        };
        for one in found {
            if json {
                report.say(serde_json::to_string(&EnrolmentView::of(&one, now))?);
                continue;
            }
            let state = if one.enrolment.counts(now) { "now" } else { "not now" };
            let when = format!("{state}{}", self.window(one.enrolment));
            let (user, unit, role) = (one.user.to_string(), one.unit.to_owned(), one.enrolment.role.clone());
            table.row([user, unit, role, when, one.source.to_owned()]);
        }
        table.say(report, json);
        Ok(())
    }

    /// From when until when, in words.
    fn window(&self, enrolment: &Enrolment) -> String {
        let calendar = &self.institution.settings().calendar;
        let part =
            |word: &str, at: Option<u64>| at.map(|at| format!(", {word} {}", calendar.show(at))).unwrap_or_default();
        part("from", enrolment.from_ms) + &part("until", enrolment.until_ms)
    }

    fn moment(&self, text: &str) -> anyhow::Result<u64> {
        self.institution.settings().calendar.start(text).ok_or_else(|| no_date(text))
    }

    pub(super) fn end_of(&self, text: &str) -> anyhow::Result<u64> {
        self.institution.settings().calendar.end(text).ok_or_else(|| no_date(text))
    }

    async fn verify_audit(&self, report: &Report) -> anyhow::Result<()> {
        let checked = self.institution.audit().verify().await?;
        for finding in &checked.findings {
            report.say(format!("WRONG  {finding}"));
        }
        match checked.wrong {
            0 if checked.rows == 0 => report.say("No rows: nothing has been written yet."),
            0 => report.say(format!(
                "{} rows, all as they were written. The last one's hash is {}",
                checked.rows, checked.hash
            )),
            wrong => bail!("the audit chain is not as it was written: {wrong} findings in {} rows", checked.rows),
        }
        Ok(())
    }

    async fn export_audit(&self, report: &Report) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let page = self.institution.audit().rows(after, PAGE_ROWS_MAX).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, line) in page {
                report.say(line);
            }
        }
    }
}

fn no_date(text: &str) -> anyhow::Error {
    anyhow!("{text:?} is no date; write one such as 2026-09-01 or 2026-09-01T08:00")
}

fn kinds() -> String {
    format!("there are {}", UnitKind::ALL.map(UnitKind::as_str).join(", "))
}
