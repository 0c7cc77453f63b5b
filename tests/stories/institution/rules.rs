//! Who may do what, and how a refusal reads.

use lyceum_events::Clock;
use lyceum_institution::{Block, Change, Exam};
use serde_json::{Value, json};
use std::time::Duration;

use super::{enrolled, id, school, school_with};
use crate::support::{Campus, Person, encoded};

const CREATE: &str = "/_matrix/client/v3/createRoom";

/// Refused by this rule, in a sentence.
#[track_caller]
pub(super) fn refused_by(rule: &str, answer: crate::support::person::Answer) -> String {
    let error = answer.refused(403, "M_FORBIDDEN");
    assert_eq!(error["rule"], rule, "{error}");
    let told = error["error"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains(' ') && told.ends_with(&format!("(rule: {rule})")), "a sentence and the rule: {told:?}");
    told
}

fn chat_with(other: &Person) -> Value {
    json!({ "preset": "trusted_private_chat", "is_direct": true, "invite": [other.id] })
}

fn room_path(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(room))
}

fn says(room: &str, id: &str) -> String {
    room_path(room, &format!("send/m.room.message/{id}"))
}

fn message() -> Value {
    json!({ "msgtype": "m.text", "body": "hello" })
}

#[tokio::test]
async fn a_student_asks_their_teacher_and_nobody_elses() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let ann = host.member("ann", "student", &["alg"]).await;
    let (mine, other) =
        (host.member("tess", "teacher", &["alg"]).await, host.member("theo", "teacher", &["geo"]).await);
    let room = ann.creates_room_with(chat_with(&mine)).await;
    mine.joins(&room).await;
    ann.says(&room, "What is a group?").await;
    mine.sees(&room, "What is a group?").await;
    let told = refused_by("contact", ann.post(CREATE, chat_with(&other)).await);
    assert!(told.starts_with("You can only start a chat with a teacher of your own courses"), "{told}");
    let again = json!({ "user_id": other.id });
    refused_by("contact", ann.post(&room_path(&room, "invite"), again).await);
    // The teacher reaches the student, and then they talk.
    let room = other.creates_room_with(chat_with(&ann)).await;
    ann.joins(&room).await;
    ann.says(&room, "hello").await;
}

#[tokio::test]
async fn a_student_is_refused_the_staff_room_in_words() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let (ann, tess) = (host.member("ann", "student", &["alg"]).await, host.member("tess", "teacher", &["alg"]).await);
    let staff = json!({ "preset": "public_chat", "creation_content": { "org.lyceum.kind": "staff" } });
    let told = refused_by("creation", ann.post(CREATE, staff.clone()).await);
    assert!(told.starts_with("A student cannot make a staff room"), "{told}");
    let room = tess.creates_room_with(staff).await;
    let told = refused_by("entry", ann.post(&room_path(&room, "join"), json!({})).await);
    assert!(told.starts_with("A student cannot be in a staff room"), "{told}");
    refused_by("entry", tess.post(&room_path(&room, "invite"), json!({ "user_id": ann.id })).await);
    let create = tess.get(&room_path(&room, "state/m.room.create")).await.ok();
    assert_eq!((&create["org.lyceum.kind"], &create["m.federate"]), (&json!("staff"), &json!(false)));
}

#[tokio::test]
async fn everybody_is_told_truly_what_they_may_do() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let (ann, dora) = (host.member("ann", "student", &[]).await, host.member("dora", "dos", &[]).await);
    let of = async |person: &Person| {
        let answer = person.get("/_matrix/client/v3/capabilities").await.ok();
        answer["capabilities"]["org.lyceum.campus"].clone()
    };
    let (anns, doras) = (of(&ann).await, of(&dora).await);
    assert_eq!((&anns["role"], &anns["default_kind"]), (&json!("student"), &json!("study_group")));
    for (who, told) in [(&ann, &anns), (&dora, &doras)] {
        for kind in ["peer", "staff", "announcement", "study_group", "course", "direct"] {
            let told = told["may_make"].as_array().is_some_and(|may| may.contains(&json!(kind)));
            let made = who.post(CREATE, json!({ "creation_content": { "org.lyceum.kind": kind } })).await;
            assert_eq!(made.status == 200, told, "{} and {kind}: {}", who.id, made.json);
        }
    }
    let plain = Campus::of(["beta.example"]).await;
    let bob = plain.person("bob").await;
    assert_eq!(of(&bob).await, Value::Null, "without an institution there is nothing to tell");
    bob.creates_room_with(json!({ "creation_content": { "org.lyceum.kind": "castle" } })).await;
}

#[tokio::test]
async fn people_and_rooms_are_found_by_those_who_may_meet_them() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let (ann, amy) = (host.member("ann", "student", &["alg"]).await, host.member("amy", "student", &["alg"]).await);
    let (abe, tess) = (host.member("abe", "student", &["geo"]).await, host.member("tess", "teacher", &["geo"]).await);
    let found = async |who: &Person, term: &str| {
        let answer = who.post("/_matrix/client/v3/user_directory/search", json!({ "search_term": term })).await.ok();
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        results.iter().filter_map(|one| one["user_id"].as_str()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found(&ann, "amy").await, [amy.id.as_str()], "a fellow student");
    assert_eq!(found(&ann, "abe").await, Vec::<String>::new());
    assert_eq!(found(&ann, "tess").await, [tess.id.as_str()], "students find the staff");
    assert_eq!(found(&tess, "abe").await, [abe.id.as_str()], "the staff finds everybody");

    let listed = |kind: &str, unit: Option<&str>| {
        let mut content = json!({ "org.lyceum.kind": kind });
        if let Some(unit) = unit {
            content["org.lyceum.unit"] = unit.into();
        }
        json!({ "preset": "public_chat", "visibility": "public", "name": kind, "creation_content": content })
    };
    tess.creates_room_with(listed("staff", None)).await;
    tess.creates_room_with(listed("help", Some("geo"))).await;
    let names = async |who: &Person| {
        let answer = who.post("/_matrix/client/v3/publicRooms", json!({})).await.ok();
        let chunk = answer["chunk"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<_> = chunk.iter().filter_map(|room| room["name"].as_str()).map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(&tess).await, ["help", "staff"]);
    assert_eq!(names(&abe).await, ["help"]);
    assert_eq!(names(&ann).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_exam_begins_and_ends_by_itself() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let (ann, amy) = (host.member("ann", "student", &["alg"]).await, host.member("amy", "student", &["alg"]).await);
    let tess = host.member("tess", "teacher", &["alg"]).await;
    let group = json!({ "invite": [amy.id, tess.id], "creation_content": { "org.lyceum.unit": "alg" } });
    let (group, chat) = (ann.creates_room_with(group).await, ann.creates_room_with(chat_with(&amy)).await);
    for room in [&group, &chat] {
        amy.joins(room).await;
    }
    tess.joins(&group).await;
    let now: u64 = campus.clock.now().get().into();
    let exam = Exam { from_ms: now + 60_000, until_ms: now + 3_660_000 };
    host.changes(vec![Change::Exam { unit: "alg".into(), exam: Some(exam) }]).await;
    amy.says(&group, "good luck").await;
    campus.clock.advance(Duration::from_secs(60));
    let told = refused_by("exam", ann.put(&says(&group, "1"), message()).await);
    assert!(told.starts_with("There is an exam until 2026-11-02 09:01"), "{told}");
    refused_by("exam", amy.put(&says(&chat, "1"), message()).await);
    tess.says(&group, "ten minutes left").await;
    ann.sees(&group, "ten minutes left").await;
    campus.clock.advance(Duration::from_secs(3600));
    ann.says(&group, "at last").await;
    amy.says(&chat, "how was it?").await;
}

#[tokio::test]
async fn quiet_hours_are_kept_in_the_time_of_the_campus() {
    let rule = "institution.quiet_hours = [{ hours = \"20:00-07:00\", roles = [\"student\"] }]\n";
    let campus = school_with(&format!("institution.time_zone = \"Asia/Tokyo\"\n{rule}")).await;
    let host = campus.host("alpha.example");
    let ann = host.member("ann", "student", &["alg"]).await;
    let room = ann.creates_room().await;
    // 17:00 in Tokyo.
    ann.says(&room, "good evening").await;
    campus.clock.advance(Duration::from_secs(3 * 3600));
    refused_by("quiet_hours", ann.put(&says(&room, "1"), message()).await);
    campus.clock.advance(Duration::from_secs(11 * 3600));
    ann.says(&room, "good morning").await;
}

#[tokio::test]
async fn who_is_blocked_reads_and_says_nothing() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let ann = host.member("ann", "student", &["alg"]).await;
    let (room, other) = (ann.creates_room().await, ann.creates_room().await);
    ann.says(&room, "before").await;
    let block = |room: Option<&str>, block| Change::Block {
        user: id(&ann),
        room: room.map(|room| room.try_into().expect("a room id")),
        block,
    };
    host.changes(vec![block(Some(&room), Some(Block { until_ms: None }))]).await;
    refused_by("blocked", ann.put(&says(&room, "1"), message()).await);
    ann.says(&other, "elsewhere").await;
    ann.sees(&room, "before").await;
    host.changes(vec![block(None, Some(Block { until_ms: None }))]).await;
    refused_by("blocked", ann.put(&says(&other, "1"), message()).await);
    refused_by("blocked", ann.post("/_matrix/media/v3/upload", json!({})).await);
    ann.post("/_matrix/media/v1/create", json!({})).await.refused_as("createContent 403 M_FORBIDDEN");
    refused_by("blocked", ann.post(CREATE, json!({})).await);
    host.changes(vec![block(None, None), block(Some(&room), None)]).await;
    ann.says(&room, "again").await;
}

#[tokio::test]
async fn encryption_follows_the_kind_and_clients_are_told() {
    let settings = "well_known.client_base_url = \"https://alpha.example\"\n\
                    [institution.kinds.direct]\nencryption = \"required\"\n";
    let campus = school_with(settings).await;
    let host = campus.host("alpha.example");
    let (ann, tess) = (host.member("ann", "student", &["alg"]).await, host.member("tess", "teacher", &["alg"]).await);
    let told = ann.get("/.well-known/matrix/client").await.ok();
    assert_eq!(told["io.element.e2ee"], json!({ "default": false, "force_disable": false }));
    let room = ann.creates_room().await;
    let turn_on = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    refused_by("encryption", ann.put(&room_path(&room, "state/m.room.encryption"), turn_on).await);
    let chat = ann.creates_room_with(chat_with(&tess)).await;
    let algorithm = ann.get(&room_path(&chat, "state/m.room.encryption")).await.ok();
    assert_eq!(algorithm["algorithm"], "m.megolm.v1.aes-sha2");
    refused_by("encryption", ann.put(&says(&chat, "1"), message()).await);
}

#[tokio::test]
async fn an_enrolment_that_ended_opens_no_door() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let (ann, tess) = (host.member("ann", "student", &[]).await, host.member("tess", "teacher", &["alg"]).await);
    let until = u64::from(campus.clock.now().get()) + 1_000;
    host.changes(vec![enrolled(&ann, "alg", "student", Some(until))]).await;
    ann.creates_room_with(chat_with(&tess)).await;
    campus.clock.advance(Duration::from_secs(1));
    refused_by("contact", ann.post(CREATE, chat_with(&tess)).await);
}
