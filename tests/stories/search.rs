//! Looking for words: what one may see is found, with what stands around it, and nothing else.

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

const SEARCH: &str = "/_matrix/client/v3/search";
/// The index is made only for stories that ask for it.
const ON: &str = "search.enabled = true";

fn events(criteria: Value) -> Value {
    json!({ "search_categories": { "room_events": criteria } })
}

async fn ask(person: &Person, criteria: Value) -> Value {
    person.post(SEARCH, events(criteria)).await.ok()["search_categories"]["room_events"].clone()
}

fn bodies(found: &Value) -> Vec<&str> {
    let results = found["results"].as_array().into_iter().flatten();
    results.map(|one| one["result"]["content"]["body"].as_str().unwrap_or_default()).collect()
}

async fn finds(person: &Person, term: &str) -> Vec<String> {
    let found = ask(person, json!({ "search_term": term, "order_by": "recent" })).await;
    bodies(&found).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn words_are_found_in_any_form_by_those_who_may_read_them() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let room = anna.creates_room_with(json!({ "name": "Greek reading", "topic": "Irregular verbs" })).await;
    anna.says(&room, "Who has learned the verbs?").await;
    anna.says(&room, "One verb is missing, Élise").await;
    anna.says(&room, "Lunch?").await;
    assert_eq!(finds(&anna, "verb").await, ["One verb is missing, Élise", "Who has learned the verbs?", ""]);
    assert_eq!(finds(&anna, "LEARN verb").await, ["Who has learned the verbs?"], "every word counts");
    assert_eq!(finds(&anna, "elise").await, ["One verb is missing, Élise"]);
    assert!(finds(&ben, "verb").await.is_empty(), "he is not in the room");
    assert!(finds(&anna, "?!").await.is_empty(), "no words, nothing found");

    let only = |keys: Value| json!({ "search_term": "verbs", "keys": keys });
    let topic = ask(&anna, only(json!(["content.topic"]))).await;
    assert_eq!(topic["results"][0]["result"]["content"]["topic"], "Irregular verbs");
    assert_eq!((&topic["count"], topic["results"].as_array().unwrap().len()), (&json!(1), 1));
    let name = ask(&anna, json!({ "search_term": "read", "keys": ["content.name"] })).await;
    assert_eq!(name["highlights"], json!(["reading"]));
    let both = ask(&anna, json!({ "search_term": "verb" })).await;
    assert_eq!(both["highlights"], json!(["verb", "verbs"]));
    assert!(both["results"][0]["rank"].as_f64() >= both["results"][1]["rank"].as_f64());

    anna.post(SEARCH, events(only(json!(["content.secret"])))).await.refused_as("search 400 *");
    anna.post(SEARCH, events(json!({ "search_term": "a", "order_by": "x" }))).await.refused(400, "M_INVALID_PARAM");
    anna.post(SEARCH, events(json!({}))).await.refused(400, "M_BAD_JSON");
    anna.post(&format!("{SEARCH}?next_batch=else"), events(json!({ "search_term": "a" })))
        .await
        .refused(400, "M_INVALID_PARAM");
    let stranger = campus.host("alpha.example").stranger();
    stranger.post(SEARCH, events(json!({ "search_term": "a" }))).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn only_what_was_said_while_one_might_listen_is_found_or_counted() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let visibility = json!({ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } });
    let room = anna.creates_room_with(json!({ "preset": "public_chat", "initial_state": [visibility] })).await;
    anna.says(&room, "exam before").await;
    ben.joins(&room).await;
    anna.says(&room, "exam during").await;
    ben.leaves(&room).await;
    anna.says(&room, "exam after").await;
    let found = ask(&ben, json!({ "search_term": "exam" })).await;
    assert_eq!((bodies(&found), &found["count"]), (vec!["exam during"], &json!(1)));
    assert_eq!(finds(&anna, "exam").await, ["exam after", "exam during", "exam before"]);

    ben.post(&format!("/_matrix/client/v3/rooms/{}/forget", encoded(&room)), json!({})).await.ok();
    assert!(finds(&ben, "exam").await.is_empty());
}

#[tokio::test]
async fn edits_and_redactions_change_what_is_found() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let anna = campus.person("anna").await;
    let room = anna.creates_room().await;
    let event = anna.says(&room, "blue whale").await;
    let edit = json!({
        "msgtype": "m.text", "body": "* grey seal",
        "m.new_content": { "msgtype": "m.text", "body": "grey seal" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event },
    });
    let edit = anna.sends(&room, "m.room.message", edit).await;
    assert!(finds(&anna, "whale").await.is_empty());
    assert_eq!(finds(&anna, "seal").await.len(), 1, "the edit itself is no second message");
    let redact =
        |event: &str| format!("/_matrix/client/v3/rooms/{}/redact/{}/{}", encoded(&room), encoded(event), &event[1..5]);
    anna.put(&redact(&edit), json!({})).await.ok();
    assert!(finds(&anna, "seal").await.is_empty());
    assert_eq!(finds(&anna, "whale").await, ["blue whale"]);
    anna.put(&redact(&event), json!({})).await.ok();
    assert!(finds(&anna, "whale").await.is_empty());
    // The same with nobody searching in between, so that all of it is taken in together.
    let event = anna.says(&room, "acorn").await;
    let edit = json!({
        "msgtype": "m.text", "body": "* beech", "m.new_content": { "msgtype": "m.text", "body": "beech" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event },
    });
    let edit = anna.sends(&room, "m.room.message", edit).await;
    anna.put(&redact(&edit), json!({})).await.ok();
    assert!(finds(&anna, "beech").await.is_empty());
    assert_eq!(finds(&anna, "acorn").await, ["acorn"]);
}

#[tokio::test]
async fn pages_groups_and_context_tell_where_things_stand() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let (first, second) = (anna.creates_public_room().await, anna.creates_public_room().await);
    for room in [&first, &second] {
        ben.joins(room).await;
    }
    for turn in 0..4 {
        anna.says(&first, &format!("apple {turn}")).await;
        ben.says(&second, &format!("apple {}", turn + 4)).await;
    }
    for order_by in ["recent", "rank"] {
        let mut criteria = json!({ "search_term": "apple", "order_by": order_by, "filter": { "limit": 3 } });
        criteria["groupings"] = json!({ "group_by": [{ "key": "room_id" }, { "key": "sender" }] });
        let (mut seen, mut path) = (Vec::new(), SEARCH.to_owned());
        loop {
            let page = ben.post(&path, events(criteria.clone())).await.ok();
            let page = &page["search_categories"]["room_events"];
            assert_eq!(page["count"], 8);
            let groups = page["groups"]["room_id"].as_object().unwrap();
            let grouped: usize = groups.values().map(|group| group["results"].as_array().unwrap().len()).sum();
            assert_eq!(grouped, bodies(page).len());
            seen.extend(bodies(page).into_iter().map(str::to_owned));
            let Some(next) = page["next_batch"].as_str() else { break };
            let group = groups.iter().next().expect("a group");
            let more = format!("{SEARCH}?next_batch={}", encoded(group.1["next_batch"].as_str().unwrap()));
            let more = ben.post(&more, events(criteria.clone())).await.ok();
            for result in more["search_categories"]["room_events"]["results"].as_array().unwrap() {
                assert_eq!(result["result"]["room_id"], *group.0);
            }
            path = format!("{SEARCH}?next_batch={}", encoded(next));
        }
        seen.sort();
        assert_eq!(seen, (0..8).map(|turn| format!("apple {turn}")).collect::<Vec<_>>(), "each once, by {order_by}");
    }
    let in_one =
        ask(&ben, json!({ "search_term": "apple", "filter": { "rooms": [first], "senders": [anna.id] } })).await;
    assert_eq!(bodies(&in_one).len(), 4);
    let in_other = ask(&ben, json!({ "search_term": "apple", "filter": { "not_rooms": [first] } })).await;
    assert_eq!(bodies(&in_other).len(), 4);

    let context = json!({ "before_limit": 1, "after_limit": 2, "include_profile": true });
    let one = json!({ "search_term": "apple 1", "event_context": context, "include_state": true });
    let found = ask(&anna, one).await;
    let around = &found["results"][0]["context"];
    let said = |part: &str| -> Vec<&str> {
        let events = around[part].as_array().unwrap().iter();
        events.map(|event| event["content"]["body"].as_str().unwrap_or_default()).collect()
    };
    assert_eq!((said("events_before"), said("events_after")), (vec!["apple 0"], vec!["apple 2", "apple 3"]));
    assert!(around["profile_info"][&anna.id].is_object(), "{around}");
    assert!(around["start"].is_string() && around["end"].is_string());
    assert!(found["state"][&first].as_array().unwrap().iter().any(|event| event["type"] == "m.room.create"));
}

#[tokio::test]
async fn encrypted_rooms_are_not_indexed_and_the_index_can_be_made_anew() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let anna = campus.person("anna").await;
    let (open, closed) = (anna.creates_room().await, anna.creates_room().await);
    for room in [&open, &closed] {
        anna.says(room, "secret plan").await;
    }
    assert_eq!(finds(&anna, "plan").await.len(), 2);
    anna.sets(&closed, "m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })).await;
    anna.says(&closed, "plan in the clear").await;
    assert_eq!(finds(&anna, "plan").await.len(), 1);
    let search = campus.host("alpha.example").server.search();
    assert_eq!(search.rebuild().await.expect("the index is made"), 1);
    assert_eq!(finds(&anna, "plan").await, ["secret plan"]);
}

#[tokio::test]
async fn ignored_people_are_not_found_and_search_can_be_off() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let room = anna.creates_public_room().await;
    ben.joins(&room).await;
    ben.says(&room, "spam spam").await;
    assert_eq!(finds(&anna, "spam").await.len(), 1);
    let ignored = json!({ "ignored_users": { &ben.id: {} } });
    anna.put(&format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", anna.id), ignored).await.ok();
    assert!(finds(&anna, "spam").await.is_empty());

    let campus = Campus::with(["alpha.example"], "search.enabled = false").await;
    let anna = campus.person("anna").await;
    anna.post(SEARCH, events(json!({ "search_term": "a" }))).await.refused(404, "M_UNRECOGNIZED");
}

#[tokio::test]
async fn past_the_last_page_there_is_an_empty_one() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let anna = campus.person("anna").await;
    let room = anna.creates_room().await;
    for n in 0..4 {
        anna.says(&room, &format!("message {n}")).await;
    }
    let criteria = json!({ "search_term": "message", "order_by": "recent", "filter": { "limit": 2 } });
    let (mut path, mut pages) = (SEARCH.to_owned(), Vec::new());
    loop {
        let found = anna.post(&path, events(criteria.clone())).await.ok()["search_categories"]["room_events"].clone();
        assert_eq!(found["count"], 4);
        pages.push(found["results"].as_array().expect("there is a list, be it empty").len());
        let Some(next) = found["next_batch"].as_str() else { break };
        path = format!("{SEARCH}?next_batch={}", encoded(next));
    }
    assert_eq!(pages, [2, 2, 0]);
    let none = anna.post(SEARCH, events(json!({ "search_term": "absent" }))).await.ok();
    assert_eq!(none["search_categories"]["room_events"]["results"], json!([]));
    assert_eq!(anna.post(SEARCH, json!({ "search_categories": {} })).await.ok(), json!({ "search_categories": {} }));
}

#[tokio::test]
async fn what_was_said_before_this_server_came_is_found_once_it_was_fetched() {
    let campus = Campus::with(["alpha.example", "beta.example"], ON).await;
    let (ann, ben) = (campus.person_at("alpha.example", "ann").await, campus.person_at("beta.example", "ben").await);
    let room = ann.creates_public_room().await;
    for n in 0..30 {
        ann.says(&room, &format!("astrolabe number {n}")).await;
    }
    ben.post(&format!("/_matrix/client/v3/join/{}?server_name=alpha.example", encoded(&room)), json!({})).await.ok();
    assert!(finds(&ben, "astrolabe").await.is_empty(), "nobody has read so far back");
    let back = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", encoded(&room));
    ben.get(&back).await.ok();
    let found = ask(&ben, json!({ "search_term": "astrolabe" })).await;
    assert_eq!(found["count"], 30);
    assert_eq!(finds(&ben, "astrolabe 7").await, ["astrolabe number 7"]);
}

#[tokio::test]
async fn what_was_purged_is_neither_found_nor_counted() {
    let campus = Campus::with(["alpha.example"], ON).await;
    let anna = campus.host("alpha.example").admin("anna").await;
    let (room, other) = (anna.creates_room().await, anna.creates_room().await);
    let mut said = Vec::new();
    for n in 0..4 {
        said.push(anna.says(&room, &format!("compass {n}")).await);
        anna.says(&other, &format!("compass elsewhere {n}")).await;
    }
    anna.sets(&room, "m.room.topic", "", json!({ "topic": "compass" })).await;
    let counted = || async { ask(&anna, json!({ "search_term": "compass" })).await["count"].clone() };
    assert_eq!(counted().await, 9);
    let purge = format!("/_synapse/admin/v1/purge_history/{}/{}", encoded(&room), encoded(&said[2]));
    let begun = anna.post(&purge, json!({ "delete_local_events": true })).await.ok()["purge_id"].clone();
    let status = format!("/_synapse/admin/v1/purge_history_status/{}", begun.as_str().expect("an id"));
    while anna.get(&status).await.ok()["status"] == "active" {
        tokio::task::yield_now().await;
    }
    assert_eq!(counted().await, 7);
    assert_eq!(finds(&anna, "compass 0").await, ["compass elsewhere 0"]);
    assert_eq!(finds(&anna, "compass 2").await, ["compass elsewhere 2", "compass 2"]);
    let search = campus.host("alpha.example").server.search();
    assert_eq!(search.rebuild().await.expect("the index is made"), 7, "as if it had been made anew");
}
