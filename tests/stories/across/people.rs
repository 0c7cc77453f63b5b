//! People of another server: their profiles, keys, devices, files.

use serde_json::{Value, json};

use super::{ALPHA, BETA, Two, at};
use crate::support::encoded;

fn profile(user: &str) -> String {
    format!("/_matrix/client/v3/profile/{}", encoded(user))
}

#[tokio::test]
async fn profiles_are_asked_across() {
    let two = Two::meet().await;
    let set = async |field: &str, value: Value| {
        two.ann.put(&format!("{}/{field}", profile(&two.ann.id)), json!({ field: value })).await.ok();
    };
    set("displayname", json!("Ann")).await;
    set("m.tz", json!("Europe/Vienna")).await;
    let told = two.ben.get(&profile(&two.ann.id)).await.ok();
    assert_eq!((&told["displayname"], &told["m.tz"]), (&json!("Ann"), &json!("Europe/Vienna")));
    let field = |name: &str| format!("{}/{name}", profile(&two.ann.id));
    assert_eq!(two.ben.get(&field("displayname")).await.ok(), json!({ "displayname": "Ann" }));
    assert_eq!(two.ben.get(&field("avatar_url")).await.ok(), json!({}));
    two.ben.get(&field("org.example.none")).await.refused(404, "M_NOT_FOUND");
    two.ben.get(&profile("@nobody:alpha.example")).await.refused(404, "M_NOT_FOUND");

    set("displayname", json!("Anna")).await;
    two.campus.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(two.ben.get(&profile(&two.ann.id)).await.ok()["displayname"], "Anna");
    // What was known is better than nothing.
    two.campus.wires.cut(ALPHA, BETA);
    two.campus.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(two.ben.get(&profile(&two.ann.id)).await.ok()["displayname"], "Anna");
    two.ben.get(&profile("@cat:alpha.example")).await.refused(502, "M_UNKNOWN");
}

#[tokio::test]
async fn a_changed_name_reaches_the_rooms() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    two.ann.put(&format!("{}/displayname", profile(&two.ann.id)), json!({ "displayname": "Renamed" })).await.ok();
    two.campus.settle().await;
    let path = at(&room, &format!("state/m.room.member/{}", encoded(&two.ann.id)));
    assert_eq!(two.ben.get(&path).await.ok()["displayname"], "Renamed");
}

pub(super) fn device_keys(user: &str, device: &str) -> Value {
    json!({
        "user_id": user, "device_id": device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { (format!("curve25519:{device}")): "c", (format!("ed25519:{device}")): "e" },
        "signatures": { (user): { (format!("ed25519:{device}")): "s" } },
    })
}

#[tokio::test]
async fn keys_are_found_claimed_once_and_messages_reach_devices() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    let one_time = json!({ "signed_curve25519:AAAAAQ": { "key": "k", "signatures": {} } });
    let upload = json!({ "device_keys": device_keys(&ann.id, &ann.device), "one_time_keys": one_time });
    ann.post("/_matrix/client/v3/keys/upload", upload).await.ok();
    let query = json!({ "device_keys": { (&*ann.id): [] } });
    // Also of a stranger, with whom no room is shared; and then of somebody whose devices are kept.
    for shares in [false, true] {
        if shares {
            two.share(json!({})).await;
        }
        let found = ben.post("/_matrix/client/v3/keys/query", query.clone()).await.ok();
        assert_eq!(found["device_keys"][&ann.id][&ann.device]["keys"], device_keys(&ann.id, &ann.device)["keys"]);
        assert_eq!(found["failures"], json!({}));
    }
    let claim = json!({ "one_time_keys": { (&*ann.id): { (&*ann.device): "signed_curve25519" } } });
    let claimed = ben.post("/_matrix/client/v3/keys/claim", claim.clone()).await.ok();
    assert_eq!(claimed["one_time_keys"][&ann.id][&ann.device]["signed_curve25519:AAAAAQ"]["key"], "k");
    let again = ben.post("/_matrix/client/v3/keys/claim", claim.clone()).await.ok();
    assert!(again["one_time_keys"][&ann.id][&ann.device].as_object().is_none_or(serde_json::Map::is_empty), "{again}");

    let message = json!({ "messages": { (&*ann.id): { (&*ann.device): { "n": 1 } } } });
    ben.put("/_matrix/client/v3/sendToDevice/org.example.ping/1", message.clone()).await.ok();
    ben.put("/_matrix/client/v3/sendToDevice/org.example.ping/1", message).await.ok();
    two.campus.settle().await;
    let got = ann.syncs("timeout=0").await["to_device"]["events"].clone();
    assert_eq!(got, json!([{ "type": "org.example.ping", "sender": ben.id, "content": { "n": 1 } }]));

    // What canonical JSON has not is carried all the same, and holds up nothing that comes after it.
    let odd = json!({ "n": 1.5, "small": 1e-7, "big": 9_007_199_254_740_993_u64 });
    let message = json!({ "messages": { (&*ann.id): { (&*ann.device): odd } } });
    ben.put("/_matrix/client/v3/sendToDevice/org.example.ping/2", message).await.ok();
    two.campus.settle().await;
    let got = ann.syncs("timeout=0").await["to_device"]["events"][0]["content"].clone();
    assert_eq!(got, odd);

    two.campus.wires.cut(ALPHA, BETA);
    let failed = ben.post("/_matrix/client/v3/keys/claim", claim).await.ok();
    assert!(failed["failures"].get(ALPHA).is_some(), "{failed}");
}
