//! What is, as commands and the HTTP API show it.

use ruma::{OwnedUserId, UserId};
use serde::Serialize;

use crate::{Enrolled, Person, Roster, Told, Unit, UnitKind};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonView {
    /// Who.
    pub user_id: OwnedUserId,
    /// Their role; nothing if they were given none.
    pub role: Option<String>,
    /// Whose word that is.
    pub source: Option<String>,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitView {
    /// Its code.
    pub code: String,
    /// What kind of part it is.
    pub kind: UnitKind,
    /// Its name.
    pub name: String,
    /// The unit it lies in.
    pub parent: Option<String>,
    /// Whose word that is.
    pub source: String,
}

/// What one source says of something, which need not be what is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saying<T> {
    /// The source.
    pub source: String,
    /// What it says; nothing: that there is no such thing.
    pub says: Option<T>,
}

impl<T: Clone> Saying<T> {
    /// All that is said.
    pub fn all<'a>(words: impl Iterator<Item = (&'a str, Option<&'a T>)>) -> Vec<Self>
    where
        T: 'a,
    {
        words.map(|(source, says)| Self { source: source.to_owned(), says: says.cloned() }).collect()
    }
}

/// An enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnrolmentView {
    /// Who.
    pub user_id: OwnedUserId,
    /// The unit's code.
    pub unit: String,
    /// As what.
    pub role: String,
    /// From when.
    pub from_ms: Option<u64>,
    /// Until when.
    pub until_ms: Option<u64>,
    /// Whether it counts now.
    pub counts: bool,
    /// Whose word it is.
    pub source: String,
}

impl PersonView {
    /// What is known of a person.
    pub fn of(user: &UserId, told: Option<Told<'_, Person>>) -> Self {
        let role = told.as_ref().map(|told| told.value.role.clone());
        Self { user_id: user.to_owned(), role, source: told.map(|told| told.source.to_owned()) }
    }
}

impl UnitView {
    /// A unit as it is.
    pub fn of(code: &str, told: Told<'_, Unit>) -> Self {
        let Unit { kind, name, parent } = told.value.clone();
        Self { code: code.to_owned(), kind, name, parent, source: told.source.to_owned() }
    }
}

impl EnrolmentView {
    /// An enrolment as it is.
    pub fn of(one: &Enrolled<'_>, now_ms: u64) -> Self {
        Self {
            user_id: one.user.to_owned(),
            unit: one.unit.to_owned(),
            role: one.enrolment.role.clone(),
            from_ms: one.enrolment.from_ms,
            until_ms: one.enrolment.until_ms,
            counts: one.enrolment.counts(now_ms),
            source: one.source.to_owned(),
        }
    }
}

impl Roster {
    /// All units in the order of the tree, each with its depth.
    pub fn tree(&self) -> Vec<(usize, UnitView)> {
        let mut tops: Vec<&str> =
            self.units().filter(|(_, unit)| unit.value.parent.is_none()).map(|(code, _)| code).collect();
        tops.reverse();
        let (mut found, mut to_visit) = (Vec::new(), tops.into_iter().map(|code| (0, code)).collect::<Vec<_>>());
        while let Some((depth, code)) = to_visit.pop() {
            let Some(told) = self.unit(code) else { continue };
            found.push((depth, UnitView::of(code, told)));
            let mut children: Vec<_> = self.children(code).map(|child| (depth + 1, child)).collect();
            children.reverse();
            to_visit.append(&mut children);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::college;

    #[test]
    fn the_tree_is_told_from_the_top() {
        let tree = college().tree();
        let told: Vec<_> = tree.iter().map(|(depth, unit)| (*depth, unit.code.as_str())).collect();
        assert_eq!(told, [(0, "college"), (1, "maths"), (2, "alg"), (3, "alg-1"), (2, "geo")]);
    }
}
