//! People of another server: their profiles, keys, devices, files.

use serde_json::{Value, json};

use super::{ALPHA, BETA, Two, at, joins, public};
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

fn device_keys(user: &str, device: &str) -> Value {
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

    two.campus.wires.cut(ALPHA, BETA);
    let failed = ben.post("/_matrix/client/v3/keys/claim", claim).await.ok();
    assert!(failed["failures"].get(ALPHA).is_some(), "{failed}");
}

#[tokio::test]
async fn a_change_of_devices_is_heard_of_across() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    let upload = json!({ "device_keys": device_keys(&ann.id, &ann.device) });
    ann.post("/_matrix/client/v3/keys/upload", upload).await.ok();
    two.share(json!({})).await;
    let query = json!({ "device_keys": { (&*ann.id): [] } });
    let devices = async || {
        let found = ben.post("/_matrix/client/v3/keys/query", query.clone()).await.ok();
        let mut devices: Vec<_> =
            found["device_keys"][&ann.id].as_object().cloned().unwrap_or_default().into_iter().collect();
        devices.sort_by(|one, other| one.0.cmp(&other.0));
        devices.into_iter().map(|(device, _)| device).collect::<Vec<_>>()
    };
    assert_eq!(devices().await, std::slice::from_ref(&ann.device));
    ben.syncs("timeout=0").await;

    let phone = ann.on_another_device().await;
    phone
        .post("/_matrix/client/v3/keys/upload", json!({ "device_keys": device_keys(&ann.id, &phone.device) }))
        .await
        .ok();
    two.campus.settle().await;
    let changed = ben.syncs("timeout=0").await["device_lists"]["changed"].clone();
    assert_eq!(changed, json!([ann.id]));
    let mut both = vec![ann.device.clone(), phone.device.clone()];
    both.sort();
    assert_eq!(devices().await, both);

    phone.post("/_matrix/client/v3/logout", json!({})).await.ok();
    two.campus.settle().await;
    assert_eq!(ben.syncs("timeout=0").await["device_lists"]["changed"], json!([ann.id]));
    assert_eq!(devices().await, std::slice::from_ref(&ann.device));
}

#[tokio::test]
async fn devices_are_asked_for_again_after_a_time_apart() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    let upload = |device: &str| json!({ "device_keys": device_keys(&ann.id, device) });
    ann.post("/_matrix/client/v3/keys/upload", upload(&ann.device)).await.ok();
    let room = two.share(json!({})).await;
    let asked = "/_matrix/federation/v1/user/devices";
    let finds = async |device: &str| {
        let query = json!({ "device_keys": { (&*ann.id): [] } });
        let found = ben.post("/_matrix/client/v3/keys/query", query).await.ok();
        found["device_keys"][&ann.id].get(device).is_some()
    };
    assert!(finds(&ann.device).await && finds(&ann.device).await);
    assert_eq!(two.campus.wires.times_asked(ALPHA, asked), 1, "what is kept is not asked for again");

    // Nobody of beta is told of the device that Ann signs in on meanwhile.
    ben.leaves(&room).await;
    two.campus.settle().await;
    let phone = ann.on_another_device().await;
    phone.post("/_matrix/client/v3/keys/upload", upload(&phone.device)).await.ok();
    two.campus.settle().await;
    joins(ben, &room, ALPHA).await;
    two.campus.settle().await;
    assert!(finds(&phone.device).await, "the list from before is not relied on");
}

#[tokio::test]
async fn who_comes_into_a_room_of_another_server_hears_whose_devices_to_ask_for() {
    let two = Two::meet().await;
    let upload = json!({ "device_keys": device_keys(&two.ben.id, &two.ben.device) });
    two.ben.post("/_matrix/client/v3/keys/upload", upload).await.ok();
    let room = public(&two.ann, json!({})).await;
    two.ann.syncs("timeout=0").await;
    two.ben.syncs("timeout=0").await;
    joins(&two.ben, &room, ALPHA).await;
    two.campus.settle().await;
    let (ann, ben) = (two.ann.syncs("timeout=0").await, two.ben.syncs("timeout=0").await);
    assert_eq!(ann["device_lists"]["changed"], json!([two.ben.id]));
    // His own as well: his other devices check what is now seen of them.
    assert_eq!(ben["device_lists"]["changed"], json!([two.ann.id, two.ben.id]));
}
