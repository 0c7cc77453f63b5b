//! Threads that people follow (MSC4306), and how their clients learn of it (MSC4308).

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

const EXTENSION: &str = "io.element.msc4308.thread_subscriptions";
const ALL: &str = "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions?dir=b";

fn subscription(room: &str, root: &str) -> String {
    let (room, root) = (encoded(room), encoded(root));
    format!("/_matrix/client/unstable/io.element.msc4306/rooms/{room}/thread/{root}/subscription")
}

/// Says something in a thread.
async fn replies(person: &Person, room: &str, root: &str, text: &str) -> String {
    let content = json!({ "body": text, "m.relates_to": { "event_id": root, "rel_type": "m.thread" } });
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{}", encoded(room), encoded(text));
    person.put(&path, content).await.ok()["event_id"].as_str().expect("an id").to_owned()
}

/// One sliding sync: the next position, and what it says of threads.
async fn slides(person: &Person, pos: Option<&str>, limit: u64) -> (String, Value) {
    let query = pos.map_or_else(String::new, |pos| format!("?pos={}&timeout=0", encoded(pos)));
    let path = format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync{query}");
    let body = json!({ "extensions": { EXTENSION: { "enabled": true, "limit": limit } } });
    let answer = person.post(&path, body).await.ok();
    (answer["pos"].as_str().expect("a position").to_owned(), answer["extensions"][EXTENSION].clone())
}

#[tokio::test]
async fn a_thread_is_followed_by_hand_or_because_of_something_in_it() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let (root, other) = (ann.says(&room, "root").await, ann.says(&room, "other").await);
    let path = subscription(&room, &root);
    ann.get(&path).await.refused(404, "M_NOT_FOUND");
    ann.delete(&path).await.ok();

    let reply = replies(&ann, &room, &root, "first").await;
    ann.put(&path, json!({ "automatic": reply })).await.ok();
    assert_eq!(ann.get(&path).await.ok(), json!({ "automatic": true }));
    ann.put(&path, json!({})).await.ok();
    assert_eq!(ann.get(&path).await.ok(), json!({ "automatic": false }));
    ann.put(&path, json!({ "automatic": reply })).await.ok();
    assert_eq!(ann.get(&path).await.ok(), json!({ "automatic": false }), "what was chosen stays");

    ann.delete(&path).await.ok();
    ann.get(&path).await.refused(404, "M_NOT_FOUND");
    let conflict = "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION";
    ann.put(&path, json!({ "automatic": reply })).await.refused(409, conflict);
    ann.get(&path).await.refused(404, "M_NOT_FOUND");
    let later = replies(&ann, &room, &root, "second").await;
    ann.put(&path, json!({ "automatic": later })).await.ok();

    let elsewhere = replies(&ann, &room, &other, "elsewhere").await;
    for cause in [&root, &elsewhere, &other, &"$unknown".to_owned()] {
        let wrong = json!({ "automatic": cause });
        ann.put(&path, wrong).await.refused(400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD");
    }
    ann.put(&path, json!({ "automatic": 5 })).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn nobody_follows_what_they_cannot_see() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let room = ann.creates_room().await;
    let root = ann.says(&room, "root").await;
    for (person, root) in [(&eve, root.as_str()), (&ann, "$unknown"), (&ann, "$unknown:alpha")] {
        let path = subscription(&room, root);
        person.get(&path).await.refused(404, "M_NOT_FOUND");
        person.put(&path, json!({})).await.refused(404, "M_NOT_FOUND");
        person.delete(&path).await.refused(404, "M_NOT_FOUND");
    }
    ann.put(&subscription(&room, &root), json!({})).await.ok();
    assert_eq!(eve.get(ALL).await.ok(), json!({ "subscribed": {}, "unsubscribed": {} }));
}

#[tokio::test]
async fn clients_learn_which_threads_are_followed() {
    let campus = Campus::of(["alpha"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let mut roots = Vec::new();
    for n in 0..5 {
        let root = ann.says(&room, &format!("root {n}")).await;
        ann.put(&subscription(&room, &root), json!({})).await.ok();
        roots.push(root);
    }
    ann.delete(&subscription(&room, &roots[4])).await.ok();

    let (pos, first) = slides(&ann, None, 3).await;
    let known = |answer: &Value, what: &str| -> Vec<String> {
        answer[what][&room].as_object().into_iter().flatten().map(|(root, _)| root.clone()).collect()
    };
    let sorted = |roots: &[String]| {
        let mut roots = roots.to_vec();
        roots.sort();
        roots
    };
    assert_eq!(known(&first, "subscribed"), sorted(&roots[2..4]));
    assert_eq!(first["unsubscribed"], Value::Null, "what was given up before is no news");
    assert_eq!(first["subscribed"][&room][&roots[3]]["automatic"], false);
    let before = encoded(first["prev_batch"].as_str().expect("there is more"));
    let rest = ann.get(&format!("{ALL}&from={before}&limit=1")).await.ok();
    assert_eq!(known(&rest, "subscribed"), roots[1..2]);
    let before = encoded(rest["end"].as_str().expect("there is more"));
    let rest = ann.get(&format!("{ALL}&from={before}")).await.ok();
    assert_eq!((known(&rest, "subscribed"), &rest["end"]), (roots[..1].to_vec(), &Value::Null));

    let (pos, quiet) = slides(&ann, Some(&pos), 3).await;
    assert_eq!(quiet, Value::Null);
    ann.delete(&subscription(&room, &roots[0])).await.ok();
    let (_, news) = slides(&ann, Some(&pos), 3).await;
    assert_eq!((known(&news, "unsubscribed"), known(&news, "subscribed")), (roots[..1].to_vec(), Vec::new()));

    let all = ann.get(ALL).await.ok();
    assert_eq!(known(&all, "subscribed"), sorted(&roots[1..4]));
    ann.get(&ALL.replace("dir=b", "dir=f")).await.refused(400, "M_INVALID_PARAM");
    ann.get(&format!("{ALL}&from=s1_2_3")).await.refused(400, "M_INVALID_PARAM");
    ann.get(ALL.trim_end_matches("?dir=b")).await.refused(400, "M_MISSING_PARAM");
}
