//! What people show of themselves.

use serde_json::json;

use crate::support::Campus;

#[tokio::test]
async fn a_profile_has_a_name_a_picture_and_free_fields() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let stranger = campus.host("alpha.example").stranger();
    let path = |field: &str| format!("/_matrix/client/v3/profile/{}/{field}", anna.id);
    anna.put(&path("displayname"), json!({ "displayname": "Anna" })).await.ok();
    anna.put(&path("avatar_url"), json!({ "avatar_url": "mxc://alpha.example/abc" })).await.ok();
    anna.put(&path("m.tz"), json!({ "m.tz": "Europe/Vienna" })).await.ok();
    let unstable = format!("/_matrix/client/unstable/uk.tcpip.msc4133/profile/{}/org.pronouns", anna.id);
    anna.put(&unstable, json!({ "org.pronouns": ["she"] })).await.ok();

    let all = stranger.get(&format!("/_matrix/client/v3/profile/{}", anna.id)).await.ok();
    let expected = json!({
        "displayname": "Anna", "avatar_url": "mxc://alpha.example/abc", "m.tz": "Europe/Vienna", "org.pronouns": ["she"],
    });
    assert_eq!(all, expected);
    assert_eq!(ben.get(&path("displayname")).await.ok(), json!({ "displayname": "Anna" }));
    assert_eq!(ben.get(&unstable).await.ok(), json!({ "org.pronouns": ["she"] }));

    ben.put(&path("displayname"), json!({ "displayname": "Mine" })).await.refused_as("setProfileField 403 M_FORBIDDEN");
    anna.put(&path("displayname"), json!({})).await.refused_as("setProfileField 400 M_MISSING_PARAM");
    anna.put(&path("displayname"), json!({ "displayname": 5 })).await.refused_as("setProfileField 400 M_INVALID_PARAM");
    anna.put(&path("Bad"), json!({ "Bad": 5 })).await.refused(400, "M_INVALID_PARAM");
    let long = "a".repeat(256);
    anna.put(&path(&long), json!({ &long: 5 })).await.refused_as("setProfileField 400 M_KEY_TOO_LARGE");
    let large = json!({ "org.large": "x".repeat(65 * 1024) });
    anna.put(&path("org.large"), large).await.refused_as("setProfileField 400 M_PROFILE_TOO_LARGE");
    stranger.put(&path("displayname"), json!({ "displayname": "x" })).await.refused(401, "M_MISSING_TOKEN");

    anna.delete(&path("org.pronouns")).await.ok();
    ben.get(&unstable).await.refused(404, "M_NOT_FOUND");
    ben.get("/_matrix/client/v3/profile/@nobody:alpha.example").await.refused(404, "M_NOT_FOUND");
    ben.get("/_matrix/client/v3/profile/nonsense").await.refused(400, "M_INVALID_PARAM");
}
