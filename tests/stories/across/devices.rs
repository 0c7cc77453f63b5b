//! Devices of people of another server: what changes of them is told, once, and asked for only where something was missed.

use serde_json::{Value, json};

use super::{ALPHA, BETA, LONG, Two, joins, people::device_keys, public};
use crate::support::Person;

const ASKED: &str = "/_matrix/federation/v1/user/devices";

async fn uploads_keys(person: &Person) {
    let upload = json!({ "device_keys": device_keys(&person.id, &person.device) });
    person.post("/_matrix/client/v3/keys/upload", upload).await.ok();
}

async fn names(person: &Person, name: &str) {
    let path = format!("/_matrix/client/v3/devices/{}", person.device);
    person.put(&path, json!({ "display_name": name })).await.ok();
}

async fn changed(person: &Person) -> Value {
    person.syncs("timeout=0").await["device_lists"]["changed"].clone()
}

/// All that `asker` finds of somebody's keys.
async fn finds(asker: &Person, whose: &Person) -> Value {
    asker.post("/_matrix/client/v3/keys/query", json!({ "device_keys": { (&*whose.id): [] } })).await.ok()
}

fn name_in(found: &Value, of: &Person) -> Value {
    found["device_keys"][&of.id][&of.device]["unsigned"]["device_display_name"].clone()
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
    let finds = async |device: &str| finds(ben, ann).await["device_keys"][&ann.id].get(device).is_some();
    assert!(finds(&ann.device).await && finds(&ann.device).await);
    assert_eq!(two.campus.wires.times_asked(ALPHA, ASKED), 1, "what is kept is not asked for again");

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

#[tokio::test]
async fn who_comes_in_is_told_of_once_and_later_changes_by_themselves() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    uploads_keys(ben).await;
    let room = public(ann, json!({})).await;
    ann.syncs("timeout=0").await;
    ben.syncs("timeout=0").await;
    joins(ben, &room, ALPHA).await;
    assert_eq!(changed(ann).await, json!([ben.id]), "he came in");
    two.campus.settle().await;
    assert_eq!(changed(ann).await, Value::Null, "what his server says of his devices thereupon is no news");
    changed(ben).await;

    let phone = ann.on_another_device().await;
    uploads_keys(&phone).await;
    two.campus.settle().await;
    assert_eq!(changed(ann).await, json!([ann.id]));
    assert_eq!(changed(ben).await, json!([ann.id]), "though nobody of beta has asked for hers yet");
}

#[tokio::test]
async fn changes_are_followed_one_by_one_and_the_list_is_asked_for_after_a_gap() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    uploads_keys(ann).await;
    two.share(json!({})).await;
    finds(ben, ann).await;
    let asked = || two.campus.wires.times_asked(ALPHA, ASKED);
    assert_eq!(asked(), 1);
    for name in ["Laptop", "Old laptop"] {
        changed(ben).await;
        names(ann, name).await;
        two.campus.settle().await;
        assert_eq!(changed(ben).await, json!([ann.id]));
        assert_eq!(name_in(&finds(ben, ann).await, ann), name);
        assert_eq!(asked(), 1, "each change followed the one before");
    }

    // Long out of reach: what was said meanwhile is told in one.
    two.campus.wires.cut(ALPHA, BETA);
    names(ann, "Laptop on paper").await;
    two.campus.clock.advance(LONG);
    names(ann, "Laptop in the cupboard").await;
    two.campus.wires.heal(ALPHA, BETA);
    two.campus.clock.advance(LONG);
    two.campus.settle().await;
    assert_eq!(changed(ben).await, json!([ann.id]));
    assert_eq!(name_in(&finds(ben, ann).await, ann), "Laptop in the cupboard");
    let after_the_gap = asked();
    names(ann, "Laptop").await;
    two.campus.settle().await;
    assert_eq!(name_in(&finds(ben, ann).await, ann), "Laptop");
    assert_eq!(asked(), after_the_gap, "the chain goes on");
}

#[tokio::test]
async fn several_devices_that_go_at_once_are_gone_across() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    let (phone, tablet) = (ann.on_another_device().await, ann.on_another_device().await);
    for one in [ann, &phone, &tablet] {
        uploads_keys(one).await;
    }
    two.share(json!({})).await;
    assert_eq!(finds(ben, ann).await["device_keys"][&ann.id].as_object().map(serde_json::Map::len), Some(3));
    changed(ben).await;
    let accounts = two.campus.host(ALPHA).server.accounts();
    let user = ruma::UserId::parse(&*ann.id).expect("a user id");
    let gone = [(&*phone.device).into(), (&*tablet.device).into()];
    accounts.remove_devices(&user, &gone).await.expect("they are removed");
    two.campus.settle().await;
    assert_eq!(changed(ben).await, json!([ann.id]));
    let left = finds(ben, ann).await["device_keys"][&ann.id].as_object().cloned().unwrap_or_default();
    assert_eq!(left.keys().collect::<Vec<_>>(), [&ann.device]);
}

#[tokio::test]
async fn new_signing_keys_are_told_without_being_asked_for() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    uploads_keys(ann).await;
    two.share(json!({})).await;
    finds(ben, ann).await;
    changed(ben).await;
    let master = json!({ "user_id": ann.id, "usage": ["master"], "keys": { "ed25519:MASTER": "MASTER" } });
    ann.post("/_matrix/client/v3/keys/device_signing/upload", json!({ "master_key": master })).await.ok();
    two.campus.settle().await;
    assert_eq!(changed(ben).await, json!([ann.id]));
    assert_eq!(finds(ben, ann).await["master_keys"][&ann.id]["keys"], master["keys"]);
    assert_eq!(two.campus.wires.times_asked(ALPHA, ASKED), 1);
    // The chain of changes of devices does not break by it.
    names(ann, "Laptop").await;
    two.campus.settle().await;
    assert_eq!(name_in(&finds(ben, ann).await, ann), "Laptop");
    assert_eq!(two.campus.wires.times_asked(ALPHA, ASKED), 1);
}
