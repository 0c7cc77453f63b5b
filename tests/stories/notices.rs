//! What the server itself tells people, and the room for it that nobody refuses.

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

const SEND: &str = "/_synapse/admin/v1/send_server_notice";

fn told(person: &Person, text: &str) -> Value {
    json!({ "user_id": person.id, "content": { "msgtype": "m.text", "body": text } })
}

/// The only room that somebody is asked into.
async fn invited_to(person: &Person) -> (String, Value) {
    let synced = person.get("/_matrix/client/v3/sync").await.ok();
    let invites = synced["rooms"]["invite"].as_object().cloned().unwrap_or_default();
    assert_eq!(invites.len(), 1, "{} should be asked into one room: {invites:?}", person.id);
    invites.into_iter().next().expect("there is one")
}

fn leave(room: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/leave", encoded(room))
}

#[tokio::test]
async fn a_notice_reaches_its_person_in_a_room_that_cannot_be_refused() {
    let campus = Campus::of(["alpha"]).await;
    let (root, anna) = (campus.host("alpha").admin("root").await, campus.person("anna").await);
    let said = root.post(SEND, told(&anna, "Maintenance tonight")).await.ok()["event_id"].clone();
    let (room, invite) = invited_to(&anna).await;
    let by_the_server = |event: &Value| event["sender"] == "@_server:alpha";
    assert!(invite["invite_state"]["events"].as_array().unwrap().iter().all(by_the_server));
    let tags = anna.get(&format!("/_matrix/client/v3/user/{}/rooms/{}/tags", anna.id, encoded(&room))).await.ok();
    assert!(tags["tags"]["m.server_notice"].is_object());

    anna.post(&leave(&room), json!({})).await.refused(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM");
    assert_eq!(invited_to(&anna).await.0, room, "nothing changed");
    anna.joins(&room).await;
    assert_eq!(anna.sees(&room, "Maintenance tonight").await["event_id"], said);
    let send = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", encoded(&room));
    anna.put(&send, json!({ "body": "thanks" })).await.refused(403, "M_FORBIDDEN");
    anna.post(&leave(&room), json!({})).await.ok();

    root.post(SEND, told(&anna, "All well again")).await.ok();
    assert_eq!(invited_to(&anna).await.0, room, "there is one such room for each person");
}

#[tokio::test]
async fn a_notice_is_sent_once_for_each_transaction() {
    let campus = Campus::of(["alpha"]).await;
    let (root, anna) = (campus.host("alpha").admin("root").await, campus.person("anna").await);
    let once = format!("{SEND}/1");
    let first = root.put(&once, told(&anna, "Lights out")).await.ok();
    assert_eq!(root.put(&once, told(&anna, "Lights out")).await.ok(), first);
    assert_ne!(root.put(&format!("{SEND}/2"), told(&anna, "Lights out")).await.ok(), first);
    let (room, _) = invited_to(&anna).await;
    anna.joins(&room).await;
    let page = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=50", encoded(&room));
    let page = anna.get(&page).await.ok();
    let said = page["chunk"].as_array().unwrap().iter().filter(|event| event["content"]["body"] == "Lights out");
    assert_eq!(said.count(), 2);
}

#[tokio::test]
async fn only_administrators_speak_for_the_server_and_only_to_its_people() {
    let campus = Campus::of(["alpha"]).await;
    let (root, anna) = (campus.host("alpha").admin("root").await, campus.person("anna").await);
    anna.post(SEND, told(&anna, "x")).await.refused(403, "M_FORBIDDEN");
    anna.put(&format!("{SEND}/1"), told(&anna, "x")).await.refused(403, "M_FORBIDDEN");
    campus.host("alpha").stranger().post(SEND, json!({})).await.refused(401, "M_MISSING_TOKEN");
    root.post(SEND, json!({})).await.refused(400, "M_BAD_JSON");
    let to = |user: &str| json!({ "user_id": user, "content": { "body": "x" } });
    root.post(SEND, to("@nobody:alpha")).await.refused(404, "M_NOT_FOUND");
    root.post(SEND, to("@anna:beta")).await.refused(400, "M_INVALID_PARAM");
    root.post(SEND, to("anna")).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn an_institution_speaks_by_its_own_account_whatever_its_rules() {
    let settings = "institution.enabled = true\ninstitution.name = \"Example College\"\n";
    let campus = Campus::with(["alpha"], settings).await;
    let (root, anna) = (campus.host("alpha").admin("root").await, campus.person("anna").await);
    root.post(SEND, told(&anna, "Exams are moved")).await.ok();
    let (room, _) = invited_to(&anna).await;
    anna.joins(&room).await;
    assert_eq!(anna.sees(&room, "Exams are moved").await["sender"], "@lyceum:alpha");
}
