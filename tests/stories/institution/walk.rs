//! The walk of docs/institution.md: a college of 3 departments, 12 courses, 40 staff and 1,200 students.

use lyceum_accounts::NewPerson;
use lyceum_institution::{Change, Enrolment, Order, audit::Actor, sample::Sample};
use lyceum_rooms::Membership;
use ruma::{OwnedRoomId, OwnedUserId, RoomAliasId};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::{Campus, campus::Host};

const SEED: u64 = 7;
/// Twenty seconds are promised of the program as it is given away; unoptimised, beside other stories, it may take longer.
const WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 20 });

async fn import(host: &Host, changes: Vec<Change>) -> usize {
    let order = Order { by: &Actor::Operator, source: "sample", why: None, changes };
    host.server.institution().change(&order).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn in_room(host: &Host, alias: &str) -> (OwnedRoomId, BTreeSet<OwnedUserId>) {
    let alias = RoomAliasId::parse(format!("#{}:alpha.example", alias.to_lowercase())).expect("an alias");
    let room = host.server.rooms().resolve_alias(&alias).await.expect("readable").unwrap_or_else(|| panic!("{alias}"));
    let snapshot = host.server.rooms().snapshot(&room).await.expect("a room");
    let joined = snapshot.state().members().filter(|(_, member)| member.membership == Membership::Join);
    let joined = joined.map(|(user, _)| user.clone()).filter(|user| user.localpart() != "lyceum").collect();
    (room, joined)
}

/// Who should be in a course's room by the changes that made the college.
fn enrolled(changes: &[Change], course: &str) -> BTreeSet<OwnedUserId> {
    let fits = |change: &Change| match change {
        Change::Enrolment { user, unit, enrolment: Some(_) } if unit == course => Some(user.clone()),
        _ => None,
    };
    changes.iter().filter_map(fits).collect()
}

#[tokio::test]
async fn a_college_walks_in() {
    let settings = "institution.enabled = true\ninstitution.default_rooms = true\n";
    let campus = Campus::with(["alpha.example"], settings).await;
    let host = campus.host("alpha.example");
    let sample = Sample::of(SEED, "alpha.example".try_into().expect("a name"));
    for user in &sample.people {
        let person = NewPerson { localpart: Some(user.localpart().to_owned()), ..NewPerson::default() };
        host.server.accounts().register(person, None).await.expect("the account can be made");
    }
    let begun = Instant::now();
    import(host, sample.changes.clone()).await;
    host.in_step().await;
    let took = begun.elapsed();
    assert!(took < WITHIN, "the college took {took:?} to walk in");

    let everybody: BTreeSet<_> = sample.people.iter().cloned().collect();
    assert_eq!(in_room(host, "announcements").await.1, everybody);
    assert_eq!(in_room(host, "college-space").await.1, everybody);
    for course in &sample.courses {
        assert_eq!(in_room(host, course).await.1, enrolled(&sample.changes, course), "who is in {course}");
    }
    let (room, _) = in_room(host, "MATH-1").await;
    let snapshot = host.server.rooms().snapshot(&room).await.expect("a room");
    for (user, role) in sample.changes.iter().filter_map(|change| match change {
        Change::Enrolment { user, unit, enrolment: Some(enrolment) } if unit == "MATH-1" => {
            Some((user, &enrolment.role))
        }
        _ => None,
    }) {
        let power = i64::from(snapshot.power_levels().users.get(user).copied().unwrap_or_default());
        assert_eq!(power, if role == "student" { 0 } else { 50 }, "the power of {user}");
    }

    // The next term: one student changes course, one leaves; they move and nobody else.
    let (mover, leaver) = (&sample.people[100], &sample.people[200]);
    let from =
        sample.courses.iter().find(|course| enrolled(&sample.changes, course).contains(mover)).expect("a course");
    let to = sample.courses.iter().find(|course| !enrolled(&sample.changes, course).contains(mover)).expect("another");
    let out =
        |user: &OwnedUserId, unit: &str| Change::Enrolment { user: user.clone(), unit: unit.into(), enrolment: None };
    let enrolment = Enrolment { role: "student".into(), from_ms: None, until_ms: None };
    let mut next =
        vec![out(mover, from), Change::Enrolment { user: mover.clone(), unit: to.clone(), enrolment: Some(enrolment) }];
    let left: Vec<_> =
        sample.courses.iter().filter(|course| enrolled(&sample.changes, course).contains(leaver)).cloned().collect();
    next.extend(left.iter().map(|course| out(leaver, course)));
    import(host, next).await;
    host.in_step().await;
    for course in &sample.courses {
        let mut expected = enrolled(&sample.changes, course);
        expected.remove(leaver);
        if course == from {
            expected.remove(mover);
        }
        if course == to {
            expected.insert(mover.clone());
        }
        assert_eq!(in_room(host, course).await.1, expected, "who is in {course} in the next term");
    }
    assert_eq!(host.in_step().await, 0, "everything is in step");
    assert!(host.server.institution().audit().verify().await.expect("readable").findings.is_empty());
}
