//! Every role against every role and kind, for each act; then each rule by itself.

use super::{
    Act, Place, Quiet, QuietConfig,
    testing::{College, NOW, person},
};
use crate::{Block, Exam, kinds::Encryption};

const ROLES: [&str; 9] =
    ["student", "teacher", "tutor", "support_agent", "staff", "moderator", "dos", "admin", "visitor"];

/// For each kind: who may be in it (in the order of `ROLES`).
const ENTERS: [(&str, [u8; 9]); 18] = [
    ("peer", [1, 0, 0, 0, 0, 1, 1, 0, 0]),
    ("help", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("staff", [0, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("office", [0, 1, 1, 0, 0, 1, 1, 0, 0]),
    ("support_desk", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("support_team", [0, 0, 0, 1, 0, 1, 1, 0, 0]),
    ("approvals", [0, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("instructor_admin", [0, 1, 1, 0, 0, 1, 1, 1, 0]),
    ("course", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("study_group", [1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ("announcement", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("common", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("tutors", [0, 1, 1, 0, 0, 1, 1, 0, 0]),
    ("admin_team", [0, 0, 0, 0, 1, 1, 1, 1, 0]),
    ("moderation", [0, 0, 0, 0, 0, 1, 1, 0, 0]),
    ("direct", [1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ("space", [1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ("elsewhere", [0, 1, 1, 1, 1, 1, 1, 1, 0]),
];

/// For each kind: who may make it.
const MAKES: [(&str, [u8; 9]); 18] = [
    ("peer", [1, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("help", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("staff", [0, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("office", [0, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("support_desk", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("support_team", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("approvals", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("instructor_admin", [0, 1, 1, 0, 0, 0, 1, 1, 0]),
    ("course", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("study_group", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("announcement", [0, 0, 0, 0, 0, 0, 1, 1, 0]),
    ("common", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("tutors", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("admin_team", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("moderation", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("direct", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("space", [1, 1, 1, 1, 1, 1, 1, 1, 0]),
    ("elsewhere", [0, 0, 0, 0, 0, 0, 0, 0, 0]),
];

/// Who may start a chat with somebody of another course (in the order of `ROLES`): rows ask, columns are asked.
const STARTS: [[u8; 9]; 9] = [
    [0, 0, 0, 1, 0, 1, 1, 0, 0],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [0, 1, 1, 1, 1, 1, 1, 1, 0],
];

#[test]
fn every_role_enters_the_kinds_it_may_and_no_other() {
    let college = College::new();
    assert_eq!(ENTERS.len(), college.settings.kinds.len(), "every kind has its line");
    for (kind, may) in ENTERS {
        let place = Place { is_ours: kind != "elsewhere", ..college.place(kind, None) };
        for (role, may) in ROLES.into_iter().zip(may) {
            let fed = !place.kind.federates && role == "visitor";
            let rule = if fed { "federation" } else { "entry" };
            let expected = (may == 0).then_some(rule);
            for (act, name) in [(Act::Join(place), "join"), (Act::Knock(place), "knock on"), (Act::See(place), "see")] {
                assert_eq!(college.refuses(role, &act), expected, "may a {role} {name} a {kind}?");
            }
            let invite = Act::Invite { place, whom: &person(role) };
            let their_matter = kind == "elsewhere" && role == "visitor";
            let expected_of_invite = expected.filter(|_| !their_matter);
            assert_eq!(college.refuses("dos2", &invite), expected_of_invite, "may a {role} be asked into a {kind}?");
            let say = Act::Say { place, kind: "m.room.message" };
            if place.is_ours && expected.is_some() {
                assert_eq!(college.refuses(role, &say), expected, "may a {role} say something in a {kind}?");
            }
        }
    }
}

#[test]
fn every_role_makes_the_kinds_it_may_and_no_other() {
    let college = College::new();
    for (kind, may) in MAKES {
        for (role, may) in ROLES.into_iter().zip(may) {
            let act = Act::Create { place: college.place(kind, None), invitees: &[] };
            let refused = college.refuses(role, &act);
            assert_eq!(refused.is_none(), may == 1, "may a {role} make a {kind}? {refused:?}");
        }
    }
}

#[test]
fn every_role_reaches_those_it_may_and_no_other() {
    let college = College::new();
    for (who, row) in ROLES.into_iter().zip(STARTS) {
        for (whom, may) in ROLES.into_iter().zip(row) {
            let other = person(&format!("{whom}2"));
            let start = Act::Create { place: college.place("direct", None), invitees: &[&other] };
            if who != "visitor" {
                let expected = (may == 0).then_some("contact");
                assert_eq!(college.refuses(who, &start), expected, "may a {who} start a chat with a {whom}?");
            }
            let invite = Act::Invite { place: college.place("direct", None), whom: &other };
            let expected = (may == 0).then_some("contact");
            assert_eq!(college.refuses(who, &invite), expected, "may a {who} invite a {whom}?");
        }
    }
    let (mate, teacher) = (person("student"), person("teacher"));
    let mut college = college;
    let enrolled = crate::testing::enrolment("student", None, None);
    let _ = college.roster.say_enrolment((&person("student2"), "alg-1"), crate::HAND, Some(enrolled));
    for other in [&mate, &teacher] {
        let start = Act::Create { place: college.place("direct", None), invitees: &[other] };
        assert_eq!(college.refuses("student2", &start), None, "a unit in common opens the way to {other}");
    }
    assert_eq!(college.refuses("student2", &Act::Find(&person("admin2"))), None, "students find the staff");
    assert_eq!(college.refuses("visitor", &Act::Find(&mate)), Some("contact"));
}

#[test]
fn the_contact_matrix_knows_the_time_of_day() {
    use super::{Contact, ContactConfig, contact::Condition};
    let mut college = College::new();
    let line = ContactConfig {
        from: vec!["student".into()],
        to: vec!["teacher".into()],
        acts: Vec::new(),
        when: Condition::SameUnit,
        hours: Some("mon-fri 07:00-20:00".into()),
    };
    college.settings.contacts = Contact::read(&[line], &college.settings.roles, &mut Vec::new());
    let (student, teacher) = (person("student"), person("teacher"));
    let invite = Act::Invite { place: college.place("direct", None), whom: &teacher };
    let (evening, saturday) = (NOW + 12 * 3_600_000, NOW + 5 * 24 * 3_600_000);
    assert_eq!(college.refuses_at(NOW, &student, &invite), None);
    for late in [evening, saturday] {
        assert_eq!(college.refuses_at(late, &student, &invite), Some("contact"));
        assert_eq!(college.refuses_at(late, &student, &Act::Find(&teacher)), Some("contact"));
    }
}

#[test]
fn a_units_rooms_are_for_its_people_and_the_staff() {
    let college = College::new();
    let place = college.place("course", Some("alg"));
    assert_eq!(college.refuses("student", &Act::Join(place)), None);
    assert_eq!(college.refuses("student2", &Act::Join(place)), Some("units"));
    assert_eq!(college.refuses("student2", &Act::See(place)), Some("units"));
    assert_eq!(college.refuses("teacher2", &Act::Join(place)), None);
    let make = |unit| Act::Create { place: college.place("study_group", Some(unit)), invitees: &[] };
    assert_eq!(college.refuses("student", &make("alg")), None);
    assert_eq!(college.refuses("student", &make("geo")), Some("creation"));
    assert_eq!(college.refuses("student", &make("nowhere")), Some("creation"));
}

#[test]
fn in_announcement_rooms_students_read_and_react() {
    let college = College::new();
    let place = college.place("announcement", None);
    let say = |kind| Act::Say { place, kind };
    assert_eq!(college.refuses("student", &say("m.room.message")), Some("announcement"));
    assert_eq!(college.refuses("student", &Act::Set { place, kind: "m.room.topic" }), Some("announcement"));
    assert_eq!(college.refuses("student", &say("m.reaction")), None);
    assert_eq!(college.refuses("support_agent", &say("m.room.message")), None);
}

#[test]
fn quiet_hours_are_kept_by_those_they_are_for() {
    let mut college = College::new();
    let config = QuietConfig { hours: "22:00-06:00".into(), roles: vec!["student".into()], kinds: vec!["peer".into()] };
    college.settings.quiet = Quiet::read(&[config], &college.settings.roles, &mut Vec::new());
    let say = |kind| Act::Say { place: college.place(kind, None), kind: "m.room.message" };
    let night = NOW + 15 * 3_600_000;
    let student = person("student");
    assert_eq!(college.refuses_at(night, &student, &say("peer")), Some("quiet_hours"));
    assert_eq!(college.refuses_at(night, &student, &say("help")), None);
    assert_eq!(college.refuses_at(night, &person("moderator"), &say("peer")), None);
    assert_eq!(college.refuses_at(NOW, &student, &say("peer")), None);
}

#[test]
fn an_exam_makes_its_units_rooms_read_only_and_ends_by_itself() {
    let mut college = College::new();
    college.roster.set_exam("alg", Some(Exam { from_ms: NOW, until_ms: NOW + 100 }));
    let (student, other, mate) = (person("student"), person("student2"), person("mate"));
    let enrolled = crate::testing::enrolment("student", None, None);
    let _ = college.roster.say_enrolment((&mate, "alg-1"), crate::HAND, Some(enrolled));
    let _ = college.roster.say_person(&mate, crate::HAND, Some(crate::Person { role: "student".into() }));
    let in_course = Act::Say { place: college.place("course", Some("alg-1")), kind: "m.room.message" };
    let elsewhere = Act::Say { place: college.place("course", Some("geo")), kind: "m.room.message" };
    let (both, one) = ([&*mate], [&*other]);
    let chat = |others| Act::Say { place: Place { others, ..college.place("direct", None) }, kind: "m.room.message" };
    assert_eq!(college.refuses_at(NOW, &student, &in_course), Some("exam"), "a class of the course");
    assert_eq!(college.refuses_at(NOW, &student, &chat(&both)), Some("exam"));
    assert_eq!(college.refuses_at(NOW, &student, &chat(&one)), None, "the other one sits no exam");
    assert_eq!(college.refuses_at(NOW, &other, &elsewhere), None);
    assert_eq!(college.refuses_at(NOW, &person("teacher"), &in_course), None);
    assert_eq!(college.refuses_at(NOW - 1, &student, &in_course), None);
    assert_eq!(college.refuses_at(NOW + 100, &student, &in_course), None);
    let start = Act::Create { place: college.place("direct", None), invitees: &both };
    assert_eq!(college.refuses_at(NOW, &student, &start), Some("exam"));
}

#[test]
fn encryption_follows_the_kind() {
    let mut college = College::new();
    let say = |kind| Act::Say { place: college.place("study_group", None), kind };
    let turn_on = Act::Set { place: college.place("study_group", None), kind: "m.room.encryption" };
    assert_eq!(college.refuses("student", &say("m.room.encrypted")), Some("encryption"));
    assert_eq!(college.refuses("student", &turn_on), Some("encryption"));
    assert_eq!(college.refuses("student", &say("m.room.message")), None);
    let begin = Place { is_encrypted: true, ..college.place("study_group", None) };
    assert_eq!(college.refuses("student", &Act::Create { place: begin, invitees: &[] }), Some("encryption"));
    college.settings.kinds.get_mut("direct").unwrap().encryption = Encryption::Required;
    let say = |kind| Act::Say { place: college.place("direct", None), kind };
    assert_eq!(college.refuses("student", &say("m.room.message")), Some("encryption"));
    assert_eq!(college.refuses("student", &say("m.room.encrypted")), None);
    assert_eq!(college.refuses("student", &say("m.reaction")), None);
}

#[test]
fn who_is_blocked_says_nothing_there_until_it_ends() {
    let mut college = College::new();
    let room = ruma::room_id!("!r:alpha.test");
    let student = person("student");
    college.roster.set_block(&student, Some(room.as_str()), Some(Block { until_ms: Some(NOW + 10) }));
    let say = |room| Act::Say { place: Place { room, ..college.place("help", None) }, kind: "m.room.message" };
    assert_eq!(college.refuses_at(NOW, &student, &say(Some(room))), Some("blocked"));
    assert_eq!(college.refuses_at(NOW, &student, &say(None)), None);
    assert_eq!(college.refuses_at(NOW + 10, &student, &say(Some(room))), None);
    assert_eq!(college.refuses_at(NOW, &student, &Act::Upload), None);
    college.roster.set_block(&student, None, Some(Block { until_ms: None }));
    let say = Act::Say { place: college.place("help", None), kind: "m.room.message" };
    assert_eq!(college.refuses_at(NOW + 10, &student, &say), Some("blocked"));
    assert_eq!(college.refuses_at(NOW, &student, &Act::Upload), Some("blocked"));
    college.roster.set_block(&student, None, None);
    assert_eq!(college.refuses_at(NOW, &student, &Act::Upload), None);
}

#[test]
fn some_kinds_never_leave_this_server() {
    let mut college = College::new();
    let visitor = person("visitor");
    let _ = college.roster.say_person(&visitor, crate::HAND, Some(crate::Person { role: "teacher".into() }));
    let place = college.place("staff", None);
    assert_eq!(
        college.refuses("visitor", &Act::Join(place)),
        Some("federation"),
        "a teacher here, but of another server"
    );
    assert_eq!(college.refuses("dos", &Act::Invite { place, whom: &visitor }), Some("federation"));
    assert_eq!(college.refuses("visitor", &Act::Join(college.place("course", None))), None);
}

#[test]
#[expect(clippy::print_stdout, reason = "docs/benchmarks.md holds the figure")]
fn judging_takes_microseconds() {
    const JUDGED: u32 = 20_000;
    let college = College::new();
    let (student, act) =
        (person("student"), Act::Say { place: college.place("course", Some("alg")), kind: "m.room.message" });
    let begun = std::time::Instant::now();
    for _ in 0..JUDGED {
        assert_eq!(college.refuses_at(NOW, &student, &act), None);
    }
    let each = begun.elapsed() / JUDGED;
    println!("one judgement takes {each:?}");
    assert!(each < std::time::Duration::from_micros(20), "one judgement takes {each:?}");
}
