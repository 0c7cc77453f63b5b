//! Acting for others, and with tokens that are no longer any good.

use serde_json::json;
use std::time::Duration;

use super::two;
use crate::support::{campus::PASSWORD, encoded};

#[tokio::test]
async fn what_is_somebody_elses_stays_theirs() {
    let (_campus, ann, ben) = two().await;
    let room = ann.creates_room().await;
    let own = format!("/_matrix/client/v3/user/{}", ann.id);
    ann.put(&format!("{own}/account_data/org.example"), json!({ "a": 1 })).await.ok();
    let filter = ann.post(&format!("{own}/filter"), json!({})).await.ok()["filter_id"].clone();
    let filter = filter.as_str().expect("an id");
    let in_room = format!("{own}/rooms/{}", encoded(&room));
    for path in [
        format!("{own}/account_data/org.example"),
        format!("{in_room}/account_data/org.example"),
        format!("{in_room}/tags"),
        format!("{own}/filter/{filter}"),
    ] {
        ben.get(&path).await.refused(403, "M_FORBIDDEN");
    }
    for path in [
        format!("{own}/account_data/org.example"),
        format!("{in_room}/account_data/org.example"),
        format!("{in_room}/tags/u.mine"),
        format!("/_matrix/client/v3/presence/{}/status", ann.id),
        format!("/_matrix/client/v3/profile/{}/displayname", ann.id),
    ] {
        let body = json!({ "presence": "offline", "displayname": "Ben" });
        ben.put(&path, body).await.refused(403, "M_FORBIDDEN");
    }
    ben.delete(&format!("{in_room}/tags/u.mine")).await.refused(403, "M_FORBIDDEN");
    ben.delete(&format!("/_matrix/client/v3/profile/{}/displayname", ann.id))
        .await
        .refused_as("deleteProfileField 403 M_FORBIDDEN");
    ben.post(&format!("{own}/filter"), json!({})).await.refused(403, "M_FORBIDDEN");
    ben.post(&format!("{own}/openid/request_token"), json!({})).await.refused(403, "M_FORBIDDEN");
    let device = format!("/_matrix/client/v3/devices/{}", ann.device);
    ben.get(&device).await.refused(404, "M_NOT_FOUND");
    ben.put(&device, json!({ "display_name": "Ben's" })).await.refused(404, "M_NOT_FOUND");
    let typing = format!("/_matrix/client/v3/rooms/{}/typing/{}", encoded(&room), ann.id);
    ben.put(&typing, json!({ "typing": true })).await.refused(403, "M_FORBIDDEN");
    let kept = ann.get(&format!("{own}/account_data/org.example")).await.ok();
    assert_eq!(kept, json!({ "a": 1 }));
    assert_ne!(ann.get(&device).await.ok()["display_name"], "Ben's");
}

#[tokio::test]
async fn a_token_that_ran_out_ends_softly_and_one_logged_out_for_good() {
    let (campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    let login = json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": ann.id }, "password": PASSWORD,
        "refresh_token": true,
    });
    let session = ann.post("/_matrix/client/v3/login", login).await.ok();
    let short = ann.with_token(&session["access_token"]);
    let other = ann.on_another_device().await;
    campus.clock.advance(Duration::from_millis(session["expires_in_ms"].as_u64().expect("an expiry")));
    other.post("/_matrix/client/v3/logout", json!({})).await.ok();
    for (person, soft) in [(&short, true), (&other, false)] {
        let send = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", encoded(&room));
        let answers = [
            person.get("/_matrix/client/v3/sync").await,
            person.put(&send, json!({ "body": "late" })).await,
            person.post("/_matrix/client/v3/createRoom", json!({})).await,
        ];
        for answer in answers {
            assert_eq!(answer.refused(401, "M_UNKNOWN_TOKEN")["soft_logout"], soft);
        }
    }
    ann.does_not_see(&room, "late").await;
}
