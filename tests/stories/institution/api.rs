//! `/_lyceum/v1`: what programs of a school do with a token, and what they may not.

use http::Method;
use lyceum::config::Api;
use lyceum_institution::{HAND, Scope, Token, audit::Actor};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, time::Duration};

use super::school;
use crate::support::{Campus, Person, campus::Host, encoded};

const DOCUMENT: &str = "/_lyceum/v1/openapi.json";

impl Host {
    /// A program with a token of these scopes, whose word is this source's.
    async fn program(&self, name: &str, source: &str, scopes: &[Scope]) -> Person {
        let institution = self.server.institution();
        let made_ms = institution.now_ms();
        let until_ms = Some(made_ms + 3_600_000);
        let token = Token { name: name.into(), scopes: scopes.to_vec(), source: source.into(), made_ms, until_ms };
        let secret = format!("secret of {name}").replace(' ', "-");
        institution.make_token(&Actor::Operator, &token, &secret).await.expect("a token is made");
        self.stranger().with_token(&json!(secret))
    }

    async fn rows(&self) -> Vec<Value> {
        let rows = self.server.institution().audit().rows(0, 5_000).await.expect("the chain can be read");
        rows.iter().map(|(_, line)| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// Everything the document describes: method, path, the scope it needs.
fn operations(document: &Value) -> Vec<(Method, String, Option<String>)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let method = method.to_uppercase().parse().expect("a method");
            let scope = operation["security"][0]["token"][0].as_str().map(str::to_owned);
            found.push((method, path.clone(), scope));
        }
    }
    found
}

async fn document(campus: &Campus) -> Value {
    campus.host("alpha.example").stranger().get(DOCUMENT).await.ok()
}

#[tokio::test]
async fn the_document_and_the_routes_are_the_same() {
    let campus = school().await;
    let document = document(&campus).await;
    let described: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let mounted = campus.host("alpha.example").server.mounted(&[Api::Client, Api::Federation, Api::Admin]);
    let mounted = mounted.into_iter().filter(|route| route.path.starts_with("/_lyceum"));
    let mounted: BTreeSet<_> = mounted.map(|route| format!("{} {}", route.method, route.path)).collect();
    assert!(mounted.len() > 20, "{mounted:?}");
    assert_eq!(described, mounted, "described here and mounted there");
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let text = document.to_string();
    for (_, name) in text.match_indices("#/components/schemas/").map(|(at, mark)| (at, &text[at + mark.len()..])) {
        let name = name.split('"').next().unwrap_or_default();
        assert!(schemas.contains_key(name), "the document names a schema {name} and has none");
    }
}

/// A path with something in the place of each parameter.
fn filled(path: &str) -> String {
    let example = |segment: &'_ str| match segment {
        "{userId}" => "@ann:alpha.example".to_owned(),
        "{code}" | "{unit}" => "alg".to_owned(),
        "{roomId}" => "!room:alpha.example".to_owned(),
        "{number}" => "1".to_owned(),
        "{eventId}" => "$event:alpha.example".to_owned(),
        fixed => fixed.to_owned(),
    };
    path.split('/').map(example).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_operation_wants_a_token_with_the_scope_that_is_described() {
    let campus = school().await;
    let (host, document) = (campus.host("alpha.example"), document(&campus).await);
    for scope in Scope::ALL {
        let others: Vec<_> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
        let name = scope.as_str().replace(':', "-");
        let without = host.program(&format!("without-{name}"), HAND, &others).await;
        let with = host.program(&format!("with-{name}"), HAND, &[scope]).await;
        let operations = operations(&document);
        let concerned = operations.iter().filter(|(_, _, needed)| needed.as_deref() == Some(scope.as_str()));
        let mut count = 0;
        for (method, path, _) in concerned {
            let path = filled(path);
            let ask = async |who: &Person| who.ask(method.clone(), &path, Some(json!({}))).await;
            ask(&host.stranger()).await.refused(401, "M_MISSING_TOKEN");
            ask(&host.stranger().with_token(&json!("nonsense"))).await.refused(401, "M_UNKNOWN_TOKEN");
            let refused = ask(&without).await.refused(403, "M_FORBIDDEN");
            assert!(refused["error"].as_str().unwrap_or_default().contains(scope.as_str()), "{refused}");
            let answer = ask(&with).await;
            assert!(![401, 403, 405].contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.json);
            count += 1;
        }
        assert!(count > 0, "nothing needs {}", scope.as_str());
    }
    let ended = host.program("ended", HAND, &Scope::ALL).await;
    ended.get("/_lyceum/v1/people").await.ok();
    campus.clock.advance(Duration::from_secs(3_600));
    ended.get("/_lyceum/v1/people").await.refused(401, "M_UNKNOWN_TOKEN");
    let person = host.member("ann", "student", &[]).await;
    person.get("/_lyceum/v1/people").await.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn what_the_source_says_is_kept_apart_from_what_is() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let (portal, hand) =
        (host.program("portal", "portal", &Scope::ALL).await, host.program("office", HAND, &Scope::ALL).await);
    let ann = host.person("ann").await;
    let at = format!("/_lyceum/v1/people/{}", encoded(&ann.id));
    let role = |role: &str| json!({ "role": role, "why": "term begins" });
    let told = portal.put(&at, role("student")).await.ok();
    assert_eq!((&told["person"]["role"], &told["person"]["source"]), (&json!("student"), &json!("portal")));
    hand.put(&at, role("teacher")).await.ok();
    let told = portal.put(&at, role("tutor")).await.ok();
    assert_eq!(told["person"]["role"], "teacher", "what was decided by hand goes first");
    let said = json!([{ "source": "hand", "says": { "role": "teacher" } }, { "source": "portal", "says": { "role": "tutor" } }]);
    assert_eq!(told["said"], said);
    let told = hand.delete(&format!("{at}?why=mistake")).await.ok();
    assert_eq!(told["person"]["role"], "tutor", "taken back, the source's word holds again");
    portal.put(&at, role("wizard")).await.refused(400, "M_INVALID_PARAM");
    portal.put(&at, json!({ "role": "student", "rank": 1 })).await.refused(400, "M_BAD_JSON");
    portal.put("/_lyceum/v1/people/ann", role("student")).await.refused(400, "M_INVALID_PARAM");

    let rows = host.rows().await;
    let of_portal: Vec<_> = rows.iter().filter(|row| row["who"] == "program portal").collect();
    assert_eq!(of_portal.len(), 2, "each change has its row, what was refused has none: {of_portal:#?}");
    assert_eq!((&of_portal[1]["act"], &of_portal[1]["why"]), (&json!("person.change"), &json!("term begins")));
    assert_eq!((&of_portal[1]["over"], &of_portal[1]["what"]["says"][0]["role"]), (&json!(ann.id), &json!("tutor")));
}

#[tokio::test]
async fn units_and_enrolments_are_entered_listed_in_pages_and_taken_back() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let portal = host.program("portal", "portal", &Scope::ALL).await;
    let unit = json!({ "kind": "class", "name": "First class", "parent": "alg" });
    portal.put("/_lyceum/v1/units/alg-1", unit).await.ok();
    let wrong = json!({ "kind": "course", "name": "X", "parent": "alg-1" });
    portal.put("/_lyceum/v1/units/x", wrong).await.refused(400, "M_INVALID_PARAM");
    let told = portal.get("/_lyceum/v1/units?parent=alg").await.ok();
    assert_eq!(told["units"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!((&told["units"][0]["kind"], &told["units"][0]["source"]), (&json!("class"), &json!("portal")));

    let names = ["amy", "ben", "cleo"];
    for name in names {
        let at = format!("/_lyceum/v1/enrolments/alg-1/@{name}:alpha.example");
        let told = portal.put(&at, json!({ "role": "student", "until_ms": 1_893_456_000_000_u64 })).await.ok();
        assert_eq!((&told["enrolment"]["counts"], &told["enrolment"]["unit"]), (&json!(true), &json!("alg-1")));
    }
    let mut found = Vec::new();
    let mut next = Some(String::new());
    while let Some(from) = next {
        let from = if from.is_empty() { from } else { format!("&from={}", encoded(&from)) };
        let page = portal.get(&format!("/_lyceum/v1/enrolments?unit=alg-1&limit=2{from}")).await.ok();
        let entries = page["enrolments"].as_array().expect("a list");
        assert!(entries.len() <= 2, "{page}");
        found.extend(entries.iter().map(|one| one["user_id"].as_str().unwrap_or_default().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(found, names.map(|name| format!("@{name}:alpha.example")));
    portal.get("/_lyceum/v1/enrolments").await.refused(400, "M_MISSING_PARAM");
    portal.get("/_lyceum/v1/enrolments?unit=alg-1&limit=two").await.refused(400, "M_INVALID_PARAM");
    let of_amy = portal.get("/_lyceum/v1/enrolments?user_id=@amy:alpha.example").await.ok();
    assert_eq!(of_amy["enrolments"].as_array().map(Vec::len), Some(1));

    portal.delete("/_lyceum/v1/units/alg-1").await.refused(400, "M_INVALID_PARAM");
    for name in names {
        portal.delete(&format!("/_lyceum/v1/enrolments/alg-1/@{name}:alpha.example")).await.ok();
    }
    portal.get("/_lyceum/v1/enrolments/alg-1/@amy:alpha.example").await.refused(404, "M_NOT_FOUND");
    assert_eq!(portal.delete("/_lyceum/v1/units/alg-1").await.ok()["unit"], Value::Null);
    portal.get("/_lyceum/v1/units/alg-1").await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn cases_are_handled_and_the_chain_is_read_by_programs() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let desk = host.program("desk", HAND, &[Scope::CasesRead, Scope::CasesWrite, Scope::AuditRead]).await;
    let (ann, ben) = (host.member("ann", "student", &["alg"]).await, host.member("ben", "student", &["alg"]).await);
    let mia = host.member("mia", "moderator", &[]).await;
    host.in_step().await;
    let room = ben.creates_room_with(json!({ "invite": [ann.id] })).await;
    ann.joins(&room).await;
    let insult = ben.says(&room, "you fool").await;
    let report = format!("/_matrix/client/v3/rooms/{}/report/{}", encoded(&room), encoded(&insult));
    ann.post(&report, json!({ "reason": "an insult" })).await.ok();
    let moderation = super::rooms::room(&mia, "moderation").await.expect("there is a room for cases");
    let opened = |event: &Value| event["content"]["body"].as_str().is_some_and(|body| body.contains("Case 1 is new"));
    mia.waits_for(&moderation, opened).await.expect("the report becomes a case");

    let cases = desk.get("/_lyceum/v1/cases").await.ok();
    assert_eq!((&cases["cases"][0]["number"], &cases["cases"][0]["event_id"]), (&json!(1), &json!(insult)));
    let context = desk.get("/_lyceum/v1/cases/1/context").await.ok();
    assert_eq!(context["event"]["content"]["body"], "you fool");
    let act = async |what: &str, body: Value| desk.post(&format!("/_lyceum/v1/cases/1/{what}"), body).await;
    act("assign", json!({ "user_id": ann.id })).await.refused(403, "M_FORBIDDEN");
    assert_eq!(act("assign", json!({ "user_id": mia.id })).await.ok()["assignee"], mia.id.as_str());
    act("note", json!({ "text": "seen" })).await.ok();
    act("measure", json!({ "measure": "laugh" })).await.refused(400, "M_INVALID_PARAM");
    act("measure", json!({ "measure": "delete", "why": "insult" })).await.ok();
    act("close", json!({})).await.ok();
    desk.get("/_lyceum/v1/cases/2").await.refused(404, "M_NOT_FOUND");
    let left = ann.get(&format!("/_matrix/client/v3/rooms/{}/event/{}", encoded(&room), encoded(&insult))).await.ok();
    assert_eq!(left["content"], json!({}), "the message is deleted for everybody");
    assert_eq!(desk.get("/_lyceum/v1/cases").await.ok()["cases"], json!([]), "no case is open any more");
    assert_eq!(desk.get("/_lyceum/v1/cases?all=true").await.ok()["cases"].as_array().map(Vec::len), Some(1));

    let read = |row: &Value| row["act"].as_str().unwrap_or_default().to_owned();
    let acts: Vec<_> = host.rows().await.iter().filter(|row| row["who"] == "program desk").map(read).collect();
    let expected = ["case.list", "case.context", "case.assign", "case.note", "case.delete", "case.close"];
    assert_eq!(acts[..6], expected, "every call has its row, and what was refused has none");
    let verified = desk.get("/_lyceum/v1/audit/verify").await.ok();
    assert_eq!((&verified["wrong"], verified["rows"].as_u64() > Some(6)), (&json!(0), true), "{verified}");
    let page = desk.get("/_lyceum/v1/audit?limit=3").await.ok();
    let rows: Vec<&Map<String, Value>> =
        page["rows"].as_array().expect("rows").iter().filter_map(Value::as_object).collect();
    assert!(rows.len() == 3 && page["next"] == "3" && rows[0]["number"] == 1, "{page}");
    assert!(desk.get("/_lyceum/v1/audit?from=3&limit=1").await.ok()["rows"][0]["number"] == 4);
    assert!(host.rows().await.iter().any(|row| row["who"] == "program desk" && row["act"] == "audit.read"));
}

#[tokio::test]
async fn posts_that_wait_are_let_go_and_refused_by_programs() {
    let rule = "institution.approval = [{ roles = [\"student\"], kinds = [\"study_group\"], posts = \"all\" }]\n";
    let campus = super::school_with(rule).await;
    let host = campus.host("alpha.example");
    let desk = host.program("desk", HAND, &[Scope::CasesRead, Scope::CasesWrite]).await;
    let (ann, tess) = (host.member("ann", "student", &["alg"]).await, host.member("tess", "teacher", &["alg"]).await);
    let room = tess.creates_room_with(json!({ "invite": [ann.id] })).await;
    ann.joins(&room).await;
    let (good, bad) = (ann.says(&room, "a good word").await, ann.says(&room, "a bad word").await);
    let posts = desk.get("/_lyceum/v1/posts").await.ok();
    let mut waiting: Vec<_> = posts["posts"].as_array().expect("a list").iter().map(|one| &one["event_id"]).collect();
    waiting.sort_by_key(|id| id.to_string());
    let mut expected = [json!(good), json!(bad)];
    expected.sort_by_key(Value::to_string);
    assert_eq!(waiting, expected.iter().collect::<Vec<_>>());
    let decide = async |id: &str, what: &str| {
        desk.post(&format!("/_lyceum/v1/posts/{}/{what}", encoded(id)), json!({ "why": "looked at" })).await
    };
    decide(&good, "approve").await.ok();
    decide(&bad, "refuse").await.ok();
    decide(&bad, "approve").await.refused(404, "M_NOT_FOUND");
    assert_eq!(tess.sees(&room, "a good word").await["event_id"], good.as_str(), "it keeps its id");
    tess.does_not_see(&room, "a bad word").await;
}

#[tokio::test]
async fn exams_and_blocks_are_set_listed_and_lifted_by_programs() {
    let campus = school().await;
    let host = campus.host("alpha.example");
    let portal = host.program("portal", HAND, &[Scope::RestraintsRead, Scope::RestraintsWrite]).await;
    let reader = host.program("reader", HAND, &[Scope::RestraintsRead]).await;
    let ann = host.member("ann", "student", &["alg"]).await;
    let group = ann.creates_room_with(json!({ "creation_content": { "org.lyceum.unit": "alg" } })).await;
    let now = host.server.institution().now_ms();
    let exam = json!({ "from_ms": now, "until_ms": now + 3_600_000, "why": "timetable" });
    portal.put("/_lyceum/v1/exams/alg", exam.clone()).await.ok();
    reader.put("/_lyceum/v1/exams/alg", exam.clone()).await.refused(403, "M_FORBIDDEN");
    portal.put("/_lyceum/v1/exams/nowhere", exam).await.refused(404, "M_NOT_FOUND");
    portal.put("/_lyceum/v1/exams/geo", json!({ "from_ms": 2, "until_ms": 1 })).await.refused(400, "M_INVALID_PARAM");
    let listed = reader.get("/_lyceum/v1/exams").await.ok();
    assert_eq!(listed["exams"], json!([{ "unit": "alg", "from_ms": now, "until_ms": now + 3_600_000 }]));
    let says = |id: &str| format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{id}", encoded(&group));
    let message = json!({ "msgtype": "m.text", "body": "hello" });
    assert_eq!(ann.put(&says("1"), message.clone()).await.refused(403, "M_FORBIDDEN")["rule"], "exam");
    portal.delete("/_lyceum/v1/exams/alg?why=over").await.ok();
    portal.delete("/_lyceum/v1/exams/alg").await.refused(404, "M_NOT_FOUND");
    ann.put(&says("2"), message.clone()).await.ok();

    let at = format!("/_lyceum/v1/blocks/{}", encoded(&ann.id));
    portal.put(&at, json!({ "room_id": group, "why": "shouting" })).await.ok();
    portal.put(&at, json!({ "until_ms": now + 1_000 })).await.ok();
    let first = reader.get("/_lyceum/v1/blocks?limit=1").await.ok();
    let next = first["next"].as_str().expect("there is a second page");
    let second = reader.get(&format!("/_lyceum/v1/blocks?limit=1&from={}", encoded(next))).await.ok();
    let (everywhere, here) = (&first["blocks"][0], &second["blocks"][0]);
    assert_eq!(
        (&everywhere["room_id"], &here["room_id"], &second["next"]),
        (&Value::Null, &json!(group), &Value::Null)
    );
    assert_eq!(ann.put(&says("3"), message.clone()).await.refused(403, "M_FORBIDDEN")["rule"], "blocked");
    portal.delete(&at).await.ok();
    portal.delete(&format!("{at}?room_id={}", encoded(&group))).await.ok();
    portal.delete(&at).await.refused(404, "M_NOT_FOUND");
    ann.put(&says("4"), message).await.ok();
    let changes = host.rows().await.iter().filter(|row| row["who"] == "program portal").count();
    assert_eq!(changes, 6, "each change has its row, what was refused has none");
}

#[tokio::test]
async fn rooms_are_read_and_searched_and_the_archive_opened_by_programs_that_oversee() {
    let campus = super::school_with("search.enabled = true\n").await;
    let host = campus.host("alpha.example");
    let (eye, desk) = (
        host.program("eye", HAND, &[Scope::OversightRead]).await,
        host.program("desk", HAND, &[Scope::CasesRead, Scope::CasesWrite]).await,
    );
    let (ann, ben) = (host.member("ann", "student", &["alg"]).await, host.member("ben", "student", &["alg"]).await);
    let mia = host.member("mia", "moderator", &[]).await;
    host.in_step().await;
    let room = ben.creates_room_with(json!({ "invite": [ann.id] })).await;
    ann.joins(&room).await;
    let insult = ben.says(&room, "you fool").await;
    ann.says(&room, "you are rude").await;
    let at = format!("/_lyceum/v1/rooms/{}/messages", encoded(&room));
    desk.get(&at).await.refused(403, "M_FORBIDDEN");
    let last = eye.get(&format!("{at}?limit=1&why=complaint")).await.ok();
    assert_eq!(last["messages"][0]["content"]["body"], "you are rude");
    let next = last["next"].as_str().expect("there is more");
    let before = eye.get(&format!("{at}?limit=1&from={next}")).await.ok();
    assert_eq!(before["messages"][0]["content"]["body"], "you fool");
    let found = eye.get("/_lyceum/v1/search?term=fool").await.ok();
    assert_eq!(
        (&found["found"][0]["room_id"], &found["found"][0]["event"]["event_id"]),
        (&json!(room), &json!(insult))
    );
    desk.get("/_lyceum/v1/search?term=fool").await.refused(403, "M_FORBIDDEN");
    eye.get("/_lyceum/v1/rooms/!nowhere:alpha.example/messages").await.refused(404, "M_NOT_FOUND");

    let report = format!("/_matrix/client/v3/rooms/{}/report/{}", encoded(&room), encoded(&insult));
    ann.post(&report, json!({ "reason": "an insult" })).await.ok();
    let moderation = super::rooms::room(&mia, "moderation").await.expect("there is a room for cases");
    let opened = |event: &Value| event["content"]["body"].as_str().is_some_and(|body| body.contains("Case 1 is new"));
    mia.waits_for(&moderation, opened).await.expect("the report becomes a case");
    let measure = "/_lyceum/v1/cases/1/measure";
    desk.post(measure, json!({ "measure": "delete" })).await.ok();
    desk.post(measure, json!({ "measure": "suspend", "why": "again" })).await.ok();
    let message = json!({ "msgtype": "m.text", "body": "so what" });
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", encoded(&room));
    ben.put(&path, message).await.refused(403, "M_USER_SUSPENDED");
    for taken in ["unsuspend", "hold", "unhold", "lock", "unlock", "block", "unblock"] {
        desk.post(measure, json!({ "measure": taken })).await.ok();
    }
    let original = eye.get("/_lyceum/v1/cases/1/original?why=parents").await.ok();
    assert_eq!(original["event"]["content"]["body"], "you fool");
    desk.get("/_lyceum/v1/cases/1/original").await.refused(403, "M_FORBIDDEN");
    let acts: Vec<_> =
        host.rows().await.iter().filter(|row| row["who"] == "program eye").map(|row| row["act"].clone()).collect();
    assert_eq!(acts, ["room.read", "room.read", "room.search", "case.original"]);
}
