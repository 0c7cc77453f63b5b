//! People of partner servers are what their servers say they are; everybody else from elsewhere is a visitor.

use http::Method;
use lyceum_events::ServerKey;
use lyceum_institution::{Change, Person as Role};
use ruma::CanonicalJsonObject;
use serde_json::{Value, json};
use std::time::Duration;

use super::{id, rules::refused_by};
use crate::support::{Campus, Person, campus::Host, encoded, peer::VERSIONS};

/// Alpha and beta are partners; gamma is a school too, and nobody's partner.
const PARTNERS: &str = "institution.enabled = true\n\
    institution.name = \"North College\"\n\
    institution.partners = [{ server = \"alpha.example\" }, { server = \"beta.example\", roles = { lecturer = \"teacher\" } }]\n";

async fn schools() -> Campus {
    Campus::with(["alpha.example", "beta.example", "gamma.example"], PARTNERS).await
}

fn help_room() -> Value {
    json!({ "preset": "public_chat", "creation_content": { "org.lyceum.kind": "help" } })
}

async fn joins_by(who: &Person, room: &str, via: &str) -> crate::support::person::Answer {
    who.post(&format!("/_matrix/client/v3/join/{}?via={via}", encoded(room)), json!({})).await
}

fn chat_with(other: &Person) -> Value {
    json!({ "is_direct": true, "invite": [other.id] })
}

/// How a server answers when somebody of `by` asks to come in.
async fn asks_in(by: &Host, other: &Host, user: &str, room: &str) -> u16 {
    let path = format!("/_matrix/federation/v1/make_join/{}/{}?{VERSIONS}", encoded(room), encoded(user));
    by.asks(other, Method::GET, &path, None).await.status
}

#[tokio::test]
async fn a_teacher_of_a_partner_is_a_teacher_here_and_one_of_a_stranger_is_not() {
    let campus = schools().await;
    let (alpha, beta, gamma) =
        (campus.host("alpha.example"), campus.host("beta.example"), campus.host("gamma.example"));
    let (ann, tess) = (alpha.member("ann", "student", &[]).await, alpha.member("tess", "teacher", &[]).await);
    let (tom, gus) = (beta.member("tom", "teacher", &[]).await, gamma.member("gus", "teacher", &[]).await);
    let room = tess.creates_room_with(help_room()).await;
    ann.joins(&room).await;
    joins_by(&tom, &room, "alpha.example").await.ok();
    tom.says(&room, "good morning from the north").await;
    ann.sees(&room, "good morning from the north").await;
    let refused = joins_by(&gus, &room, "alpha.example").await.refused(403, "M_FORBIDDEN");
    assert!(refused["error"].as_str().unwrap_or_default().contains("A visitor cannot be in a help room"), "{refused}");

    // The staff reaches everybody, that of a partner too; what a stranger calls itself counts for nothing.
    let amy = alpha.member("amy", "student", &[]).await;
    tess.sets(&room, "m.room.power_levels", "", json!({ "invite": 0, "users": {} })).await;
    campus.settle().await;
    tom.invites(&room, &amy).await;
    amy.joins(&room).await;
    gus.post("/_matrix/client/v3/createRoom", chat_with(&ann)).await.refused(403, "M_FORBIDDEN");
    let stranger = ann.post("/_matrix/client/v3/createRoom", chat_with(&gus)).await;
    refused_by("contact", stranger);

    let path = |user: &str| format!("/_matrix/client/v3/profile/{}", encoded(user));
    let shown = ann.get(&path(&tom.id)).await.ok();
    let stated = &shown["org.lyceum.role"];
    assert_eq!((&stated["role"], &stated["institution"]), (&json!("teacher"), &json!("North College")), "{shown}");
    assert!(stated["signatures"]["beta.example"].is_object(), "{shown}");
    let field = format!("{}/org.lyceum.role", path(&ann.id));
    assert_eq!(ann.get(&field).await.ok()["org.lyceum.role"]["role"], "student");
    ann.put(&field, json!({ "org.lyceum.role": { "role": "dos" } })).await.refused(403, "M_FORBIDDEN");
    ann.delete(&field).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_role_that_changed_there_counts_here_within_the_hour_and_authority_never() {
    let campus = schools().await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let (ann, tess) = (alpha.member("ann", "student", &[]).await, alpha.member("tess", "teacher", &[]).await);
    let tom = beta.member("tom", "teacher", &[]).await;
    let room = tess.creates_room_with(help_room()).await;
    ann.joins(&room).await;
    joins_by(&tom, &room, "alpha.example").await.ok();
    let asked = campus.wires.times_asked("alpha.example", "/");
    let questions = || campus.wires.times_asked("beta.example", "/_matrix/federation/v1/query/profile");
    let before = questions();
    tom.says(&room, "first").await;
    tom.says(&room, "second").await;
    ann.sees(&room, "second").await;
    assert!(campus.wires.times_asked("alpha.example", "/") > asked);
    assert_eq!(questions(), before, "what is known is not asked again");
    // The Director of Studies over there is nobody's here.
    beta.changes(vec![Change::Person { user: id(&tom), person: Some(Role { role: "dos".into() }) }]).await;
    campus.clock.advance(Duration::from_secs(3_601));
    tom.says(&room, "as a director").await;
    campus.settle().await;
    tess.says(&room, "is anybody there?").await;
    ann.sees(&room, "is anybody there?").await;
    ann.does_not_see(&room, "as a director").await;
    assert!(questions() > before);
}

/// What beta could be made to say of tom, and why none of it is believed.
fn lies(beta: &ServerKey, gamma: &ServerKey, now_ms: u64) -> Vec<(&'static str, Value)> {
    let statement = |user: &str, until_ms: u64| -> CanonicalJsonObject {
        let json = json!({ "user_id": user, "role": "teacher", "valid_until_ts": until_ms });
        serde_json::from_value(json).expect("canonical")
    };
    let signed = |key: &ServerKey, mut statement: CanonicalJsonObject| {
        key.sign_json(&mut statement).expect("it can be signed");
        json!(statement)
    };
    let (tom, soon) = ("@tom:beta.example", now_ms + 600_000_000);
    let mut spoiled = signed(beta, statement(tom, soon));
    spoiled["role"] = json!("tutor");
    vec![
        ("nothing", json!(null)),
        ("a word alone", json!("teacher")),
        ("a statement that nobody signed", json!(statement(tom, soon))),
        ("one that another server signed", signed(gamma, statement(tom, soon))),
        ("one about somebody else", signed(beta, statement("@tea:beta.example", soon))),
        ("one that has ended", signed(beta, statement(tom, now_ms))),
        ("one that was changed", spoiled),
    ]
}

#[tokio::test]
async fn what_is_not_signed_by_the_partner_about_the_person_for_now_is_not_believed() {
    let campus = schools().await;
    let (alpha, beta, gamma) =
        (campus.host("alpha.example"), campus.host("beta.example"), campus.host("gamma.example"));
    let tess = alpha.member("tess", "teacher", &[]).await;
    let room = tess.creates_room_with(help_room()).await;
    let answers = |stated: Value| {
        let profile = json!({ "org.lyceum.role": stated });
        campus.wires.answer("beta.example", "/_matrix/federation/v1/query/profile", 200, profile);
    };
    for (what, lie) in lies(&beta.key, &gamma.key, campus.clock_ms()) {
        answers(lie);
        assert_eq!(asks_in(beta, alpha, "@tom:beta.example", &room).await, 403, "{what}");
        campus.clock.advance(Duration::from_secs(61));
    }
    let (key, now_ms) = (&beta.key, campus.clock_ms());
    let truth = json!({ "user_id": "@tom:beta.example", "role": "lecturer", "valid_until_ts": now_ms + 60_000 });
    let mut truth: CanonicalJsonObject = serde_json::from_value(truth).expect("canonical");
    key.sign_json(&mut truth).expect("it can be signed");
    answers(json!(truth));
    assert_eq!(asks_in(beta, alpha, "@tom:beta.example", &room).await, 200, "a lecturer there is a teacher here");
    assert_eq!(asks_in(gamma, alpha, "@gus:gamma.example", &room).await, 403);
    assert_eq!(campus.wires.times_asked("gamma.example", "/_matrix/federation/v1/query/profile"), 0);
}
