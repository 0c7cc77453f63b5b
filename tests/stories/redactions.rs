//! Redacting what somebody said, as administrators ask for it.

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

const ADMIN: &str = "/_synapse/admin/v1/user";
/// Looks until a job must be done.
const LOOKS_MAX: usize = 100_000;

async fn begins(root: &Person, person: &Person, wish: Value) -> String {
    let answer = root.post(&format!("{ADMIN}/{}/redact", person.id), wish).await.ok();
    format!("{ADMIN}/redact_status/{}", answer["redact_id"].as_str().expect("an id"))
}

async fn done(root: &Person, status: &str) -> Value {
    for _ in 0..LOOKS_MAX {
        let answer = root.get(status).await.ok();
        if answer["status"] != "active" {
            return answer;
        }
        tokio::task::yield_now().await;
    }
    panic!("{status} should be done by now")
}

/// What somebody reads in a room, oldest first; nothing of what was redacted.
async fn read(person: &Person, room: &str) -> Vec<String> {
    let page = format!("/_matrix/client/v3/rooms/{}/messages?dir=f&limit=100", encoded(room));
    let page = person.get(&page).await.ok();
    let events = page["chunk"].as_array().expect("a page");
    events.iter().filter_map(|event| event["content"]["body"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_somebody_said_is_redacted_everywhere_and_state_stays() {
    let campus = Campus::of(["alpha"]).await;
    let root = campus.host("alpha").admin("root").await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let (one, two) = (ann.creates_public_room().await, ann.creates_public_room().await);
    for room in [&one, &two] {
        eve.joins(room).await;
        ann.says(room, "welcome").await;
        eve.says(room, "rude").await;
        eve.says(room, "ruder").await;
    }
    let status = begins(&root, &eve, json!({ "rooms": [one], "reason": "abuse", "limit": 1 })).await;
    assert_eq!(done(&root, &status).await, json!({ "status": "complete", "failed_redactions": {} }));
    assert_eq!(read(&ann, &one).await, ["welcome", "rude"], "the newest only");

    let status = begins(&root, &eve, json!({ "rooms": [] })).await;
    assert_eq!(done(&root, &status).await["status"], "complete");
    for room in [&one, &two] {
        assert_eq!(read(&ann, room).await, ["welcome"]);
        let members = ann.get(&format!("/_matrix/client/v3/rooms/{}/joined_members", encoded(room))).await.ok();
        assert!(members["joined"][&eve.id].is_object());
    }
}

#[tokio::test]
async fn what_nobody_may_redact_is_told() {
    let mut campus = Campus::of(["alpha"]).await;
    let root = campus.host("alpha").admin("root").await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let room = ann.creates_public_room().await;
    eve.joins(&room).await;
    let said = eve.says(&room, "rude").await;
    ann.post(&format!("/_matrix/client/v3/rooms/{}/kick", encoded(&room)), json!({ "user_id": eve.id })).await.ok();
    for by_hand in [false, true] {
        let status = begins(&root, &eve, json!({ "rooms": [room], "use_admin": by_hand })).await;
        let answer = done(&root, &status).await;
        assert_eq!(answer["status"], "complete");
        assert!(answer["failed_redactions"][&said].is_string(), "neither is in the room: {answer}");
        assert_eq!(read(&ann, &room).await, ["rude"]);
    }
    // A job is remembered, and one that was not done yet is gone on with.
    let status = begins(&root, &eve, json!({ "rooms": [room] })).await;
    campus.crashes("alpha").await;
    let root = root.at(campus.host("alpha"));
    assert_eq!(done(&root, &status).await["status"], "complete");
}

#[tokio::test]
async fn only_administrators_redact_what_others_said() {
    let campus = Campus::of(["alpha"]).await;
    let (root, eve) = (campus.host("alpha").admin("root").await, campus.person("eve").await);
    let path = format!("{ADMIN}/{}/redact", root.id);
    eve.post(&path, json!({ "rooms": [] })).await.refused(403, "M_FORBIDDEN");
    eve.get(&format!("{ADMIN}/redact_status/1")).await.refused(403, "M_FORBIDDEN");
    root.get(&format!("{ADMIN}/redact_status/1")).await.refused(404, "M_NOT_FOUND");
    root.get(&format!("{ADMIN}/redact_status/x")).await.refused(404, "M_NOT_FOUND");
    root.post(&path, json!({})).await.refused(400, "M_BAD_JSON");
    root.post(&path, json!({ "rooms": ["nowhere"] })).await.refused(400, "M_BAD_JSON");
    root.post(&path, json!({ "rooms": [], "limit": 0 })).await.refused(400, "M_INVALID_PARAM");
    root.post(&format!("{ADMIN}/nobody/redact"), json!({ "rooms": [] })).await.refused(400, "M_INVALID_PARAM");
}
