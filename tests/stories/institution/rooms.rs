//! The institution's rooms: they come and go with units and enrolments, and heal.

use lyceum_events::Clock;
use lyceum_institution::{Change, Person as Role, UnitKind};
use serde_json::{Value, json};
use std::time::Duration;

use super::{enrolled, id, school_with, unit};
use crate::support::{Campus, Person, campus::Host, encoded};

const ROOMS: &str = "institution.default_rooms = true\ninstitution.name = \"Example College\"\n";

impl Host {
    /// Brings the institution's rooms into step, and answers how many events that took.
    pub(super) async fn in_step(&self) -> usize {
        let keeper = self.server.campus_rooms().expect("an institution keeps rooms");
        let settled = keeper.settle().await.unwrap_or_else(|error| panic!("{error}"));
        settled.made + settled.changed + settled.given_up
    }
}

/// The room an alias of the school points at.
pub(super) async fn room(person: &Person, alias: &str) -> Option<String> {
    let path = format!("/_matrix/client/v3/directory/room/{}", encoded(&format!("#{alias}:alpha.example")));
    let answer = person.get(&path).await;
    answer.json["room_id"].as_str().filter(|_| answer.status == 200).map(str::to_owned)
}

async fn is_in(person: &Person, room: &str) -> bool {
    let rooms = person.get("/_matrix/client/v3/joined_rooms").await.ok();
    rooms["joined_rooms"].as_array().is_some_and(|rooms| rooms.contains(&json!(room)))
}

async fn power(person: &Person, room: &str, of: &Person) -> Value {
    let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.power_levels", encoded(room));
    person.get(&path).await.ok()["users"][&of.id].clone()
}

async fn college(settings: &str) -> (Campus, Person, Person, Person) {
    let campus = school_with(&format!("{ROOMS}{settings}")).await;
    let host = campus.host("alpha.example");
    let ann = host.member("ann", "student", &["alg"]).await;
    let tess = host.member("tess", "teacher", &["alg"]).await;
    let dora = host.member("dora", "dos", &[]).await;
    host.in_step().await;
    (campus, ann, tess, dora)
}

#[tokio::test]
async fn everybody_is_in_their_rooms_with_the_power_of_their_role() {
    let (campus, ann, tess, dora) = college("").await;
    let host = campus.host("alpha.example");
    let course = room(&ann, "alg").await.expect("a course has a room");
    for (alias, who) in [
        ("alg", vec![&ann, &tess]),
        ("alg-space", vec![&ann, &tess]),
        ("college-space", vec![&ann, &tess, &dora]),
        ("announcements", vec![&ann, &tess, &dora]),
        ("general", vec![&ann, &tess, &dora]),
        ("it-support", vec![&ann, &tess, &dora]),
        ("tutors-only", vec![&tess, &dora]),
        ("admin-team", vec![&dora]),
    ] {
        let id = room(&dora, alias).await.unwrap_or_else(|| panic!("there is a room #{alias}"));
        for person in [&ann, &tess, &dora] {
            let wanted = who.iter().any(|one| one.id == person.id);
            assert_eq!(is_in(person, &id).await, wanted, "{} in #{alias}", person.id);
        }
    }
    assert_eq!(power(&ann, &course, &dora).await, 100);
    assert_eq!(power(&ann, &course, &tess).await, 50);
    assert_eq!(power(&ann, &course, &ann).await, Value::Null);
    ann.says(&course, "hello").await;
    tess.sees(&course, "hello").await;
    assert_eq!(host.in_step().await, 0, "what is in step stays as it is");
    let space = room(&ann, "college-space").await.expect("the college has a space");
    let path = format!("/_matrix/client/v1/rooms/{}/hierarchy", encoded(&space));
    let told = ann.get(&path).await.ok()["rooms"].to_string();
    assert!(told.contains(&course), "the course is found below the college");
    assert!(!told.contains("\"name\":\"GEO\"") && !told.contains("Tutors only"), "what is not theirs is not: {told}");
    host.is_sound().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_heals() {
    let (campus, ann, tess, _) = college("").await;
    let host = campus.host("alpha.example");
    let course = room(&ann, "alg").await.expect("a course has a room");
    ann.leaves(&course).await;
    tess.sets(&course, "m.room.name", "", json!({ "name": "Fun" })).await;
    host.in_step().await;
    assert!(is_in(&ann, &course).await, "who is enrolled is in the room");
    let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.name", encoded(&course));
    assert_eq!(ann.get(&path).await.ok()["name"], "ALG");
}

#[tokio::test]
async fn a_kind_says_what_its_rooms_ask_power_for() {
    let levels = "[institution.kinds.announcement]\nlevels = { invite = 50, \"m.room.topic\" = 100 }\n\
                  [institution.kinds.study_group]\nlevels = { \"m.room.topic\" = 0 }\n";
    let (campus, ann, tess, dora) = college(levels).await;
    let host = campus.host("alpha.example");
    let news = room(&ann, "announcements").await.expect("there is a room for news");
    let topic = |room: &str| format!("/_matrix/client/v3/rooms/{}/state/m.room.topic", encoded(room));
    tess.put(&topic(&news), json!({ "topic": "Fun" })).await.refused(403, "M_FORBIDDEN");
    dora.put(&topic(&news), json!({ "topic": "Rings" })).await.ok();

    let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.power_levels", encoded(&news));
    let mut changed = dora.get(&path).await.ok();
    changed["invite"] = json!(0);
    dora.put(&path, changed).await.ok();
    host.in_step().await;
    assert_eq!(dora.get(&path).await.ok()["invite"], 50, "what is changed by hand heals");

    let group = json!({
        "creation_content": { "org.lyceum.kind": "study_group" },
        "power_level_content_override": { "events": { "m.room.topic": 100, "m.room.name": 10 } },
    });
    let group = ann.creates_room_with(group).await;
    let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.power_levels", encoded(&group));
    let events = ann.get(&path).await.ok()["events"].clone();
    assert_eq!((&events["m.room.topic"], &events["m.room.name"]), (&json!(0), &json!(10)));
}

#[tokio::test]
async fn an_enrolment_that_ends_takes_a_person_out_and_back_with_history() {
    let (campus, ann, tess, _) = college("").await;
    let host = campus.host("alpha.example");
    let course = room(&ann, "alg").await.expect("a course has a room");
    let until = u64::from(campus.clock.now().get()) + 60_000;
    host.changes(vec![enrolled(&ann, "alg", "student", Some(until))]).await;
    host.in_step().await;
    assert!(is_in(&ann, &course).await);
    campus.clock.advance(Duration::from_secs(60));
    host.in_step().await;
    assert!(!is_in(&ann, &course).await, "the enrolment has ended");
    tess.says(&course, "while you were away").await;
    host.changes(vec![enrolled(&ann, "alg", "student", None)]).await;
    host.in_step().await;
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=50", encoded(&course));
    assert!(ann.get(&path).await.ok()["chunk"].to_string().contains("while you were away"));
}

#[tokio::test]
async fn rooms_come_and_go_with_their_units_and_roles() {
    let (campus, ann, tess, dora) = college("rooms.default_version = \"10\"\n").await;
    let host = campus.host("alpha.example");
    host.changes(vec![unit("tri", UnitKind::Class, Some("alg")), enrolled(&ann, "tri", "student", None)]).await;
    host.in_step().await;
    let class = room(&ann, "tri").await.expect("a class has a room");
    assert!(is_in(&ann, &class).await);
    let out = Change::Enrolment { user: id(&ann), unit: "tri".into(), enrolment: None };
    host.changes(vec![out, Change::Unit { code: "tri".into(), unit: None }]).await;
    host.in_step().await;
    assert!(!is_in(&ann, &class).await && room(&ann, "tri").await.is_none());
    // A teacher who becomes a student loses the tutors' room, in earlier versions of rooms too.
    let tutors = room(&dora, "tutors-only").await.expect("there is a room for tutors");
    assert!(is_in(&tess, &tutors).await);
    let student = Change::Person { user: id(&tess), person: Some(Role { role: "student".into() }) };
    host.changes(vec![student, enrolled(&tess, "alg", "student", None)]).await;
    host.in_step().await;
    let course = room(&ann, "alg").await.expect("a course has a room");
    assert!(!is_in(&tess, &tutors).await && is_in(&tess, &course).await);
    assert_eq!(power(&ann, &course, &tess).await, Value::Null);
    host.is_sound().await;
}

#[tokio::test]
async fn the_server_sees_by_itself_that_something_has_to_be_done() {
    let (campus, ann, _, _) = college("").await;
    let host = campus.host("alpha.example");
    host.changes(vec![enrolled(&ann, "geo", "student", None)]).await;
    let joined = ann.waits_for_room("geo").await;
    assert!(joined, "nobody had to ask for it");
}

impl Person {
    /// Waits until the person is in the room of this alias.
    async fn waits_for_room(&self, alias: &str) -> bool {
        for _ in 0..10 {
            if let Some(room) = room(self, alias).await
                && is_in(self, &room).await
            {
                return true;
            }
            self.syncs("timeout=2000").await;
        }
        false
    }
}
