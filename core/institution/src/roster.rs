//! What is: who has which role, which units there are, who is enrolled where. In memory, shared structure: a copy costs
//! nothing, a change makes the next one.

use imbl::{OrdMap, OrdSet};
use ruma::{OwnedUserId, RoomId, UserId};

use crate::{
    Block, Blocked, Enrolment, Exam, InstitutionError, Person, Result, Unit, UnitKind,
    sources::{Sources, Word},
};

/// Units above one another at most: more than there are kinds cannot be.
const DEPTH_MAX: usize = UnitKind::ALL.len();

/// A thing and the source whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'a, T> {
    /// The source.
    pub source: &'a str,
    /// What it says.
    pub value: &'a T,
}

/// An enrolment of somebody somewhere.
#[derive(Debug, Clone, Copy)]
pub struct Enrolled<'a> {
    /// Who.
    pub user: &'a UserId,
    /// The unit's code.
    pub unit: &'a str,
    /// As what, and when.
    pub enrolment: &'a Enrolment,
    /// Whose word it is.
    pub source: &'a str,
}

/// What is at one moment.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    persons: OrdMap<OwnedUserId, Sources<Person>>,
    units: OrdMap<String, Sources<Unit>>,
    enrolments: OrdMap<OwnedUserId, OrdMap<String, Sources<Enrolment>>>,
    /// Who has a row in `enrolments` for a unit.
    members: OrdMap<String, OrdSet<OwnedUserId>>,
    /// The units that lie in a unit.
    children: OrdMap<String, OrdSet<String>>,
    exams: OrdMap<String, Exam>,
    /// By person and room; an empty room means everywhere.
    blocks: OrdMap<OwnedUserId, OrdMap<String, Block>>,
    /// Whose posts wait, by person and room like `blocks`.
    holds: OrdMap<OwnedUserId, OrdMap<String, Block>>,
}

impl Roster {
    /// What a person is, if anybody says so.
    pub fn person(&self, user: &UserId) -> Option<Told<'_, Person>> {
        let (source, value) = self.persons.get(user)?.holding()?;
        Some(Told { source, value })
    }

    /// Everybody who was given a role, by id.
    pub fn persons(&self) -> impl Iterator<Item = (&UserId, Told<'_, Person>)> {
        self.persons.iter().filter_map(|(user, sources)| {
            let (source, value) = sources.holding()?;
            Some((&**user, Told { source, value }))
        })
    }

    /// The unit of this code.
    pub fn unit(&self, code: &str) -> Option<Told<'_, Unit>> {
        let (source, value) = self.units.get(code)?.holding()?;
        Some(Told { source, value })
    }

    /// All units, by code.
    pub fn units(&self) -> impl Iterator<Item = (&str, Told<'_, Unit>)> {
        self.units.iter().filter_map(|(code, sources)| {
            let (source, value) = sources.holding()?;
            Some((code.as_str(), Told { source, value }))
        })
    }

    /// The codes of the units that lie directly in one.
    pub fn children(&self, code: &str) -> impl Iterator<Item = &str> {
        self.children.get(code).into_iter().flatten().map(String::as_str)
    }

    /// A unit and those it lies in, from itself to the top.
    pub fn upward<'a>(&'a self, code: &'a str) -> impl Iterator<Item = &'a str> {
        let parent = |code: &&'a str| self.unit(code).and_then(|unit| unit.value.parent.as_deref());
        std::iter::successors(Some(code), parent).take(DEPTH_MAX)
    }

    /// A person's enrolments, past and future ones included.
    pub fn enrolments_of(&self, user: &UserId) -> impl Iterator<Item = Enrolled<'_>> {
        self.enrolments.get_key_value(user).into_iter().flat_map(|(user, units)| {
            units.iter().filter_map(move |(unit, sources)| {
                let (source, enrolment) = sources.holding()?;
                Some(Enrolled { user, unit, enrolment, source })
            })
        })
    }

    /// The enrolments in a unit itself, past and future ones included.
    pub fn enrolments_in(&self, code: &str) -> impl Iterator<Item = Enrolled<'_>> {
        self.members.get_key_value(code).into_iter().flat_map(move |(unit, users)| {
            users.iter().filter_map(move |user| {
                let (source, enrolment) = self.enrolments.get(user)?.get(unit)?.holding()?;
                Some(Enrolled { user, unit, enrolment, source })
            })
        })
    }

    /// One enrolment.
    pub fn enrolment(&self, user: &UserId, unit: &str) -> Option<Told<'_, Enrolment>> {
        let (source, value) = self.enrolments.get(user)?.get(unit)?.holding()?;
        Some(Told { source, value })
    }

    /// The units a person is enrolled in at a moment.
    pub fn units_of(&self, user: &UserId, now_ms: u64) -> impl Iterator<Item = (&str, &Enrolment)> {
        let counts = move |one: &Enrolled<'_>| one.enrolment.counts(now_ms);
        self.enrolments_of(user).filter(counts).map(|one| (one.unit, one.enrolment))
    }

    /// Whether a person is enrolled in a unit, or in one that lies in it, at a moment.
    pub fn belongs(&self, user: &UserId, code: &str, now_ms: u64) -> bool {
        self.units_of(user, now_ms).any(|(unit, _)| self.upward(unit).any(|above| above == code))
    }

    /// Whether two people have a unit in common at a moment: one is enrolled where the other is, or above or below. The
    /// whole institution, which everybody has in common, does not count.
    pub fn share_unit(&self, one: &UserId, other: &UserId, now_ms: u64) -> bool {
        self.units_of(one, now_ms).any(|(mine, _)| {
            self.units_of(other, now_ms).any(|(theirs, _)| {
                let meets =
                    |below: &str, above: &str| !self.is_whole(above) && self.upward(below).any(|at| at == above);
                meets(mine, theirs) || meets(theirs, mine)
            })
        })
    }

    fn is_whole(&self, code: &str) -> bool {
        self.unit(code).is_none_or(|unit| unit.value.kind == UnitKind::Institution)
    }

    /// The next moment at which an enrolment begins or ends, after this one.
    pub fn next_turn(&self, now_ms: u64) -> Option<u64> {
        let holding = self.enrolments.values().flat_map(OrdMap::values).filter_map(Sources::holding);
        let turns = holding.flat_map(|(_, enrolment)| enrolment.from_ms.into_iter().chain(enrolment.until_ms));
        turns.filter(|turn| *turn > now_ms).min()
    }
}

/// What each source says.
impl Roster {
    /// About a person.
    pub fn said_of_person(&self, user: &UserId) -> impl Iterator<Item = (&str, Option<&Person>)> {
        self.persons.get(user).into_iter().flat_map(Sources::words)
    }

    /// About a unit.
    pub fn said_of_unit(&self, code: &str) -> impl Iterator<Item = (&str, Option<&Unit>)> {
        self.units.get(code).into_iter().flat_map(Sources::words)
    }

    /// About an enrolment.
    pub fn said_of_enrolment(&self, user: &UserId, unit: &str) -> impl Iterator<Item = (&str, Option<&Enrolment>)> {
        let sources = self.enrolments.get(user).and_then(|units| units.get(unit));
        sources.into_iter().flat_map(Sources::words)
    }
}

/// Exams and blocks.
impl Roster {
    /// Whether any exam is known: mostly there is none.
    pub fn has_exams(&self) -> bool {
        !self.exams.is_empty()
    }

    /// The exams that are going on or to come, or were the last of their units.
    pub fn exams(&self) -> impl Iterator<Item = (&str, &Exam)> {
        self.exams.iter().map(|(unit, exam)| (unit.as_str(), exam))
    }

    /// The exam of a unit itself.
    pub fn exam(&self, code: &str) -> Option<&Exam> {
        self.exams.get(code)
    }

    /// Until when a unit sits an exam, or one it lies in.
    pub fn exam_in(&self, code: &str, now_ms: u64) -> Option<u64> {
        let exams = self.upward(code).filter_map(|above| self.exams.get(above));
        exams.filter(|exam| exam.counts(now_ms)).map(|exam| exam.until_ms).max()
    }

    /// Until when two people sit an exam together.
    pub fn exam_of_both(&self, one: &UserId, other: &UserId, now_ms: u64) -> Option<u64> {
        let both = |unit: &str| self.belongs(one, unit, now_ms) && self.belongs(other, unit, now_ms);
        let exams = self.exams.iter().filter(|(unit, exam)| exam.counts(now_ms) && both(unit));
        exams.map(|(_, exam)| exam.until_ms).max()
    }

    /// Whether and how a person is blocked in a room, or everywhere.
    pub fn block(&self, user: &UserId, room: Option<&RoomId>, now_ms: u64) -> Option<Blocked> {
        let rooms = self.blocks.get(user)?;
        let everywhere = rooms.get("").filter(|block| block.counts(now_ms));
        let here = || rooms.get(room?.as_str()).filter(|block| block.counts(now_ms));
        let until_ms = everywhere.or_else(here)?.until_ms;
        Some(Blocked { everywhere: everywhere.is_some(), until_ms })
    }

    /// Whether the posts of anybody wait by a measure: mostly those of nobody do.
    pub fn has_holds(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Whether a person's posts in a room wait by a measure.
    pub fn is_held(&self, user: &UserId, room: Option<&RoomId>, now_ms: u64) -> bool {
        let Some(rooms) = self.holds.get(user) else { return false };
        let holds = |room: &str| rooms.get(room).is_some_and(|hold| hold.counts(now_ms));
        holds("") || room.is_some_and(|room| holds(room.as_str()))
    }

    /// One of those measures.
    pub fn hold_row(&self, user: &UserId, room: Option<&str>) -> Option<&Block> {
        self.holds.get(user)?.get(room.unwrap_or_default())
    }

    /// Everybody who is blocked somewhere: whom, where (nothing: everywhere), and until when.
    pub fn blocks(&self) -> impl Iterator<Item = (&UserId, Option<&str>, &Block)> {
        self.blocks.iter().flat_map(|(user, rooms)| {
            rooms.iter().map(|(room, block)| (&**user, Some(room.as_str()).filter(|room| !room.is_empty()), block))
        })
    }

    /// One block.
    pub fn block_row(&self, user: &UserId, room: Option<&str>) -> Option<&Block> {
        self.blocks.get(user)?.get(room.unwrap_or_default())
    }

    pub(crate) fn set_exam(&mut self, unit: &str, exam: Option<Exam>) {
        match exam {
            Some(exam) => drop(self.exams.insert(unit.to_owned(), exam)),
            None => drop(self.exams.remove(unit)),
        }
    }

    pub(crate) fn set_block(&mut self, user: &UserId, room: Option<&str>, block: Option<Block>) {
        set(&mut self.blocks, user, room, block);
    }

    pub(crate) fn set_hold(&mut self, user: &UserId, room: Option<&str>, hold: Option<Block>) {
        set(&mut self.holds, user, room, hold);
    }
}

fn set(
    restraints: &mut OrdMap<OwnedUserId, OrdMap<String, Block>>,
    user: &UserId,
    room: Option<&str>,
    restraint: Option<Block>,
) {
    let rooms = restraints.entry(user.to_owned()).or_default();
    match restraint {
        Some(restraint) => drop(rooms.insert(room.unwrap_or_default().to_owned(), restraint)),
        None => drop(rooms.remove(room.unwrap_or_default())),
    }
    if rooms.is_empty() {
        restraints.remove(user);
    }
}

/// Taking up rows and changes.
impl Roster {
    pub(crate) fn put_person(&mut self, user: OwnedUserId, source: String, person: Option<Person>) {
        self.persons.entry(user).or_default().put(source, person);
    }

    pub(crate) fn put_unit(&mut self, code: String, source: String, unit: Option<Unit>) {
        self.units.entry(code.clone()).or_default().put(source, unit);
        self.place(&code, None);
    }

    pub(crate) fn put_enrolment(&mut self, user: OwnedUserId, unit: String, source: String, value: Option<Enrolment>) {
        self.members.entry(unit.clone()).or_default().insert(user.clone());
        self.enrolments.entry(user).or_default().entry(unit).or_default().put(source, value);
    }

    pub(crate) fn say_person(&mut self, user: &UserId, source: &str, value: Option<Person>) -> Word<'_, Person> {
        self.persons.entry(user.to_owned()).or_default().say(source, value)
    }

    pub(crate) fn say_unit(&mut self, code: &str, source: &str, value: Option<Unit>) -> Word<'_, Unit> {
        let before = self.unit(code).and_then(|unit| unit.value.parent.clone());
        self.units.entry(code.to_owned()).or_default().say(source, value);
        self.place(code, before);
        self.units.entry(code.to_owned()).or_default().word_of(source)
    }

    pub(crate) fn say_enrolment(
        &mut self,
        (user, unit): (&UserId, &str),
        source: &str,
        value: Option<Enrolment>,
    ) -> Word<'_, Enrolment> {
        self.members.entry(unit.to_owned()).or_default().insert(user.to_owned());
        let units = self.enrolments.entry(user.to_owned()).or_default();
        units.entry(unit.to_owned()).or_default().say(source, value)
    }

    /// Forgets places about which nobody says anything.
    pub(crate) fn tidy(&mut self, user: Option<&UserId>, code: &str) {
        if let Some(user) = user {
            if self.persons.get(user).is_some_and(Sources::is_empty) {
                self.persons.remove(user);
            }
            if let Some(units) = self.enrolments.get_mut(user)
                && units.get(code).is_some_and(Sources::is_empty)
            {
                units.remove(code);
                if let Some(members) = self.members.get_mut(code) {
                    members.remove(user);
                }
            }
        }
        if self.units.get(code).is_some_and(Sources::is_empty) {
            self.units.remove(code);
        }
    }

    /// Puts a unit below the one it lies in now.
    fn place(&mut self, code: &str, before: Option<String>) {
        if let Some(children) = before.and_then(|parent| self.children.get_mut(&parent)) {
            children.remove(code);
        }
        if let Some(parent) = self.unit(code).and_then(|unit| unit.value.parent.clone()) {
            self.children.entry(parent).or_default().insert(code.to_owned());
        }
    }

    /// Whether a unit may lie where it says.
    pub(crate) fn check_unit(&self, code: &str, unit: &Unit) -> Result<()> {
        let wrong = |why: String| Err(InstitutionError::Wrong(why));
        let Some(parent) = unit.parent.as_deref() else { return Ok(()) };
        let Some(above) = self.unit(parent) else {
            return wrong(format!("there is no unit {parent} for it to lie in"));
        };
        if above.value.kind >= unit.kind {
            let (kind, other) = (unit.kind.as_str(), above.value.kind.as_str());
            return wrong(format!("{parent} is a {other}: a {kind} cannot lie in it"));
        }
        let lower = self.children(code).filter_map(|child| self.unit(child));
        if lower.into_iter().any(|child| child.value.kind <= unit.kind) {
            return wrong(format!("units lie in {code} that cannot lie in a {}", unit.kind.as_str()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{college, enrolment};
    use ruma::user_id;

    #[test]
    fn units_in_common_are_found_up_and_down_the_tree() {
        let mut roster = college();
        let (ann, ben, cleo) = (user_id!("@ann:a.b"), user_id!("@ben:a.b"), user_id!("@cleo:a.b"));
        let mut enrol = |user: &UserId, unit: &str, from, until| {
            let _ = roster.say_enrolment((user, unit), crate::HAND, Some(enrolment("student", from, until)));
        };
        enrol(ann, "alg-1", None, None);
        enrol(ben, "alg", None, Some(100));
        enrol(cleo, "geo", None, None);
        enrol(cleo, "college", None, None);
        enrol(ann, "college", None, None);
        assert!(roster.share_unit(ann, ben, 99) && roster.share_unit(ben, ann, 99), "a class and its course");
        assert!(!roster.share_unit(ann, ben, 100), "the enrolment has ended");
        assert!(!roster.share_unit(ann, cleo, 0), "different courses; the whole college does not count");
        assert!(roster.belongs(ann, "alg", 0) && roster.belongs(ann, "maths", 0) && !roster.belongs(ann, "geo", 0));
        assert_eq!(roster.upward("alg-1").collect::<Vec<_>>(), ["alg-1", "alg", "maths", "college"]);
        assert_eq!(roster.children("maths").collect::<Vec<_>>(), ["alg", "geo"]);
        assert_eq!((roster.next_turn(0), roster.next_turn(100)), (Some(100), None));
    }

    #[test]
    fn a_unit_lies_in_one_of_a_kind_further_up() {
        let roster = college();
        let unit = |kind, parent: &str| Unit { kind, name: "x".into(), parent: Some(parent.into()) };
        assert!(roster.check_unit("new", &unit(UnitKind::Class, "alg")).is_ok());
        for (kind, parent) in [(UnitKind::Course, "alg"), (UnitKind::Department, "alg"), (UnitKind::Class, "none")] {
            assert!(roster.check_unit("new", &unit(kind, parent)).is_err(), "{kind:?} in {parent}");
        }
        assert!(roster.check_unit("alg", &unit(UnitKind::Class, "geo")).is_err(), "a class lies in it");
        assert!(roster.check_unit("maths", &unit(UnitKind::Department, "maths")).is_err(), "in itself");
    }
}
