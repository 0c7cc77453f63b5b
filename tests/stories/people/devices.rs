//! Devices: seeing, naming and removing one's own.

use serde_json::json;

use crate::support::{Campus, campus::PASSWORD};

const DEVICES: &str = "/_matrix/client/v3/devices";

#[tokio::test]
async fn a_person_sees_names_and_removes_their_devices() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let (second, third) = (anna.on_another_device().await, anna.on_another_device().await);
    let list = anna.get(DEVICES).await.ok();
    assert_eq!(list["devices"].as_array().map(Vec::len), Some(3));

    let one = format!("{DEVICES}/{}", second.device);
    anna.put(&one, json!({ "display_name": "Tablet" })).await.ok();
    assert_eq!(anna.get(&one).await.ok()["display_name"], "Tablet");
    anna.put(&format!("{DEVICES}/UNKNOWN"), json!({ "display_name": "x" })).await.refused_as("updateDevice 404 *");
    anna.get(&format!("{DEVICES}/UNKNOWN")).await.refused_as("getDevice 404 *");
    ben.get(&one).await.refused(404, "M_NOT_FOUND");
    let long = json!({ "display_name": "x".repeat(2000) });
    anna.put(&one, long).await.refused(400, "M_INVALID_PARAM");

    let asked = anna.ask(http::Method::DELETE, &one, Some(json!({}))).await;
    let asked = asked.refused_as("deleteDevice 401 *");
    let somebody_else = json!({ "auth": {
        "type": "m.login.password", "session": asked["session"], "password": PASSWORD,
        "identifier": { "type": "m.id.user", "user": ben.id },
    } });
    anna.ask(http::Method::DELETE, &one, Some(somebody_else)).await.refused(403, "M_FORBIDDEN");
    let auth = json!({
        "type": "m.login.password", "session": asked["session"], "password": PASSWORD,
        "identifier": { "type": "m.id.user", "user": anna.id },
    });
    anna.ask(http::Method::DELETE, &one, Some(json!({ "auth": auth }))).await.ok();
    second.get(DEVICES).await.refused(401, "M_UNKNOWN_TOKEN");

    let many = json!({ "devices": [third.device, "UNKNOWN"] });
    let asked = anna.post("/_matrix/client/v3/delete_devices", many.clone()).await;
    let asked = asked.refused_as("deleteDevices 401 *");
    let mut confirmed = many;
    confirmed["auth"] = json!({ "type": "m.login.password", "password": PASSWORD, "session": asked["session"] });
    anna.post("/_matrix/client/v3/delete_devices", confirmed).await.ok();
    third.get(DEVICES).await.refused(401, "M_UNKNOWN_TOKEN");
    anna.post("/_matrix/client/v3/delete_devices", json!({})).await.refused(400, "M_MISSING_PARAM");
    let stranger = campus.host("alpha.example").stranger();
    stranger.get(DEVICES).await.refused(401, "M_MISSING_TOKEN");
    stranger.post("/_matrix/client/v3/delete_devices", json!({ "devices": [] })).await.refused(401, "M_MISSING_TOKEN");
}
