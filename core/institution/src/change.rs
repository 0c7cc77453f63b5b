//! Changing people, units and enrolments: each change is checked against what is, and written with its audit row.

use lyceum_storage::{Batch, Subject};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{
    Block, Enrolment, Exam, Institution, InstitutionError, Person, Result, Roster, Settings, Unit,
    audit::{Actor, Entry},
    institution::SUBJECT,
    sources::Word,
    tables::{BLOCKS, ENROLMENTS, EXAMS, HOLDS, PERSONS, UNITS},
    units::{check_code, check_name},
};

/// The source of what is decided by hand: by command or by a person with the right to.
pub const HAND: &str = "hand";

/// Changes that one order may hold.
pub const CHANGES_MAX: usize = 5_000;
/// How often an order is decided again after another node was quicker.
const TRIES: usize = 5;
/// The bytes of a source's name, and of a reason.
const SOURCE_BYTES_MAX: usize = 64;
const WHY_BYTES_MAX: usize = 1_000;

/// One change: what a source says now, or that it says it no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// What a person is.
    Person {
        /// Who.
        user: OwnedUserId,
        /// What they are.
        person: Option<Person>,
    },
    /// What a unit is.
    Unit {
        /// Its code.
        code: String,
        /// What it is.
        unit: Option<Unit>,
    },
    /// Whether a person is enrolled in a unit.
    Enrolment {
        /// Who.
        user: OwnedUserId,
        /// The unit's code.
        unit: String,
        /// As what, and when.
        enrolment: Option<Enrolment>,
    },
    /// The exam of a unit.
    Exam {
        /// The unit's code.
        unit: String,
        /// When; nothing: there is none.
        exam: Option<Exam>,
    },
    /// Whether a person is blocked.
    Block {
        /// Who.
        user: OwnedUserId,
        /// Where; nothing: everywhere.
        room: Option<OwnedRoomId>,
        /// How long; nothing: they are not.
        block: Option<Block>,
    },
    /// Whether a person's posts wait until somebody has looked at them.
    Hold {
        /// Whose.
        user: OwnedUserId,
        /// Where; nothing: everywhere.
        room: Option<OwnedRoomId>,
        /// How long; nothing: they do not.
        hold: Option<Block>,
    },
}

/// Changes that belong together: all of them are made, or none.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Who orders it.
    pub by: &'a Actor,
    /// Whose word it is: [`HAND`], or the name of a source that is imported.
    pub source: &'a str,
    /// Why.
    pub why: Option<&'a str>,
    /// What.
    pub changes: Vec<Change>,
}

impl Institution {
    /// Makes changes. Answers how many of them changed what holds.
    pub async fn change(&self, order: &Order<'_>) -> Result<usize> {
        self.change_noted(order, &|_| ()).await
    }

    /// Makes changes as part of something else, which `note` puts into the same batch.
    pub async fn change_noted(&self, order: &Order<'_>, note: &(dyn Fn(&mut Batch) + Sync + '_)) -> Result<usize> {
        check_order(order)?;
        for _ in 0..TRIES {
            match self.try_change(order, note).await {
                Err(InstitutionError::Busy) => self.reload().await?,
                done => return done,
            }
        }
        Err(InstitutionError::Busy)
    }

    async fn try_change(&self, order: &Order<'_>, note: &(dyn Fn(&mut Batch) + Sync + '_)) -> Result<usize> {
        let mut chain = self.audit().hold().await?;
        let mut roster = Roster::clone(&*self.roster().await?);
        let (mut batch, mut changed) = (Batch::new(), 0);
        for change in &order.changes {
            change.check(&roster, self.settings())?;
            let (before, said) = (change.holding(&roster), change.word(&roster, order.source));
            change.make(&mut roster, order.source, &mut batch);
            let (after, says) = (change.holding(&roster), change.word(&roster, order.source));
            if before == after && said == says && order.source != HAND {
                continue;
            }
            changed += usize::from(before != after);
            let mut what = json!({ "source": order.source, "from": before, "to": after });
            if before == after {
                // Another source's word goes first: what this one says would be nowhere.
                what["says"] = says;
            }
            let entry = Entry { why: order.why, over: Some(change.over()), what, ..Entry::new(order.by, change.act()) };
            chain.add(&mut batch, &entry)?;
        }
        note(&mut batch);
        batch.touch(Subject::other(SUBJECT));
        let (this, roster) = (self.clone(), Arc::new(roster));
        batch.after_commit(move |position| this.become_current(roster, position));
        chain.commit(batch).await?;
        Ok(changed)
    }
}

/// A source's name is written into commands and answers.
pub(crate) fn check_source(source: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if source.is_empty() || source.len() > SOURCE_BYTES_MAX || !source.bytes().all(fits) {
        return Err(InstitutionError::Wrong(format!("{source:?} cannot be the name of a source")));
    }
    Ok(())
}

fn check_order(order: &Order<'_>) -> Result<()> {
    check_source(order.source)?;
    if order.why.is_some_and(|why| why.len() > WHY_BYTES_MAX) {
        return Err(InstitutionError::Wrong(format!("a reason has at most {WHY_BYTES_MAX} bytes")));
    }
    if order.changes.len() > CHANGES_MAX {
        return Err(InstitutionError::Limit(format!("at most {CHANGES_MAX} changes can be made at once")));
    }
    Ok(())
}

impl Change {
    /// What is asked for makes sense as things are.
    fn check(&self, roster: &Roster, settings: &Settings) -> Result<()> {
        let known = |role: &str| match settings.role(role) {
            Some(_) => Ok(()),
            None => Err(InstitutionError::Wrong(settings.no_such_role(role))),
        };
        match self {
            Self::Person { person, .. } => person.iter().try_for_each(|person| known(&person.role)),
            Self::Unit { code, unit: Some(unit) } => {
                check_code(code)?;
                check_name(&unit.name)?;
                roster.check_unit(code, unit)
            }
            Self::Unit { code, unit: None } => check_empty(roster, code),
            Self::Enrolment { unit, enrolment: Some(enrolment), .. } => {
                if roster.unit(unit).is_none() {
                    return Err(InstitutionError::NotFound(format!("there is no unit {unit}")));
                }
                if enrolment.from_ms.zip(enrolment.until_ms).is_some_and(|(from, until)| from >= until) {
                    return Err(InstitutionError::Wrong("the enrolment would end before it begins".to_owned()));
                }
                known(&enrolment.role)
            }
            Self::Exam { unit, exam } => {
                if roster.unit(unit).is_none() {
                    return Err(InstitutionError::NotFound(format!("there is no unit {unit}")));
                }
                if exam.is_some_and(|exam| exam.from_ms >= exam.until_ms) {
                    return Err(InstitutionError::Wrong("the exam would end before it begins".to_owned()));
                }
                Ok(())
            }
            Self::Block { user, room, block: None } => {
                match roster.block_row(user, room.as_ref().map(|room| room.as_str())) {
                    Some(_) => Ok(()),
                    None => Err(InstitutionError::NotFound(format!("{user} is not blocked there"))),
                }
            }
            Self::Hold { user, room, hold: None } => {
                match roster.hold_row(user, room.as_ref().map(|room| room.as_str())) {
                    Some(_) => Ok(()),
                    None => Err(InstitutionError::NotFound(format!("{user}'s posts do not wait there"))),
                }
            }
            Self::Block { .. } | Self::Hold { .. } => Ok(()),
            Self::Enrolment { user, unit, enrolment: None } => match roster.enrolment(user, unit) {
                Some(_) => Ok(()),
                None => Err(InstitutionError::NotFound(format!("{user} is not enrolled in {unit}"))),
            },
        }
    }

    /// Makes it in memory and in the batch.
    fn make(&self, roster: &mut Roster, source: &str, batch: &mut Batch) {
        match self {
            Self::Person { user, person } => {
                let key = (user.as_str(), source);
                match roster.say_person(user, source, person.clone()) {
                    Word::Says(person) => batch.put(&PERSONS, key, &person.cloned()),
                    Word::Silent => batch.delete(&PERSONS, key),
                };
                roster.tidy(Some(user), "");
            }
            Self::Unit { code, unit } => {
                let key = (code.as_str(), source);
                match roster.say_unit(code, source, unit.clone()) {
                    Word::Says(unit) => batch.put(&UNITS, key, &unit.cloned()),
                    Word::Silent => batch.delete(&UNITS, key),
                };
                roster.tidy(None, code);
            }
            Self::Enrolment { user, unit, enrolment } => {
                let key = (user.as_str(), unit.as_str(), source);
                match roster.say_enrolment((user, unit), source, enrolment.clone()) {
                    Word::Says(enrolment) => batch.put(&ENROLMENTS, key, &enrolment.cloned()),
                    Word::Silent => batch.delete(&ENROLMENTS, key),
                };
                roster.tidy(Some(user), unit);
            }
            Self::Exam { unit, exam } => {
                match exam {
                    Some(exam) => batch.put(&EXAMS, unit, exam),
                    None => batch.delete(&EXAMS, unit),
                };
                roster.set_exam(unit, *exam);
            }
            Self::Block { user, room, block } => {
                let room = room.as_ref().map(|room| room.as_str());
                let key = (user.as_str(), room.unwrap_or_default());
                match block {
                    Some(block) => batch.put(&BLOCKS, key, block),
                    None => batch.delete(&BLOCKS, key),
                };
                roster.set_block(user, room, *block);
            }
            Self::Hold { user, room, hold } => {
                let room = room.as_ref().map(|room| room.as_str());
                let key = (user.as_str(), room.unwrap_or_default());
                match hold {
                    Some(hold) => batch.put(&HOLDS, key, hold),
                    None => batch.delete(&HOLDS, key),
                };
                roster.set_hold(user, room, *hold);
            }
        }
    }

    /// What holds about it.
    fn holding(&self, roster: &Roster) -> Value {
        let as_json = |value: Option<Value>| value.unwrap_or(Value::Null);
        match self {
            Self::Person { user, .. } => as_json(roster.person(user).map(|told| json!(told.value))),
            Self::Unit { code, .. } => as_json(roster.unit(code).map(|told| json!(told.value))),
            Self::Enrolment { user, unit, .. } => as_json(roster.enrolment(user, unit).map(|told| json!(told.value))),
            Self::Exam { unit, .. } => json!(roster.exam(unit)),
            Self::Block { user, room, .. } => json!(roster.block_row(user, room.as_ref().map(|room| room.as_str()))),
            Self::Hold { user, room, .. } => json!(roster.hold_row(user, room.as_ref().map(|room| room.as_str()))),
        }
    }

    /// What a source says about it: nothing, or its word in brackets.
    fn word(&self, roster: &Roster, source: &str) -> Value {
        match self {
            Self::Person { user, .. } => word_of(roster.said_of_person(user), source),
            Self::Unit { code, .. } => word_of(roster.said_of_unit(code), source),
            Self::Enrolment { user, unit, .. } => word_of(roster.said_of_enrolment(user, unit), source),
            Self::Exam { .. } | Self::Block { .. } | Self::Hold { .. } => self.holding(roster),
        }
    }

    /// The act's name in the audit chain.
    fn act(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person.change",
            Self::Unit { .. } => "unit.change",
            Self::Enrolment { .. } => "enrolment.change",
            Self::Exam { .. } => "exam.change",
            Self::Block { .. } => "block.change",
            Self::Hold { .. } => "hold.change",
        }
    }

    /// Whom or what it is about.
    fn over(&self) -> String {
        match self {
            Self::Person { user, .. } => user.to_string(),
            Self::Unit { code, .. } => code.clone(),
            Self::Enrolment { user, unit, .. } => format!("{user} in {unit}"),
            Self::Exam { unit, .. } => unit.clone(),
            Self::Block { user, room: Some(room), .. } | Self::Hold { user, room: Some(room), .. } => {
                format!("{user} in {room}")
            }
            Self::Block { user, room: None, .. } | Self::Hold { user, room: None, .. } => user.to_string(),
        }
    }
}

fn word_of<'a, T: serde::Serialize + 'a>(
    mut words: impl Iterator<Item = (&'a str, Option<&'a T>)>,
    source: &str,
) -> Value {
    words.find(|(name, _)| *name == source).map_or(Value::Null, |(_, word)| json!([word]))
}

/// A unit goes only when nothing lies in it and nobody is enrolled in it.
fn check_empty(roster: &Roster, code: &str) -> Result<()> {
    if roster.unit(code).is_none() {
        return Err(InstitutionError::NotFound(format!("there is no unit {code}")));
    }
    if let Some(child) = roster.children(code).next() {
        return Err(InstitutionError::Wrong(format!("{child} lies in {code}: remove that first")));
    }
    if let Some(one) = roster.enrolments_in(code).next() {
        let user: &UserId = one.user;
        return Err(InstitutionError::Wrong(format!("{user} is enrolled in {code}: remove the enrolments first")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UnitKind, testing};
    use ruma::user_id;

    fn unit(code: &str, kind: UnitKind, parent: Option<&str>) -> Change {
        let unit = Unit { kind, name: code.to_uppercase(), parent: parent.map(str::to_owned) };
        Change::Unit { code: code.to_owned(), unit: Some(unit) }
    }

    fn enrolled(user: &UserId, unit: &str, until_ms: Option<u64>) -> Change {
        let enrolment = Enrolment { role: "student".into(), from_ms: None, until_ms };
        Change::Enrolment { user: user.to_owned(), unit: unit.to_owned(), enrolment: Some(enrolment) }
    }

    async fn by_hand(institution: &Institution, changes: Vec<Change>) -> Result<usize> {
        institution.change(&Order { by: &Actor::Operator, source: HAND, why: Some("a test"), changes }).await
    }

    #[tokio::test]
    async fn what_was_changed_is_there_after_a_restart_with_its_audit_rows() {
        let (store, institution) = testing::institution().await;
        let ann = user_id!("@ann:alpha.test");
        let changes = vec![
            unit("college", UnitKind::Institution, None),
            unit("alg", UnitKind::Course, Some("college")),
            Change::Person { user: ann.to_owned(), person: Some(Person { role: "student".into() }) },
            enrolled(ann, "alg", Some(100)),
        ];
        assert_eq!(by_hand(&institution, changes).await.unwrap(), 4);
        let again = testing::over(store).await;
        let roster = again.roster().await.unwrap();
        assert_eq!(roster.person(ann).unwrap().value.role, "student");
        assert!(roster.belongs(ann, "college", 99) && !roster.belongs(ann, "college", 100));
        let rows = again.audit().rows(0, 10).await.unwrap();
        let acts: Vec<_> = rows.iter().map(|(_, row)| row.contains("enrolment.change")).collect();
        assert_eq!(acts, [false, false, false, true]);
        assert!(again.audit().verify().await.unwrap().findings.is_empty());
    }

    #[tokio::test]
    async fn an_order_is_made_whole_or_not_at_all() {
        let (_, institution) = testing::institution().await;
        let changes = vec![unit("alg", UnitKind::Course, None), unit("geo", UnitKind::Course, Some("nowhere"))];
        assert!(matches!(by_hand(&institution, changes).await, Err(InstitutionError::Wrong(_))));
        assert_eq!(institution.roster().await.unwrap().units().count(), 0);
        assert!(institution.audit().rows(0, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_unit_stays_while_somebody_is_in_it() {
        let (_, institution) = testing::institution().await;
        let ann = user_id!("@ann:alpha.test");
        by_hand(&institution, vec![unit("alg", UnitKind::Course, None), enrolled(ann, "alg", None)]).await.unwrap();
        let gone = Change::Unit { code: "alg".into(), unit: None };
        assert!(by_hand(&institution, vec![gone.clone()]).await.is_err());
        let out = Change::Enrolment { user: ann.to_owned(), unit: "alg".into(), enrolment: None };
        assert_eq!(by_hand(&institution, vec![out.clone(), gone]).await.unwrap(), 2);
        assert!(matches!(by_hand(&institution, vec![out]).await, Err(InstitutionError::NotFound(_))));
        assert_eq!(institution.roster().await.unwrap().units().count(), 0);
    }

    #[tokio::test]
    async fn what_another_node_changed_is_seen() {
        let (store, here) = testing::institution().await;
        let there = testing::over(store).await;
        by_hand(&there, vec![unit("alg", UnitKind::Course, None)]).await.unwrap();
        assert!(here.roster().await.unwrap().unit("alg").is_some());
        by_hand(&here, vec![unit("geo", UnitKind::Course, None)]).await.unwrap();
        by_hand(&there, vec![unit("ari", UnitKind::Course, None)]).await.unwrap();
        assert_eq!(here.roster().await.unwrap().units().count(), 3);
        assert!(here.audit().verify().await.unwrap().findings.is_empty());
    }
}
