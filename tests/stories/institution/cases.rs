//! Reports become cases, which moderators handle in their room with the client they have.

use lyceum_institution::audit::Actor;
use serde_json::{Value, json};

use super::{id, school, school_with};
use crate::support::{Campus, Person, campus::Host, encoded};

/// Ann, whom ben offends in a room that ben made; mia moderates, dora is the Director of Studies.
struct Trouble {
    campus: Campus,
    ann: Person,
    ben: Person,
    mia: Person,
    dora: Person,
    /// Where ann and ben are.
    room: String,
    /// Where cases are handled.
    desk: String,
    /// What offends.
    insult: String,
}

impl Trouble {
    async fn begin() -> Self {
        let campus = school().await;
        let host = campus.host("alpha.example");
        let (ann, ben) = (host.member("ann", "student", &["alg"]).await, host.member("ben", "student", &["alg"]).await);
        let (mia, dora) = (host.member("mia", "moderator", &[]).await, host.member("dora", "dos", &[]).await);
        host.in_step().await;
        let desk = super::rooms::room(&mia, "moderation").await.expect("there is a room for cases");
        let room = ben.creates_room_with(json!({ "invite": [ann.id] })).await;
        ann.joins(&room).await;
        ann.says(&room, "shall we learn together?").await;
        let insult = ben.says(&room, "not with a fool like you").await;
        ann.says(&room, "that was not nice").await;
        Self { campus, ann, ben, mia, dora, room, desk, insult }
    }

    fn host(&self) -> &Host {
        self.campus.host("alpha.example")
    }

    async fn report(&self, by: &Person) {
        let path = format!("/_matrix/client/v3/rooms/{}/report/{}", encoded(&self.room), encoded(&self.insult));
        by.post(&path, json!({ "reason": "an insult" })).await.ok();
    }

    /// Somebody writes in the moderation room, and is answered.
    async fn asks(&self, who: &Person, line: &str, answer: &str) -> String {
        who.says(&self.desk, line).await;
        self.told(who, &self.desk, answer).await
    }

    /// Waits until the server's account has said something with these words in a room.
    async fn told(&self, who: &Person, room: &str, words: &str) -> String {
        let fits = |event: &Value| {
            event["sender"] == "@lyceum:alpha.example"
                && event["content"]["body"].as_str().is_some_and(|body| body.contains(words))
        };
        let event = who.waits_for(room, fits).await;
        let event = event.unwrap_or_else(|| panic!("{} should be told {words:?} in {room}", who.id));
        event["content"]["body"].as_str().unwrap_or_default().to_owned()
    }

    /// The acts of the audit chain since a row, with whom they were done by.
    async fn audited(&self) -> Vec<(String, String)> {
        let rows = self.host().server.institution().audit().rows(0, 1_000).await.expect("the chain can be read");
        let read = |line: &str| -> Value { serde_json::from_str(line).expect("JSON") };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter().map(|(_, line)| read(line)).map(|row| (text(&row["who"]), text(&row["act"]))).collect()
    }

    async fn has_row(&self, who: &Person, act: &str) -> bool {
        self.audited().await.contains(&(who.id.clone(), act.to_owned()))
    }
}

/// The room in which somebody is told things, once they have come in.
pub(super) async fn notices_of(person: &Person) -> String {
    for _ in 0..10 {
        let rooms = person.get("/_matrix/client/v3/sync?timeout=0").await.ok();
        if let Some((room, _)) = rooms["rooms"]["invite"].as_object().into_iter().flatten().next() {
            person.joins(room).await;
            return room.clone();
        }
        person.syncs("timeout=500").await;
    }
    panic!("{} should be told something", person.id)
}

#[tokio::test]
async fn a_report_becomes_a_case_that_is_handled_from_the_moderation_room() {
    let trouble = Trouble::begin().await;
    let Trouble { ann, ben, mia, dora, room, desk, insult, .. } = &trouble;
    trouble.report(ann).await;
    let told = trouble.told(mia, desk, "Case 1 is new").await;
    assert!(told.contains(&ann.id) && told.contains(&ben.id) && told.contains("an insult"), "{told}");

    // Looking does not show: nobody joins, nothing is sent.
    let context = trouble.asks(dora, "!context 1", "fool like you").await;
    assert!(context.contains("shall we learn together?") && context.contains("that was not nice"), "{context}");
    let members = ann.get(&format!("/_matrix/client/v3/rooms/{}/joined_members", encoded(room))).await.ok();
    assert_eq!(members["joined"].as_object().map(serde_json::Map::len), Some(2), "{members}");
    assert!(trouble.has_row(dora, "case.context").await, "the look is in the audit chain");

    trouble.asks(mia, "!take 1", "Case 1: you handle it").await;
    trouble.asks(mia, "!note 1 second time this week", "Case 1: noted").await;
    trouble.asks(mia, "!delete 1 insult", "the message is deleted").await;
    trouble.asks(mia, "!block 1 7d insult", "blocked in that room until").await;
    let left = ann.get(&format!("/_matrix/client/v3/rooms/{}/event/{}", encoded(room), encoded(insult))).await.ok();
    assert_eq!(left["content"], json!({}), "the message is deleted for everybody");
    let again = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/again", encoded(room));
    let refused = ben.put(&again, json!({ "msgtype": "m.text", "body": "so what" })).await;
    assert_eq!(refused.refused(403, "M_FORBIDDEN")["rule"], "blocked");

    trouble.asks(mia, "!done 1 talked to both", "Case 1: closed").await;
    let notices = notices_of(ann).await;
    let told = trouble.told(ann, &notices, "Your report of a message").await;
    assert!(told.contains("the message was deleted, its author was blocked"), "{told}");
    let case = trouble.asks(mia, "!case 1", "second time this week").await;
    assert!(case.contains("talked to both") && case.contains("measure delete"), "{case}");
    trouble.asks(mia, "!delete 1", "case 1 is closed").await;
    for act in ["case.assign", "case.note", "case.delete", "block.change", "case.close", "case.read"] {
        assert!(trouble.has_row(mia, act).await, "{act} has its row");
    }
    assert!(trouble.host().server.institution().audit().verify().await.expect("readable").findings.is_empty());
    trouble.host().is_sound().await;
}

#[tokio::test]
async fn what_was_deleted_is_opened_by_the_director_alone_and_told_to_nobody_else() {
    let trouble = Trouble::begin().await;
    let Trouble { ann, mia, dora, room, desk, .. } = &trouble;
    trouble.report(ann).await;
    trouble.told(mia, desk, "Case 1 is new").await;
    trouble.asks(mia, "!delete 1", "the message is deleted").await;
    trouble.asks(mia, "!original 1", "Only the Director of Studies").await;
    trouble.asks(mia, &format!("!read {room}"), "(rule: moderation)").await;
    trouble.asks(dora, "!original 1 the parents ask", "in your notices").await;
    let notices = notices_of(dora).await;
    trouble.told(dora, &notices, "not with a fool like you").await;
    mia.does_not_see(desk, "not with a fool like you").await;
    assert!(trouble.has_row(dora, "case.original").await && !trouble.has_row(mia, "case.original").await);
    dora.says(desk, &format!("!read {room} a complaint")).await;
    let read = trouble.told(dora, &notices, "The last of").await;
    assert!(read.contains("that was not nice") && read.contains("(deleted)"), "{read}");
    assert!(trouble.has_row(dora, "room.read").await);
}

#[tokio::test]
async fn nobody_else_handles_cases() {
    let trouble = Trouble::begin().await;
    let Trouble { ann, ben, mia, desk, .. } = &trouble;
    trouble.report(ann).await;
    trouble.told(mia, desk, "Case 1 is new").await;
    let join = ben.post(&format!("/_matrix/client/v3/join/{}", encoded(desk)), json!({})).await;
    let refused = join.refused(403, "M_FORBIDDEN");
    assert_eq!(refused["rule"], "entry", "{refused}");
    let moderation = trouble.host().server.moderation().expect("there is an institution");
    let by = Actor::Person(id(ben));
    for refused in [
        moderation.cases(&by, true, 0, 10).await.err(),
        moderation.read(&by, 1).await.err(),
        moderation.context(&by, 1).await.err(),
        moderation.note(&by, 1, "no").await.err(),
        moderation.close(&by, 1, true, None).await.err(),
        moderation.measure(&by, 1, &lyceum_workers::moderation::Measure::Delete, None).await.err(),
    ] {
        let told = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.ends_with("(rule: moderation)"), "{told:?}");
    }
    let acts = trouble.audited().await;
    assert!(!acts.iter().any(|(who, _)| *who == ben.id), "what was refused has no row: {acts:?}");
}

#[tokio::test]
async fn several_reports_of_one_message_are_one_case_and_everybody_is_told() {
    let trouble = Trouble::begin().await;
    let Trouble { ann, ben, mia, desk, room, .. } = &trouble;
    let amy = trouble.host().member("amy", "student", &["alg"]).await;
    ben.invites(room, &amy).await;
    amy.joins(room).await;
    trouble.report(ann).await;
    trouble.report(&amy).await;
    trouble.told(mia, desk, "2 reports now").await;
    ann.post(&format!("/_matrix/client/v3/users/{}/report", encoded(&ben.id)), json!({ "reason": "again" })).await.ok();
    trouble.told(mia, desk, "Case 2 is new").await;
    trouble.asks(mia, "!warn 1 We do not call each other names.", "its author is warned").await;
    let bens = notices_of(ben).await;
    trouble.told(ben, &bens, "We do not call each other names.").await;
    trouble.asks(mia, "!remove 1", "its author is out").await;
    let state = format!("/_matrix/client/v3/rooms/{}/state/m.room.member/{}", encoded(room), encoded(&ben.id));
    assert_eq!(ann.get(&state).await.ok()["membership"], "leave");
    trouble.asks(mia, "!done 1", "Case 1: closed").await;
    trouble.asks(mia, "!dismiss 2", "Case 2: dismissed").await;
    for reporter in [ann, &amy] {
        let notices = notices_of(reporter).await;
        trouble.told(reporter, &notices, "its author was warned, its author was sent out of the room").await;
    }
    trouble.report(&amy).await;
    trouble.told(mia, desk, "Case 3 is new").await;
}

#[tokio::test]
async fn cases_are_there_after_a_restart_and_nothing_is_told_twice() {
    let mut trouble = Trouble::begin().await;
    trouble.report(&trouble.ann).await;
    trouble.told(&trouble.mia, &trouble.desk, "Case 1 is new").await;
    trouble.campus.crashes("alpha.example").await;
    let host = trouble.campus.host("alpha.example");
    let (mia, ann) = (trouble.mia.at(host), trouble.ann.at(host));
    trouble.report(&ann).await;
    trouble.told(&mia, &trouble.desk, "2 reports now").await;
    trouble.asks(&mia, "!cases", "2 reports, open").await;
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", encoded(&trouble.desk));
    let messages = mia.get(&path).await.ok();
    let news = messages["chunk"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["content"]["body"].as_str().is_some_and(|body| body.contains("Case 1 is new")));
    assert_eq!(news.count(), 1, "{messages}");
}

#[tokio::test]
async fn the_author_is_restrained_from_the_case_and_let_go_again() {
    let trouble = Trouble::begin().await;
    let Trouble { ann, ben, mia, dora, room, desk, .. } = &trouble;
    trouble.report(ann).await;
    trouble.told(mia, desk, "Case 1 is new").await;
    let say = |id: &str| format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{id}", encoded(room));
    let message = json!({ "msgtype": "m.text", "body": "so what" });

    trouble.asks(mia, "!block 1 everywhere", "blocked everywhere").await;
    ben.put(&say("1"), message.clone()).await.refused(403, "M_FORBIDDEN");
    trouble.asks(mia, "!unblock 1", "is not blocked there").await;
    trouble.asks(mia, "!unblock 1 everywhere", "not blocked everywhere any more").await;

    trouble.asks(mia, "!hold 1 7d", "posts wait in that room until").await;
    let held = ben.put(&say("2"), message.clone()).await.ok()["event_id"].clone();
    let waits = trouble.told(mia, desk, "so what").await;
    assert!(waits.contains("!approve"), "{waits}");
    ann.does_not_see(room, "so what").await;
    let short: String = held.as_str().unwrap_or_default().chars().take(9).collect();
    trouble.asks(mia, &format!("!approve {short}"), "is let go").await;
    assert_eq!(ann.sees(room, "so what").await["event_id"], held);
    trouble.asks(mia, "!unhold 1", "do not wait in that room any more").await;
    ben.says(room, "at once").await;
    ann.sees(room, "at once").await;

    trouble.asks(mia, "!suspend 1 calm down", "account is suspended").await;
    ben.put(&say("3"), message.clone()).await.refused(403, "M_USER_SUSPENDED");
    trouble.asks(mia, "!unsuspend 1", "not suspended any more").await;
    ben.says(room, "thank you").await;
    trouble.asks(mia, "!lock 1", "account is locked").await;
    ben.get("/_matrix/client/v3/joined_rooms").await.refused(401, "M_USER_LOCKED");
    trouble.asks(mia, "!unlock 1", "not locked any more").await;
    ben.get("/_matrix/client/v3/joined_rooms").await.ok();
    trouble.asks(mia, "!done 1", "Case 1: closed").await;
    let notices = notices_of(ann).await;
    let told = trouble.told(ann, &notices, "Your report of a message").await;
    assert!(told.contains("account was suspended") && told.contains("was taken back"), "{told}");
    for act in ["block.change", "hold.change", "case.suspend", "case.unsuspend", "case.lock", "case.unlock"] {
        assert!(trouble.has_row(mia, act).await, "{act} has its row");
    }
    assert!(trouble.host().server.institution().audit().verify().await.expect("readable").findings.is_empty());

    // Those who handle cases are restrained by the Director of Studies alone.
    mia.sends(desk, "m.room.message", json!({ "msgtype": "m.text", "body": "that was me" })).await;
    let path = format!("/_matrix/client/v3/users/{}/report", encoded(&mia.id));
    ann.post(&path, json!({ "reason": "unfair" })).await.ok();
    trouble.told(dora, desk, "Case 2 is new").await;
    trouble.asks(mia, "!suspend 2", "only the Director of Studies may do that").await;
    trouble.asks(dora, "!suspend 2", "account is suspended").await;
}

#[tokio::test]
async fn the_director_searches_rooms_without_being_in_them_and_each_look_is_written_down() {
    let campus = school_with("search.enabled = true\n").await;
    let host = campus.host("alpha.example");
    let (ann, ben) = (host.member("ann", "student", &["alg"]).await, host.member("ben", "student", &["alg"]).await);
    let (mia, dora) = (host.member("mia", "moderator", &[]).await, host.member("dora", "dos", &[]).await);
    host.in_step().await;
    let desk = super::rooms::room(&dora, "moderation").await.expect("there is a room for cases");
    let room = ben.creates_room_with(json!({ "invite": [ann.id] })).await;
    ann.joins(&room).await;
    ben.says(&room, "meet me behind the gymnasium").await;
    let other = ann.creates_room().await;
    ann.says(&other, "the gymnasium is closed").await;

    dora.says(&desk, &format!("!search {room} gymnasium")).await;
    let notices = notices_of(&dora).await;
    let found = told_in(&dora, &notices, "«gymnasium» was found here").await;
    assert!(found.contains("behind the gymnasium") && !found.contains("is closed"), "{found}");
    dora.says(&desk, "!search all gymnasium closed").await;
    let found = told_in(&dora, &notices, "«gymnasium closed» was found").await;
    assert!(found.contains(&other) && found.contains("is closed") && !found.contains("behind"), "{found}");
    mia.says(&desk, "!search all gymnasium").await;
    told_in(&mia, &desk, "Only the Director of Studies").await;

    let search = json!({ "search_categories": { "room_events": {
        "search_term": "gymnasium", "filter": { "rooms": [room] }, "event_context": { "before_limit": 1 },
    } } });
    let answer = dora.post("/_matrix/client/v3/search", search.clone()).await.ok();
    let results = &answer["search_categories"]["room_events"]["results"];
    assert_eq!(results[0]["result"]["content"]["body"], "meet me behind the gymnasium", "{answer}");
    let answer = mia.post("/_matrix/client/v3/search", search.clone()).await.ok();
    assert_eq!(answer["search_categories"]["room_events"]["results"], json!([]), "{answer}");
    let everywhere = json!({ "search_categories": { "room_events": { "search_term": "gymnasium" } } });
    let answer = dora.post("/_matrix/client/v3/search", everywhere).await.ok();
    let found = answer["search_categories"]["room_events"]["results"].as_array().expect("results");
    assert!(found.iter().all(|hit| hit["result"]["room_id"] != room), "only rooms that are named: {answer}");

    let members = ann.get(&format!("/_matrix/client/v3/rooms/{}/joined_members", encoded(&room))).await.ok();
    assert_eq!(members["joined"].as_object().map(serde_json::Map::len), Some(2), "nobody sees that somebody looks");
    let rows = host.server.institution().audit().rows(0, 1_000).await.expect("the chain can be read");
    let rows: Vec<Value> = rows.iter().map(|(_, line)| serde_json::from_str(line).expect("JSON")).collect();
    let looks: Vec<_> = rows.iter().filter(|row| row["act"] == "room.search").collect();
    assert_eq!(looks.len(), 3, "{looks:?}");
    assert!(looks.iter().all(|row| row["who"] == dora.id.as_str()), "{looks:?}");
    assert_eq!((&looks[2]["over"], &looks[2]["what"]["term"]), (&json!(room), &json!("gymnasium")));
}

async fn told_in(who: &Person, room: &str, words: &str) -> String {
    let fits = |event: &Value| event["content"]["body"].as_str().is_some_and(|body| body.contains(words));
    let event = who.waits_for(room, fits).await.unwrap_or_else(|| panic!("{} should be told {words:?}", who.id));
    event["content"]["body"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_case_shows_how_a_message_read_before_it_was_rewritten() {
    let trouble = Trouble::begin().await;
    let Trouble { ann, ben, mia, room, desk, insult, .. } = &trouble;
    let relation = json!({ "rel_type": "m.replace", "event_id": insult });
    let newer = json!({ "msgtype": "m.text", "body": "with pleasure" });
    let edit =
        json!({ "msgtype": "m.text", "body": "* with pleasure", "m.new_content": newer, "m.relates_to": relation });
    ben.sends(room, "m.room.message", edit).await;
    ann.sees(room, "* with pleasure").await;
    trouble.report(ann).await;
    trouble.told(mia, desk, "Case 1 is new").await;
    let context = trouble.asks(mia, "!context 1", "→ edited:").await;
    let place = |words: &str| context.find(words).unwrap_or_else(|| panic!("{words:?} should be in {context}"));
    assert!(place("not with a fool like you") < place("with pleasure"), "both wordings, in order: {context}");
}
