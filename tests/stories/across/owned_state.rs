//! Rooms in which state belongs to whose id its key begins with (MSC3757), across servers.

use serde_json::{Value, json};

use super::{ALPHA, BETA, LONG, Two, at};
use crate::support::{Person, encoded};

const VERSIONS: [&str; 2] = ["org.matrix.msc3757.10", "org.matrix.msc3757.11"];

fn beacon(room: &str, state_key: &str) -> String {
    at(room, &format!("state/beacon/{}", encoded(state_key)))
}

/// A room in which everybody may set a beacon.
fn with_beacons(version: &str, users: Value) -> Value {
    json!({ "room_version": version, "power_level_content_override": { "events": { "beacon": 0 }, "users": users } })
}

async fn upgraded(person: &Person, room: &str, version: &str) -> String {
    let answer = person.post(&at(room, "upgrade"), json!({ "new_version": version })).await.ok();
    answer["replacement_room"].as_str().expect("a new room").to_owned()
}

#[tokio::test]
async fn state_belongs_to_whom_its_key_names_and_yields_to_power() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    let told = ann.get("/_matrix/client/v3/capabilities").await.ok()["capabilities"]["m.room_versions"].take();
    assert_eq!(told["available"]["11"], "stable");
    for version in VERSIONS {
        assert_eq!(told["available"][version], "unstable");
        let room = two.share(with_beacons(version, json!({ &ann.id: 100 }))).await;
        let (anns, bens) = (format!("{}_phone", ann.id), format!("{}_phone", ben.id));
        ben.put(&beacon(&room, &bens), json!({ "at": "home" })).await.ok();
        ben.put(&beacon(&room, &anns), json!({})).await.refused(403, "M_FORBIDDEN");
        for malformed in ["@oops", &format!("{}@phone", ben.id)] {
            ben.put(&beacon(&room, malformed), json!({})).await.refused(400, "M_BAD_JSON");
        }
        two.campus.settle().await;
        assert_eq!(ann.get(&beacon(&room, &bens)).await.ok(), json!({ "at": "home" }));
        ann.put(&beacon(&room, &bens), json!({})).await.ok();
        two.campus.settle().await;
        assert_eq!(ben.get(&beacon(&room, &bens)).await.ok(), json!({}));
        let long = format!("{}_{}", ben.id, "x".repeat(255));
        ben.put(&beacon(&room, &long), json!({ "at": "the end" })).await.ok();
        ben.put(&beacon(&room, &format!("{long}x")), json!({})).await.refused(400, "M_BAD_JSON");
        two.agree(&room).await;

        let older = ann.creates_room_with(json!({ "room_version": "10" })).await;
        ann.put(&beacon(&older, &anns), json!({})).await.refused(403, "M_FORBIDDEN");
        let newer = upgraded(ann, &older, version).await;
        ann.put(&beacon(&newer, &anns), json!({})).await.ok();
    }
}

#[tokio::test]
async fn who_lost_their_power_meanwhile_has_set_nothing_of_others() {
    let two = Two::meet().await;
    let (ann, ben) = (&two.ann, &two.ben);
    let dan = two.campus.person_at(ALPHA, "dan").await;
    for version in VERSIONS {
        let room = two.share(with_beacons(version, json!({ &ann.id: 100, &ben.id: 60, &dan.id: 50 }))).await;
        dan.joins(&room).await;
        let key = format!("{}_phone", dan.id);
        dan.put(&beacon(&room, &key), json!({ "by": "dan" })).await.ok();
        two.campus.settle().await;
        ben.put(&beacon(&room, &key), json!({ "by": "ben" })).await.ok();
        dan.put(&beacon(&room, &key), json!({ "by": "dan again" })).await.ok();
        two.campus.settle().await;

        two.campus.wires.cut(ALPHA, BETA);
        let mut levels = ann.get(&at(&room, "state/m.room.power_levels")).await.ok();
        levels["users"][&ben.id] = 50.into();
        ann.sets(&room, "m.room.power_levels", "", levels).await;
        ben.put(&beacon(&room, &key), json!({ "by": "ben, who may no longer" })).await.ok();
        two.campus.wires.heal(ALPHA, BETA);
        two.campus.clock.advance(LONG);
        ann.says(&room, "anybody there?").await;
        ben.sees(&room, "anybody there?").await;
        ben.says(&room, "yes").await;
        ann.sees(&room, "yes").await;
        two.agree(&room).await;
        assert_eq!(ben.get(&beacon(&room, &key)).await.ok(), json!({ "by": "dan again" }), "{version}");
    }
}
