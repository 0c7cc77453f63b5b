//! Looking for people.

use serde_json::json;

use crate::support::{Campus, Person};

const SEARCH: &str = "/_matrix/client/v3/user_directory/search";

async fn found(person: &Person, term: &str) -> Vec<String> {
    let answer = person.post(SEARCH, json!({ "search_term": term })).await.ok();
    let ids = answer["results"].as_array().expect("results").iter().map(|one| one["user_id"].as_str());
    ids.map(|id| id.expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn people_are_found_where_one_could_meet_them() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, otto) = (campus.person("anna").await, campus.person("otto").await);
    let (otis, ottilie) = (campus.person("otis").await, campus.person("ottilie").await);
    assert!(found(&anna, "ott").await.is_empty(), "nobody shares a room with her");
    let together = anna.creates_room().await;
    anna.invites(&together, &otto).await;
    assert!(found(&anna, "ott").await.is_empty(), "he has not come in");
    otto.joins(&together).await;
    assert_eq!(found(&anna, "ott").await, std::slice::from_ref(&otto.id));
    let open = ottilie.creates_public_room().await;
    assert_eq!(found(&anna, "OTT").await, [ottilie.id.clone(), otto.id.clone()]);
    ottilie.leaves(&open).await;
    otis.creates_room().await;
    assert_eq!(found(&anna, "ot").await, std::slice::from_ref(&otto.id));
    assert!(found(&otis, "anna").await.is_empty());

    assert!(found(&anna, "anna").await.is_empty(), "who is in no public room does not find even themselves");
    let also = anna.creates_public_room().await;
    assert_eq!(found(&anna, "anna").await, std::slice::from_ref(&anna.id));
    otis.joins(&also).await;
    let limited = anna.post(SEARCH, json!({ "search_term": "a", "limit": 1 })).await.ok();
    assert_eq!((limited["results"].as_array().unwrap().len(), &limited["limited"]), (1, &json!(true)));
    anna.post(SEARCH, json!({})).await.refused(400, "M_MISSING_PARAM");
    let stranger = campus.host("alpha.example").stranger();
    stranger.post(SEARCH, json!({ "search_term": "a" })).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_campus_may_let_everybody_be_found() {
    let campus = Campus::with(["alpha.example"], "user_directory.everybody = true").await;
    let (anna, otto) = (campus.person("anna").await, campus.person("otto").await);
    assert_eq!(found(&anna, "otto").await, [otto.id]);
}
