//! A college made up by chance from a seed: for trials, for the walk in docs/institution.md and the test that goes it.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use ruma::{OwnedUserId, ServerName, UserId};

use crate::{Change, Enrolment, Person, Unit, UnitKind};

const DEPARTMENTS: [(&str, &str, [&str; 4]); 3] = [
    ("MATH", "Mathematics", ["Algebra", "Analysis", "Geometry", "Statistics"]),
    ("LANG", "Languages", ["Greek", "Latin", "French", "Linguistics"]),
    ("SCI", "Sciences", ["Physics", "Chemistry", "Biology", "Astronomy"]),
];
const STAFF: usize = 40;
const STUDENTS: usize = 1_200;
/// Courses that each student takes.
const COURSES_EACH: usize = 3;

/// A college of 3 departments, 12 courses, 40 staff and 1,200 students.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Everybody's id, the staff first.
    pub people: Vec<OwnedUserId>,
    /// What makes the college, in order.
    pub changes: Vec<Change>,
    /// The codes of the courses.
    pub courses: Vec<String>,
}

impl Sample {
    /// The college of a seed. The same seed makes the same college.
    pub fn of(seed: u64, server: &ServerName) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let (mut changes, courses) = units();
        let name = |kind: &str, number: usize| UserId::parse(format!("@{kind}{number}:{server}"));
        let staff: Vec<_> = (1..=STAFF).filter_map(|number| name("staff", number).ok()).collect();
        let students: Vec<_> = (1..=STUDENTS).filter_map(|number| name("student", number).ok()).collect();
        for (at, user) in staff.iter().enumerate() {
            let role = role_of_staff(at);
            changes.push(is(user, role));
            if role == "teacher" || role == "tutor" {
                let first = at % courses.len();
                let second = chance.random_range(0..courses.len());
                changes.push(enrolled(user, &courses[first], role));
                if second != first {
                    changes.push(enrolled(user, &courses[second], role));
                }
            }
        }
        for user in &students {
            changes.push(is(user, "student"));
            let taken = courses.choose_multiple(&mut chance, COURSES_EACH);
            changes.extend(taken.map(|course| enrolled(user, course, "student")));
        }
        Self { people: staff.into_iter().chain(students).collect(), changes, courses }
    }
}

fn units() -> (Vec<Change>, Vec<String>) {
    let mut changes = vec![unit("COLLEGE", UnitKind::Institution, "Example College", None)];
    let mut courses = Vec::new();
    for (code, name, names) in DEPARTMENTS {
        changes.push(unit(code, UnitKind::Department, name, Some("COLLEGE")));
        for (number, name) in names.into_iter().enumerate() {
            let course = format!("{code}-{}", number + 1);
            changes.push(unit(&course, UnitKind::Course, name, Some(code)));
            courses.push(course);
        }
    }
    (changes, courses)
}

/// One Director of Studies, two moderators, two support agents, an administrator; the others teach.
fn role_of_staff(at: usize) -> &'static str {
    match at {
        0 => "dos",
        1 | 2 => "moderator",
        3 | 4 => "support_agent",
        5 => "admin",
        _ if at.is_multiple_of(3) => "tutor",
        _ => "teacher",
    }
}

fn unit(code: &str, kind: UnitKind, name: &str, parent: Option<&str>) -> Change {
    let unit = Unit { kind, name: name.to_owned(), parent: parent.map(str::to_owned) };
    Change::Unit { code: code.to_owned(), unit: Some(unit) }
}

fn is(user: &UserId, role: &str) -> Change {
    Change::Person { user: user.to_owned(), person: Some(Person { role: role.to_owned() }) }
}

fn enrolled(user: &UserId, course: &str, role: &str) -> Change {
    let enrolment = Enrolment { role: role.to_owned(), from_ms: None, until_ms: None };
    Change::Enrolment { user: user.to_owned(), unit: course.to_owned(), enrolment: Some(enrolment) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::server_name;

    #[test]
    fn a_seed_makes_one_college() {
        let server = server_name!("alpha.test");
        let (one, same, other) = (Sample::of(1, server), Sample::of(1, server), Sample::of(2, server));
        assert_eq!((one.people.len(), one.courses.len()), (STAFF + STUDENTS, 12));
        assert_eq!(one.changes, same.changes);
        assert_ne!(one.changes, other.changes);
    }
}
