//! The support desk: people ask its account in a chat, those who support answer in threads of their room.

use serde_json::{Value, json};

use super::{cases::notices_of, rooms, rules::refused_by, school_with};
use crate::support::{Campus, Person, campus::Host, encoded};

const DESK: &str = "@support:alpha.example";
const ANONYMOUS: &str = "institution.support_desk = { enabled = true, anonymous = true }\n";
const NAMED: &str = "institution.support_desk = { enabled = true, name = \"Help\" }\n";

/// Ann, who asks; sam, who supports; dora, the Director of Studies.
struct Help {
    campus: Campus,
    ann: Person,
    sam: Person,
    dora: Person,
    /// Ann's chat with the desk.
    chat: String,
    /// The room of those who support.
    team: String,
}

impl Help {
    async fn with(settings: &str) -> Self {
        let campus = school_with(settings).await;
        let host = campus.host("alpha.example");
        let (ann, sam) =
            (host.member("ann", "student", &["alg"]).await, host.member("sam", "support_agent", &[]).await);
        let dora = host.member("dora", "dos", &[]).await;
        host.in_step().await;
        let team = rooms::room(&sam, "support-team").await.expect("those who support have a room");
        let chat = ann.creates_room_with(chat()).await;
        Self { campus, ann, sam, dora, chat, team }
    }

    fn host(&self) -> &Host {
        self.campus.host("alpha.example")
    }

    /// Waits for a message with these words.
    async fn told(&self, who: &Person, room: &str, words: &str) -> Value {
        told(who, room, words).await
    }

    /// Answers in the thread of an event.
    async fn answers(&self, who: &Person, thread: &Value, text: &str) -> String {
        let relation = json!({ "rel_type": "m.thread", "event_id": thread["event_id"] });
        let content = json!({ "msgtype": "m.text", "body": text, "m.relates_to": relation });
        who.sends(&self.team, "m.room.message", content).await
    }

    /// Everything that sam's client was ever shown.
    async fn shown_to_sam(&self) -> String {
        let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", encoded(&self.team));
        let members = format!("/_matrix/client/v3/rooms/{}/members", encoded(&self.team));
        format!("{}{}", self.sam.get(&path).await.ok(), self.sam.get(&members).await.ok())
    }
}

/// As Element makes a chat with somebody.
fn chat() -> Value {
    json!({ "preset": "trusted_private_chat", "is_direct": true, "invite": [DESK] })
}

async fn told(who: &Person, room: &str, words: &str) -> Value {
    let fits = |event: &Value| event["content"]["body"].as_str().is_some_and(|body| body.contains(words));
    who.waits_for(room, fits).await.unwrap_or_else(|| panic!("{} should be told {words:?} in {room}", who.id))
}

#[tokio::test]
async fn somebody_asks_and_is_answered_and_nobody_who_answers_learns_who_it_is() {
    let help = Help::with(ANONYMOUS).await;
    let Help { ann, sam, chat, team, .. } = &help;
    let found =
        ann.post("/_matrix/client/v3/user_directory/search", json!({ "search_term": "support desk" })).await.ok();
    assert_eq!(found["results"][0]["user_id"], DESK, "the desk is found like anybody: {found}");
    ann.says(chat, "My account at the library is locked, says @ann:alpha.example").await;
    let greeting = help.told(ann, chat, "Your request has the number 1").await;
    assert!(greeting["content"]["body"].as_str().is_some_and(|body| body.contains("not who you are")), "{greeting}");
    let root = help.told(sam, team, "Request 1 from somebody (student)").await;
    let asked = help.told(sam, team, "My account at the library is locked").await;
    let relation = &asked["content"]["m.relates_to"];
    assert_eq!((&relation["rel_type"], &relation["event_id"]), (&json!("m.thread"), &root["event_id"]));

    sam.says(team, "does anybody know the library?").await;
    help.answers(sam, &root, "Which card do you have?").await;
    let answer = ann.sees(chat, "Which card do you have?").await;
    assert_eq!(answer["sender"], DESK, "the desk answers, whoever wrote it");
    ann.does_not_see(chat, "does anybody know the library?").await;
    ann.sends(
        chat,
        "m.room.message",
        json!({
            "msgtype": "m.text", "body": "> <@ann:alpha.example> old\n\nThe blue one",
            "m.relates_to": { "m.in_reply_to": { "event_id": answer["event_id"] } },
        }),
    )
    .await;
    let answered = sam.sees(team, "The blue one").await;
    let direct = json!({ "m.in_reply_to": { "event_id": answered["event_id"] } });
    let content = json!({ "msgtype": "m.text", "body": "Done, without a thread", "m.relates_to": direct });
    sam.sends(team, "m.room.message", content).await;
    ann.sees(chat, "Done, without a thread").await;
    let shown = help.shown_to_sam().await;
    assert!(!shown.contains(&ann.id) && !shown.contains(chat.as_str()), "nothing names who asks: {shown}");
    help.host().is_sound().await;
}

#[tokio::test]
async fn what_is_rewritten_and_taken_back_is_so_on_the_other_side() {
    let help = Help::with(ANONYMOUS).await;
    let Help { ann, sam, chat, team, .. } = &help;
    let first = ann.says(chat, "I lost my key").await;
    let passed = sam.sees(team, "I lost my key").await;
    let newer = json!({ "msgtype": "m.text", "body": "I lost my card" });
    let relation = json!({ "rel_type": "m.replace", "event_id": first });
    let edit =
        json!({ "msgtype": "m.text", "body": "* I lost my card", "m.new_content": newer, "m.relates_to": relation });
    ann.sends(chat, "m.room.message", edit).await;
    let rewritten = sam.sees(team, "* I lost my card").await;
    assert_eq!(rewritten["content"]["m.relates_to"]["event_id"], passed["event_id"]);
    assert_eq!(rewritten["content"]["m.new_content"]["body"], "I lost my card");

    let root = help.told(sam, team, "Request 1 from").await;
    let answer = help.answers(sam, &root, "what a fool").await;
    let seen = ann.sees(chat, "what a fool").await;
    let redact =
        |room: &str, event: &str| format!("/_matrix/client/v3/rooms/{}/redact/{}/t", encoded(room), encoded(event));
    sam.put(&redact(team, &answer), json!({})).await.ok();
    let id = seen["event_id"].clone();
    let is_gone = move |event: &Value| event["type"] == "m.room.redaction" && event["content"]["redacts"] == id;
    ann.waits_for(chat, is_gone).await.expect("what was taken back there is taken back here");
    ann.put(&redact(chat, &first), json!({})).await.ok();
    let id = passed["event_id"].clone();
    let is_gone = move |event: &Value| event["type"] == "m.room.redaction" && event["content"]["redacts"] == id;
    sam.waits_for(team, is_gone).await.expect("and the other way round");
}

#[tokio::test]
async fn a_request_is_closed_and_the_next_message_opens_another() {
    let help = Help::with(ANONYMOUS).await;
    let Help { ann, sam, chat, team, .. } = &help;
    ann.says(chat, "one thing").await;
    help.told(sam, team, "Request 1 from").await;
    sam.says(team, "!requests").await;
    help.told(sam, team, "1: since 2026").await;
    sam.says(team, "!done 1 it is mended").await;
    help.told(ann, chat, "Your request 1 is closed: it is mended").await;
    help.told(sam, team, "Request 1 is closed.").await;
    sam.says(team, "!done 1").await;
    help.told(sam, team, "request 1 is closed").await;
    sam.says(team, "!done 7").await;
    help.told(sam, team, "there is no request 7").await;
    ann.says(chat, "another thing").await;
    help.told(sam, team, "Request 2 from").await;
    sam.sees(team, "another thing").await;
}

#[tokio::test]
async fn who_asks_is_looked_up_by_the_director_alone_and_that_is_written_down() {
    let help = Help::with(ANONYMOUS).await;
    let Help { ann, sam, dora, chat, team, .. } = &help;
    ann.says(chat, "you are all fools").await;
    help.told(sam, team, "Request 1 from").await;
    sam.says(team, "!who 1 curious").await;
    help.told(sam, team, "Only the Director of Studies").await;
    let desk = rooms::room(dora, "moderation").await.expect("there is a room for cases");
    dora.says(&desk, "!who 1 a threat").await;
    let notices = notices_of(dora).await;
    help.told(dora, &notices, "Request 1 is from @ann:alpha.example").await;
    let rows = help.host().server.institution().audit().rows(0, 1_000).await.expect("the chain can be read");
    let looks: Vec<_> = rows.iter().filter(|(_, row)| row.contains("\"request.who\"")).collect();
    assert!(looks.len() == 1 && looks[0].1.contains(&dora.id) && looks[0].1.contains("a threat"), "{looks:?}");
    assert!(!help.shown_to_sam().await.contains(&ann.id));
}

#[tokio::test]
async fn a_report_of_what_was_passed_on_is_a_case_about_who_wrote_it() {
    let help = Help::with(ANONYMOUS).await;
    let Help { ann, sam, dora, chat, team, .. } = &help;
    let insult = ann.says(chat, "you are all fools").await;
    let passed = sam.sees(team, "you are all fools").await;
    let id = passed["event_id"].as_str().unwrap_or_default();
    let report = format!("/_matrix/client/v3/rooms/{}/report/{}", encoded(team), encoded(id));
    sam.post(&report, json!({ "reason": "an insult" })).await.ok();
    let desk = rooms::room(dora, "moderation").await.expect("there is a room for cases");
    let told = help.told(dora, &desk, "Case 1 is new").await;
    assert!(told["content"]["body"].as_str().is_some_and(|body| body.contains(&ann.id)), "{told}");
    dora.says(&desk, "!delete 1").await;
    help.told(dora, &desk, "the message is deleted").await;
    for (who, room, event) in [(ann, chat, insult.as_str()), (sam, team, id)] {
        let is_gone = |found: &Value| found["type"] == "m.room.redaction" && found["content"]["redacts"] == event;
        who.waits_for(room, is_gone).await.unwrap_or_else(|| panic!("{} should see it deleted", who.id));
    }
}

#[tokio::test]
async fn a_desk_that_is_not_anonymous_says_who_asks_and_has_its_own_name() {
    let help = Help::with(NAMED).await;
    let Help { ann, sam, chat, team, .. } = &help;
    ann.says(chat, "hello").await;
    let greeting = help.told(ann, chat, "Your request has the number 1").await;
    assert!(greeting["content"]["body"].as_str().is_some_and(|body| body.contains("and who you are")), "{greeting}");
    help.told(sam, team, "Request 1 from @ann:alpha.example (student)").await;
    let name = ann.get(&format!("/_matrix/client/v3/profile/{}/displayname", encoded(DESK))).await.ok();
    assert_eq!(name["displayname"], "Help");
}

#[tokio::test]
async fn chats_with_the_desk_have_their_kind_and_its_rules() {
    let help = Help::with(ANONYMOUS).await;
    let Help { ann, chat, team, .. } = &help;
    let create = ann.get(&format!("/_matrix/client/v3/rooms/{}/state/m.room.create", encoded(chat))).await.ok();
    assert_eq!(create["org.lyceum.kind"], "support_desk", "without any word of the client");
    let turn_on = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.encryption", encoded(chat));
    refused_by("encryption", ann.put(&path, turn_on).await);
    refused_by("entry", ann.post(&format!("/_matrix/client/v3/join/{}", encoded(team)), json!({})).await);
    // Into other rooms the desk is asked in vain.
    let room = ann.creates_room().await;
    let path = format!("/_matrix/client/v3/rooms/{}/invite", encoded(&room));
    refused_by("contact", ann.post(&path, json!({ "user_id": DESK })).await);
    let plain = school_with("").await;
    let eve = plain.host("alpha.example").member("eve", "student", &["alg"]).await;
    refused_by("contact", eve.post("/_matrix/client/v3/createRoom", self::chat()).await);
}

#[tokio::test]
async fn everything_is_passed_on_once_over_a_crash() {
    let mut help = Help::with(ANONYMOUS).await;
    help.ann.says(&help.chat, "before").await;
    help.sam.sees(&help.team, "before").await;
    help.campus.crashes("alpha.example").await;
    let host = help.campus.host("alpha.example");
    let (ann, sam) = (help.ann.at(host), help.sam.at(host));
    ann.says(&help.chat, "after").await;
    sam.sees(&help.team, "after").await;
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", encoded(&help.team));
    let messages = sam.get(&path).await.ok();
    for (words, times) in [("Request 1 from", 1), ("Request 2 from", 0), ("before", 1), ("after", 1)] {
        let found = messages["chunk"].as_array().into_iter().flatten();
        let found = found.filter(|event| event["content"]["body"].as_str().is_some_and(|body| body.starts_with(words)));
        assert_eq!(found.count(), times, "{words:?}: {messages}");
    }
}

#[tokio::test]
async fn nobody_registers_as_one_of_the_institutions_own_accounts() {
    let register = async |campus: &Campus, name: &str| {
        let auth = json!({ "type": "m.login.dummy" });
        let body = json!({ "auth": auth, "username": name, "password": "correct horse 7" });
        campus.host("alpha.example").stranger().post("/_matrix/client/v3/register", body).await
    };
    // Without units and desk no room is needed, and the account is not there yet.
    let young = Campus::with(["alpha.example"], "institution.enabled = true\n").await;
    register(&young, "lyceum").await.refused(400, "M_EXCLUSIVE");
    register(&young, "support").await.ok();
    let help = Help::with(ANONYMOUS).await;
    register(&help.campus, "support").await.refused(400, "M_USER_IN_USE");
    let plain = Campus::of(["alpha.example"]).await;
    register(&plain, "lyceum").await.ok();
}
