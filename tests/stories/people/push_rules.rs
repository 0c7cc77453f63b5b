//! What people want to be told of.

use serde_json::{Value, json};

use crate::support::Campus;

const RULES: &str = "/_matrix/client/v3/pushrules";

#[tokio::test]
async fn everybody_has_the_default_rules_and_changes_their_own() {
    let campus = Campus::of(["alpha.example"]).await;
    let anna = campus.person("anna").await;
    let all = anna.get(&format!("{RULES}/")).await.ok();
    let ids = |kind: &str, all: &Value| {
        let rules = all["global"][kind].as_array().cloned().unwrap_or_default();
        rules.iter().map(|rule| rule["rule_id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("override", &all)[0], ".m.rule.master");
    assert!(ids("underride", &all).contains(&".m.rule.message".to_owned()));
    assert!(all["global"]["room"].is_array() && all["global"]["sender"].is_array());
    assert_eq!(anna.get(&format!("{RULES}/global/")).await.ok(), all["global"]);

    let content = |id: &str| format!("{RULES}/global/content/{id}");
    anna.put(&content("first"), json!({ "pattern": "first", "actions": ["notify"] })).await.ok();
    anna.put(&format!("{}?after=first", content("second")), json!({ "pattern": "second", "actions": [] })).await.ok();
    let all = anna.get(&format!("{RULES}/")).await.ok();
    assert_eq!(ids("content", &all)[..2], ["first", "second"]);
    assert_eq!(anna.get(&content("first")).await.ok()["pattern"], "first");

    anna.put(&format!("{}/enabled", content("first")), json!({ "enabled": false })).await.ok();
    assert_eq!(anna.get(&format!("{}/enabled", content("first"))).await.ok(), json!({ "enabled": false }));
    let actions = json!({ "actions": ["notify", { "set_tweak": "highlight" }] });
    anna.put(&format!("{}/actions", content("first")), actions.clone()).await.ok();
    assert_eq!(anna.get(&format!("{}/actions", content("first"))).await.ok(), actions);
    let poll = anna.get(&format!("{RULES}/global/underride/.org.matrix.msc3930.rule.poll_start")).await.ok();
    let pattern = json!([{ "kind": "event_match", "key": "type", "pattern": "org.matrix.msc3381.poll.start" }]);
    assert_eq!(poll["conditions"], pattern, "clients look for the rules in the proposal's form");
    anna.put(&format!("{RULES}/global/override/.m.rule.master/enabled"), json!({ "enabled": true })).await.ok();
    anna.delete(&content("first")).await.ok();
    anna.get(&content("first")).await.refused_as("getPushRule 404 M_NOT_FOUND");
    let shown = anna.get(&format!("/_matrix/client/v3/user/{}/account_data/m.push_rules", anna.id)).await.ok();
    assert_eq!(shown["global"]["override"][0]["enabled"], true);
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, stranger) = (campus.person("anna").await, campus.host("alpha.example").stranger());
    let path = |rest: &str| format!("{RULES}/global/{rest}");
    let rule = json!({ "pattern": "x", "actions": ["notify"] });
    anna.put(&path("content/.dotted"), rule.clone()).await.refused(400, "M_INVALID_PARAM");
    anna.put(&path("content/a%5Cb"), rule.clone()).await.refused(400, "M_INVALID_PARAM");
    anna.put(&path("content/a?before=none"), rule.clone()).await.refused_as("setPushRule 400 M_UNKNOWN");
    anna.put(&path("content/a?after=a"), rule.clone()).await.refused(400, "M_UNKNOWN");
    anna.put(&path("content/a"), json!({ "actions": ["notify"] })).await.refused(400, "M_BAD_JSON");
    anna.put(&path("room/nonsense"), json!({ "actions": [] })).await.refused(400, "M_INVALID_PARAM");
    anna.get(&path("nonsense/a")).await.refused(404, "M_NOT_FOUND");
    for (rest, refusal) in [
        ("content/none", "getPushRule 404 M_NOT_FOUND"),
        ("content/none/enabled", "isPushRuleEnabled 404 M_NOT_FOUND"),
        ("content/none/actions", "getPushRuleActions 404 M_NOT_FOUND"),
    ] {
        anna.get(&path(rest)).await.refused_as(refusal);
    }
    anna.put(&path("content/none/enabled"), json!({ "enabled": true }))
        .await
        .refused_as("setPushRuleEnabled 404 M_NOT_FOUND");
    anna.put(&path("content/none/actions"), json!({ "actions": [] }))
        .await
        .refused_as("setPushRuleActions 404 M_NOT_FOUND");
    anna.put(&path("content/none/actions"), json!({})).await.refused(400, "M_MISSING_PARAM");
    anna.delete(&path("content/none")).await.refused_as("deletePushRule 404 M_NOT_FOUND");
    anna.delete(&path("override/.m.rule.master")).await.refused(400, "M_INVALID_PARAM");
    anna.get(&format!("{RULES}/other/")).await.refused(404, "M_UNRECOGNIZED");
    for rest in ["", "global/", "global/content/a"] {
        stranger.get(&format!("{RULES}/{rest}")).await.refused(401, "M_MISSING_TOKEN");
    }
    stranger.put(&path("content/a"), rule).await.refused(401, "M_MISSING_TOKEN");
    stranger.delete(&path("content/a")).await.refused(401, "M_MISSING_TOKEN");
}
