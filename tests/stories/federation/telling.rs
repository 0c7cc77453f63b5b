//! What servers tell beside events: believed of the teller's own people only.

use serde_json::{Value, json};
use std::time::Duration;

use crate::support::peer::Shared;

fn unit(kind: &str, content: Value) -> Value {
    json!({ "edu_type": kind, "content": content })
}

/// The ephemeral events of a room in a sync.
fn ephemeral(sync: &Value, room: &str, kind: &str) -> Value {
    let events = sync["rooms"]["join"][room]["ephemeral"]["events"].as_array().cloned().unwrap_or_default();
    events.into_iter().find(|event| event["type"] == kind).map_or(Value::Null, |event| event["content"].clone())
}

#[tokio::test]
async fn who_types_is_shown_and_only_by_their_own_server() {
    let shared = Shared::begin().await;
    let (alpha, beta, gamma) = (shared.alpha(), shared.beta(), shared.gamma());
    let Shared { ann, ben, room, .. } = &shared;
    ann.syncs("timeout=0").await;
    let typing =
        |user: &str, typing: bool| unit("m.typing", json!({ "room_id": room, "user_id": user, "typing": typing }));
    // Not ann by beta, nor ben by gamma, nor somebody who is not in the room.
    beta.tells(alpha, "1", &[typing(&ann.id, true), typing("@eve:beta.example", true)]).await.ok();
    gamma.tells(alpha, "1", &[typing(&ben.id, true)]).await.ok();
    assert_eq!(ephemeral(&ann.syncs("timeout=0").await, room, "m.typing"), Value::Null);
    beta.tells(alpha, "2", &[typing(&ben.id, true)]).await.ok();
    assert_eq!(ephemeral(&ann.syncs("timeout=0").await, room, "m.typing"), json!({ "user_ids": [ben.id] }));
    beta.tells(alpha, "3", &[typing(&ben.id, false)]).await.ok();
    assert_eq!(ephemeral(&ann.syncs("timeout=0").await, room, "m.typing"), json!({ "user_ids": [] }));
    // Whom the room keeps out is not heard.
    ann.sets(room, "m.room.server_acl", "", json!({ "allow": ["*"], "deny": ["beta.example"] })).await;
    ann.syncs("timeout=0").await;
    beta.tells(alpha, "4", &[typing(&ben.id, true)]).await.ok();
    assert_eq!(ephemeral(&ann.syncs("timeout=0").await, room, "m.typing"), Value::Null);
}

#[tokio::test]
async fn who_read_how_far_is_shown_by_thread() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let Shared { ann, ben, room, .. } = &shared;
    let (root, later) = (ann.says(room, "root").await, ann.says(room, "later").await);
    let reply =
        json!({ "body": "reply", "msgtype": "m.text", "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
    let reply = ann.sends(room, "m.room.message", reply).await;
    ann.syncs("timeout=0").await;
    let read = |user: &str, event: &str, data: Value| {
        unit("m.receipt", json!({ room: { "m.read": { user: { "event_ids": [event], "data": data } } } }))
    };
    beta.tells(alpha, "1", &[read(&ann.id, &later, json!({ "ts": 5 }))]).await.ok();
    assert_eq!(ephemeral(&ann.syncs("timeout=0").await, room, "m.receipt"), Value::Null, "ann is not beta's");
    let told =
        [read(&ben.id, &later, json!({ "ts": 5 })), read(&ben.id, &reply, json!({ "ts": 6, "thread_id": root }))];
    beta.tells(alpha, "2", &told).await.ok();
    let receipts = ephemeral(&ann.syncs("timeout=0").await, room, "m.receipt");
    assert_eq!(receipts[&later]["m.read"][&ben.id], json!({ "ts": 5 }));
    assert_eq!(receipts[&reply]["m.read"][&ben.id], json!({ "ts": 6, "thread_id": root }));
    // To some servers no thread is `null`.
    let last = ann.says(room, "last").await;
    let nothing = json!({ "ts": 8, "thread_id": null });
    ann.syncs("timeout=0").await;
    beta.tells(alpha, "null", &[read(&ben.id, &last, nothing)]).await.ok();
    let receipts = ephemeral(&ann.syncs("timeout=0").await, room, "m.receipt");
    assert_eq!(receipts[&last]["m.read"][&ben.id], json!({ "ts": 8 }));
    // Back it does not go.
    beta.tells(alpha, "3", &[read(&ben.id, &root, json!({ "ts": 7 }))]).await.ok();
    assert_eq!(ephemeral(&ann.syncs("timeout=0").await, room, "m.receipt"), Value::Null);
}

#[tokio::test]
async fn who_read_what_is_not_here_is_shown_all_the_same() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let Shared { ann, ben, room, .. } = &shared;
    ann.syncs("timeout=0").await;
    let read = |user: &str, event: &str| json!({ user: { "event_ids": [event], "data": { "ts": 5 } } });
    // One that is wrong says nothing of the others: of nobody, of no room, of another's people.
    let units = [
        unit(
            "m.receipt",
            json!({ "no room": { "m.read": read(&ben.id, "$x") }, room: { "m.read": read(&ben.id, "$on-its-way") } }),
        ),
        unit("m.receipt", json!({ room: { "m.read": read(&ann.id, "$forged") } })),
        unit(
            "m.receipt",
            json!({ room: { "m.read": { "nobody": {}, "@eve:beta.example": { "event_ids": ["$y"] } } } }),
        ),
    ];
    beta.tells(alpha, "1", &units).await.ok();
    let receipts = ephemeral(&ann.syncs("timeout=0").await, room, "m.receipt");
    assert_eq!(receipts, json!({ "$on-its-way": { "m.read": { &ben.id: { "ts": 5 } } } }));
    // What no server calls an event is told apart from the others.
    let here = ann.says(room, "here").await;
    beta.tells(alpha, "2", &[unit("m.receipt", json!({ room: { "m.read": read(&ben.id, &here) } }))]).await.ok();
    beta.tells(alpha, "3", &[unit("m.receipt", json!({ room: { "m.read": read(&ben.id, "odd") } }))]).await.ok();
    assert_eq!(
        ephemeral(&ann.syncs("timeout=0").await, room, "m.receipt"),
        json!({ "odd": { "m.read": { &ben.id: { "ts": 5 } } } })
    );
    // And it gives way to anything that is here.
    beta.tells(alpha, "4", &[unit("m.receipt", json!({ room: { "m.read": read(&ben.id, &here) } }))]).await.ok();
    assert_eq!(
        ephemeral(&ann.syncs("timeout=0").await, room, "m.receipt"),
        json!({ here: { "m.read": { &ben.id: { "ts": 5 } } } })
    );
}

#[tokio::test]
async fn how_people_are_there_is_shown_to_those_who_share_a_room() {
    let shared = Shared::begin().await;
    let (alpha, beta, gamma) = (shared.alpha(), shared.beta(), shared.gamma());
    let Shared { ann, ben, .. } = &shared;
    let presence = |user: &str, message: &str| {
        let push = json!({ "user_id": user, "presence": "online", "last_active_ago": 0, "status_msg": message });
        unit("m.presence", json!({ "push": [push] }))
    };
    gamma.tells(alpha, "1", &[presence(&ben.id, "forged"), presence("@eve:gamma.example", "who?")]).await.ok();
    beta.tells(alpha, "1", &[presence(&ben.id, &"x".repeat(10_000))]).await.ok();
    let path = format!("/_matrix/client/v3/presence/{}/status", ben.id);
    let before = ann.get(&path).await;
    assert_ne!(before.json["presence"], "online", "nobody has told of ben: {before:?}");
    beta.tells(alpha, "2", &[presence(&ben.id, "at work")]).await.ok();
    let after = ann.get(&path).await.ok();
    assert_eq!((&after["presence"], &after["status_msg"]), (&json!("online"), &json!("at work")));
    let eve = user("@eve:gamma.example");
    assert_eq!(alpha.server.accounts().presence().of(&eve).state.as_str(), "offline", "nobody here knows eve");
}

#[tokio::test]
async fn each_person_of_a_unit_is_heard_and_believed_until_half_an_hour_of_silence() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let Shared { ann, ben, room, .. } = &shared;
    let eve = shared.campus.person_at("beta.example", "eve").await;
    eve.joins(room).await;
    shared.campus.settle().await;
    let status = async |who: &str| ann.get(&format!("/_matrix/client/v3/presence/{who}/status")).await.ok();
    // Some leave out when somebody was active, or say nonsense of it; some speak of people who are none.
    let push = json!([
        { "user_id": "nobody", "presence": "online" },
        { "user_id": ben.id, "presence": "online", "currently_active": true },
        { "user_id": eve.id, "presence": "unavailable", "last_active_ago": -5, "status_msg": null },
    ]);
    beta.tells(alpha, "1", &[unit("m.presence", json!({ "push": push }))]).await.ok();
    let now = status(&ben.id).await;
    assert_eq!((&now["presence"], &now["currently_active"]), (&json!("online"), &json!(true)));
    assert_eq!(status(&eve.id).await["presence"], "unavailable");
    for (minutes, expected) in [(29, "online"), (1, "offline")] {
        shared.campus.clock.advance(Duration::from_secs(minutes * 60));
        alpha.server.accounts().presence().settle();
        assert_eq!(status(&ben.id).await["presence"], expected, "{minutes} minutes later");
    }
}

fn user(id: &str) -> ruma::OwnedUserId {
    id.try_into().expect("a user id")
}

#[tokio::test]
async fn a_message_to_a_device_arrives_once() {
    let shared = Shared::begin().await;
    let (alpha, beta, gamma) = (shared.alpha(), shared.beta(), shared.gamma());
    let Shared { ann, ben, .. } = &shared;
    ann.syncs("timeout=0").await;
    let message = |sender: &str, id: &str, text: &str| {
        let messages = json!({ &ann.id: { "*": { "text": text } }, "@somebody:gamma.example": { "X": {} } });
        unit(
            "m.direct_to_device",
            json!({ "sender": sender, "type": "m.test", "message_id": id, "messages": messages }),
        )
    };
    let texts = |sync: &Value| -> Vec<String> {
        let events = sync["to_device"]["events"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["content"]["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    beta.tells(alpha, "1", &[message(&ben.id, "m1", "one"), message(&ben.id, "m2", "two")]).await.ok();
    beta.tells(alpha, "2", &[message(&ben.id, "m1", "one again")]).await.ok();
    gamma.tells(alpha, "1", &[message(&ben.id, "m3", "forged")]).await.ok();
    beta.tells(alpha, "3", &[message(&ben.id, &"long".repeat(20), "long")]).await.ok();
    beta.tells(alpha, "4", &[message(&ben.id, &"long".repeat(20), "long again")]).await.ok();
    assert_eq!(texts(&ann.syncs("timeout=0").await), ["one", "two", "long"]);
    // A server that could not be sure of its answer comes again when it can.
    shared.campus.clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
    alpha.server.accounts().sweep().await.expect("the store answers");
    beta.tells(alpha, "5", &[message(&ben.id, "m1", "one after days")]).await.ok();
    assert!(texts(&ann.syncs("timeout=0").await).is_empty());
}

fn device(user: &str, device: &str) -> Value {
    let (ed, curve) = (format!("ed25519:{device}"), format!("curve25519:{device}"));
    json!({
        "user_id": user, "device_id": device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { ed: "e", curve: "c" }, "signatures": {},
    })
}

#[tokio::test]
async fn devices_are_kept_in_step_and_asked_for_when_a_change_was_missed() {
    let shared = Shared::begin().await;
    let (alpha, beta, gamma) = (shared.alpha(), shared.beta(), shared.gamma());
    let (accounts, ben) = (alpha.server.accounts(), user(&shared.ben.id));
    let devices = async || -> Vec<String> {
        let none: [&ruma::DeviceId; 0] = [];
        let mut found = lyceum_accounts::QueriedKeys::default();
        accounts.query_keys(None, &ben, &none, &mut found).await.expect("the store answers");
        found.device_keys.remove(&ben).unwrap_or_default().into_keys().collect()
    };
    let changed = |device_id: &str, stream: u64, prev: &[u64]| {
        let keys = device(ben.as_str(), device_id);
        let content = json!({
            "user_id": ben, "device_id": device_id, "stream_id": stream, "prev_id": prev, "keys": keys,
        });
        unit("m.device_list_update", content)
    };
    // What alpha was told first, when somebody asked; far from what beta itself counts.
    let list = |stream: u64, ids: &[&str]| {
        let devices: Vec<_> =
            ids.iter().map(|id| json!({ "device_id": id, "keys": device(ben.as_str(), id) })).collect();
        json!({ "user_id": ben, "stream_id": stream, "devices": devices })
    };
    let asked = || shared.campus.wires.times_asked("beta.example", "/_matrix/federation/v1/user/devices");
    accounts
        .keep_remote_devices(&ben, lyceum_accounts::RemoteDevices { stream_id: 1001, ..Default::default() })
        .await
        .expect("they are kept");
    shared.ann.syncs("timeout=0").await;
    beta.tells(alpha, "1", &[changed("PHONE", 1002, &[1001])]).await.ok();
    assert_eq!((devices().await, asked()), (vec!["PHONE".to_owned()], 0));
    let sync = shared.ann.syncs("timeout=0").await;
    assert_eq!(sync["device_lists"]["changed"], json!([ben]), "ann's apps are told");
    // The third change was lost.
    shared.campus.wires.answer(
        "beta.example",
        "/_matrix/federation/v1/user/devices",
        200,
        list(1004, &["PHONE", "TABLET"]),
    );
    beta.tells(alpha, "2", &[changed("TABLET", 1004, &[1003])]).await.ok();
    assert_eq!((devices().await, asked()), (vec!["PHONE".to_owned(), "TABLET".to_owned()], 1));
    // One that says nothing of what it follows is asked about, too.
    shared.campus.wires.answer("beta.example", "/_matrix/federation/v1/user/devices", 200, list(1005, &["TABLET"]));
    beta.tells(alpha, "3", &[changed("TABLET", 1005, &[])]).await.ok();
    assert_eq!((devices().await, asked()), (vec!["TABLET".to_owned()], 2));
    // Old news, another server's word, and keys of another device change nothing.
    let mut other = changed("WATCH", 1006, &[1005]);
    other["content"]["keys"] = device(ben.as_str(), "PHONE");
    beta.tells(alpha, "4", &[changed("OLD", 1003, &[1002]), other]).await.ok();
    gamma.tells(alpha, "1", &[changed("FORGED", 1007, &[1005])]).await.ok();
    assert_eq!((devices().await, asked()), (vec!["TABLET".to_owned()], 2));
    let mut gone = changed("TABLET", 1006, &[1005]);
    gone["content"]["deleted"] = json!(true);
    beta.tells(alpha, "5", &[gone]).await.ok();
    assert_eq!(devices().await, Vec::<String>::new());
    // What is `null` is not said.
    let mut odd = changed("WATCH", 1007, &[1006]);
    odd["content"]["deleted"] = Value::Null;
    odd["content"]["device_display_name"] = Value::Null;
    beta.tells(alpha, "6", &[odd]).await.ok();
    assert_eq!((devices().await, asked()), (vec!["WATCH".to_owned()], 2));
    let mut odd = changed("WATCH", 1008, &[1007]);
    odd["content"]["prev_id"] = Value::Null;
    beta.tells(alpha, "7", &[odd]).await.ok();
    assert_eq!(asked(), 3, "one that says nothing of what it follows");
}

#[tokio::test]
async fn new_signing_keys_are_taken_under_both_names() {
    let shared = Shared::begin().await;
    let (alpha, beta, gamma) = (shared.alpha(), shared.beta(), shared.gamma());
    let ben = &shared.ben;
    shared.ann.syncs("timeout=0").await;
    let master = |key: &str, whose: &str| json!({ "user_id": whose, "usage": ["master"], "keys": { format!("ed25519:{key}"): key } });
    let update = |kind: &str, key: Value| unit(kind, json!({ "user_id": ben.id, "master_key": key }));
    let stored = async || {
        let none: [&ruma::DeviceId; 0] = [];
        let (ben, mut found) = (user(&ben.id), lyceum_accounts::QueriedKeys::default());
        alpha.server.accounts().query_keys(None, &ben, &none, &mut found).await.expect("the store answers");
        found.master_keys.remove(&ben).map_or(Value::Null, |key| key["keys"].clone())
    };
    gamma.tells(alpha, "1", &[update("m.signing_key_update", master("forged", &ben.id))]).await.ok();
    beta.tells(alpha, "1", &[update("m.signing_key_update", master("anns", &shared.ann.id))]).await.ok();
    assert_eq!(stored().await, Value::Null);
    for (number, kind) in ["m.signing_key_update", "org.matrix.signing_key_update"].into_iter().enumerate() {
        let key = format!("key{number}");
        beta.tells(alpha, &format!("k{number}"), &[update(kind, master(&key, &ben.id))]).await.ok();
        assert_eq!(stored().await, json!({ format!("ed25519:{key}"): key }));
        assert_eq!(shared.ann.syncs("timeout=0").await["device_lists"]["changed"], json!([ben.id]));
    }
}

#[tokio::test]
async fn what_nobody_understands_is_passed_over() {
    let shared = Shared::begin().await;
    let (alpha, beta) = (shared.alpha(), shared.beta());
    let units = [
        unit("org.example.unheard_of", json!({})),
        unit("m.typing", json!({ "room_id": 7 })),
        json!("no unit"),
        json!({ "edu_type": "m.receipt" }),
        unit("m.receipt", json!({ "!nowhere:x": { "m.read": {} } })),
        unit("m.typing", json!({ "room_id": shared.room, "user_id": shared.ben.id, "typing": true })),
    ];
    shared.ann.syncs("timeout=0").await;
    assert_eq!(beta.tells(alpha, "1", &units).await.ok(), json!({ "pdus": {} }));
    let sync = shared.ann.syncs("timeout=0").await;
    assert_ne!(ephemeral(&sync, &shared.room, "m.typing"), Value::Null, "the last one is heard");
}
