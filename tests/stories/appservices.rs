//! Application services: a bridge beside a server, what is its own, and what it is told.

mod refusing;

use serde_json::{Value, json};
use std::time::Duration;

use crate::support::gateway::{Call, Outsider};
use crate::support::{Campus, Person, encoded};

const AS_TOKEN: &str = "the bridge's own token";
const HS_TOKEN: &str = "the server's token";
const CLIENT: &str = "/_matrix/client/v3";

const REGISTRATION: &str = r##"{
  "id": "irc", "url": "http://bridge.example/", "as_token": "the bridge's own token", "hs_token": "the server's token",
  "sender_localpart": "ircbot", "rate_limited": false, "protocols": ["irc"],
  "receive_ephemeral": true, "org.matrix.msc3202": true,
  "namespaces": {
    "users": [{ "exclusive": true, "regex": "@irc_.*" }],
    "aliases": [{ "exclusive": true, "regex": "#irc_.*" }],
    "rooms": []
  }
}"##;

/// A campus of one server with a bridge beside it, and the bridge's own client.
async fn bridged() -> (Campus, Outsider, Person, tempfile::TempDir) {
    registered(REGISTRATION).await
}

async fn registered(registration: &str) -> (Campus, Outsider, Person, tempfile::TempDir) {
    registered_at(["alpha.example"], registration).await
}

async fn registered_at<const N: usize>(
    servers: [&str; N],
    registration: &str,
) -> (Campus, Outsider, Person, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let file = folder.path().join("irc.yaml");
    std::fs::write(&file, registration).expect("a file can be written");
    let settings = format!("appservices.files = [{:?}]", file.display().to_string());
    let campus = Campus::with(servers, &settings).await;
    let bridge = Outsider::at(&campus, "bridge.example");
    let bot = campus.host("alpha.example").stranger().with_token(&json!(AS_TOKEN));
    (campus, bridge, bot, folder)
}

fn as_user(path: &str, user: &str) -> String {
    format!("{CLIENT}{path}{}user_id={}", if path.contains('?') { '&' } else { '?' }, encoded(user))
}

async fn ghost(bot: &Person, name: &str) -> String {
    let body = json!({ "type": "m.login.application_service", "username": name, "inhibit_login": true });
    let made = bot.post(&format!("{CLIENT}/register"), body).await.ok();
    made["user_id"].as_str().expect("a user").to_owned()
}

async fn comes_in(bot: &Person, ghost: &str, room: &str) {
    bot.post(&as_user(&format!("/join/{}", encoded(room)), ghost), json!({})).await.ok();
}

fn transactions(bridge: &Outsider) -> Vec<Call> {
    bridge.calls().into_iter().filter(|call| call.path.starts_with("/_matrix/app/v1/transactions/")).collect()
}

fn events(calls: &[Call]) -> Vec<Value> {
    let all = calls.iter().filter(|call| call.status == 200).flat_map(|call| call.json["events"].as_array().cloned());
    all.flatten().collect()
}

fn texts(calls: &[Call]) -> Vec<String> {
    events(calls).iter().filter_map(|event| event["content"]["body"].as_str().map(str::to_owned)).collect()
}

fn carries(text: &'static str) -> impl Fn(&Call) -> bool {
    move |call| call.json["events"].to_string().contains(text)
}

#[tokio::test]
async fn a_bridge_speaks_as_its_ghosts_and_hears_what_happens_where_they_are() {
    let (campus, bridge, bot, _folder) = bridged().await;
    let alice = campus.person("alice").await;
    assert_eq!(bot.get(&format!("{CLIENT}/account/whoami")).await.ok()["user_id"], "@ircbot:alpha.example");
    let ghost = ghost(&bot, "irc_ann").await;
    assert_eq!(bot.get(&as_user("/account/whoami", &ghost)).await.ok()["user_id"], ghost.as_str());
    let (room, elsewhere) = (alice.creates_public_room().await, alice.creates_room().await);
    comes_in(&bot, &ghost, &room).await;
    let path = format!("/rooms/{}/send/m.room.message/1?ts=1000000000000", encoded(&room));
    bot.put(&as_user(&path, &ghost), json!({ "msgtype": "m.text", "body": "from afar" })).await.ok();
    let seen = alice.sees(&room, "from afar").await;
    assert_eq!((&seen["sender"], &seen["origin_server_ts"]), (&json!(ghost), &json!(1_000_000_000_000_u64)));

    for n in 0..5 {
        alice.says(&room, &format!("line {n}")).await;
        alice.says(&elsewhere, "not for the bridge").await;
    }
    bridge.hears("the last line", carries("line 4")).await;
    let calls = transactions(&bridge);
    let expected = ["from afar", "line 0", "line 1", "line 2", "line 3", "line 4"];
    assert_eq!(texts(&calls), expected, "in order, each once, and nothing of where no ghost is");
    assert!(calls.iter().all(|call| call.method == "PUT" && call.token.as_deref() == Some(HS_TOKEN)));
    let ids: std::collections::BTreeSet<_> = calls.iter().map(|call| call.path.clone()).collect();
    assert_eq!(ids.len(), calls.len(), "every transaction has an id of its own");
    let told = events(&calls);
    let line = told.iter().find(|event| event["content"]["body"] == "line 0").expect("it was told");
    assert_eq!(
        (&line["room_id"], &line["sender"], &line["type"]),
        (&json!(room), &json!(alice.id), &json!("m.room.message"))
    );

    let path = format!("{CLIENT}/rooms/{}/typing/{}", encoded(&room), alice.id);
    alice.put(&path, json!({ "typing": true, "timeout": 20_000 })).await.ok();
    let heard = bridge.hears("typing", |call| call.json["ephemeral"][0]["type"] == "m.typing").await;
    let typing = json!({ "type": "m.typing", "room_id": room, "content": { "user_ids": [alice.id] } });
    assert_eq!(heard.json["ephemeral"], json!([typing]));
    assert_eq!(heard.json["de.sorunome.msc2409.ephemeral"], json!([typing]));
    let event = seen["event_id"].as_str().expect("an id");
    alice.post(&format!("{CLIENT}/rooms/{}/receipt/m.read/{}", encoded(&room), encoded(event)), json!({})).await.ok();
    let heard = bridge.hears("the receipt", |call| call.json["ephemeral"][0]["type"] == "m.receipt").await;
    assert!(heard.json["ephemeral"][0]["content"][event]["m.read"][&alice.id]["ts"].is_u64(), "{}", heard.json);
}

#[tokio::test]
async fn a_bridge_that_is_away_is_told_everything_in_order_when_it_is_back_also_over_a_crash() {
    let (mut campus, bridge, bot, _folder) = bridged().await;
    let alice = campus.person("alice").await;
    let room = alice.creates_public_room().await;
    let ghost = ghost(&bot, "irc_ann").await;
    comes_in(&bot, &ghost, &room).await;
    campus.settle().await;
    bridge.answers_next(500, json!("garbage"));
    alice.says(&room, "one").await;
    let failed = bridge.hears("the first try", |call| call.status == 500).await;
    alice.says(&room, "two").await;
    campus.crashes("alpha.example").await;
    let alice = alice.at(campus.host("alpha.example"));
    alice.says(&room, "three").await;
    bridge.hears("the last line", carries("three")).await;
    campus.settle().await;
    let calls = transactions(&bridge);
    assert_eq!(texts(&calls), ["one", "two", "three"]);
    let again = calls.iter().find(|call| call.status == 200 && carries("one")(call)).expect("it was sent again");
    assert_eq!(
        (&again.path, &again.json["events"]),
        (&failed.path, &failed.json["events"]),
        "the same under the same id"
    );
    campus.restarts("alpha.example").await;
    campus.settle().await;
    assert_eq!(texts(&transactions(&bridge)).len(), 3, "what was taken is not sent again");
    campus.wires.cut("alpha.example", "bridge.example");
    let alice = alice.at(campus.host("alpha.example"));
    alice.says(&room, "four").await;
    campus.settle().await;
    campus.wires.heal("alpha.example", "bridge.example");
    campus.clock.advance(Duration::from_secs(1));
    bridge.hears("what waited", carries("four")).await;
}

#[tokio::test]
async fn its_namespaces_are_its_own_and_nothing_else_is() {
    let (campus, _bridge, bot, _folder) = bridged().await;
    let (alice, stranger) = (campus.person("alice").await, campus.host("alpha.example").stranger());
    let room = alice.creates_room().await;
    let register = format!("{CLIENT}/register");
    let squat = json!({ "username": "irc_squat", "password": "a long phrase", "auth": { "type": "m.login.dummy" } });
    stranger.post(&register, squat).await.refused_as("register 400 M_EXCLUSIVE");
    stranger
        .get(&format!("{register}/available?username=irc_x"))
        .await
        .refused_as("checkUsernameAvailability 400 M_EXCLUSIVE");
    let outside = json!({ "type": "m.login.application_service", "username": "carol" });
    bot.post(&register, outside.clone()).await.refused(400, "M_EXCLUSIVE");
    stranger.post(&register, outside).await.refused(401, "M_MISSING_TOKEN");

    let alias = |name: &str| format!("{CLIENT}/directory/room/{}", encoded(&format!("#{name}:alpha.example")));
    let to_room = json!({ "room_id": room });
    alice.put(&alias("irc_club"), to_room.clone()).await.refused(400, "M_EXCLUSIVE");
    let create = json!({ "room_alias_name": "irc_club" });
    alice.post(&format!("{CLIENT}/createRoom"), create).await.refused(400, "M_EXCLUSIVE");
    bot.put(&alias("club"), to_room.clone()).await.refused(400, "M_EXCLUSIVE");
    bot.put(&alias("irc_club"), to_room).await.ok();
    alice.delete(&alias("irc_club")).await.refused(400, "M_EXCLUSIVE");
    bot.delete(&alias("irc_club")).await.ok();

    bot.get(&as_user("/account/whoami", &alice.id)).await.refused_as("getTokenOwner 403 M_FORBIDDEN");
    bot.get(&as_user("/account/whoami", "@irc_nobody:alpha.example")).await.refused(403, "M_FORBIDDEN");
    let ghost = ghost(&bot, "irc_ann").await;
    let with_device = as_user("/account/whoami?device_id=NONE", &ghost);
    bot.get(&with_device).await.refused(400, "M_UNKNOWN_DEVICE");
    bot.put(&as_user("/devices/NONE", &ghost), json!({ "display_name": "Bridge" })).await.ok();
    assert_eq!(bot.get(&with_device).await.ok()["device_id"], "NONE");
    let login = |user: &str| json!({ "type": "m.login.application_service", "identifier": { "type": "m.id.user", "user": user } });
    let path = format!("{CLIENT}/login");
    let signed_in = bot.post(&path, login(&ghost)).await.ok();
    let own = bot.with_token(&signed_in["access_token"]);
    assert_eq!(own.get(&format!("{CLIENT}/account/whoami")).await.ok()["user_id"], ghost.as_str());
    bot.post(&path, login("alice")).await.refused(403, "M_EXCLUSIVE");
    stranger.post(&path, login(&ghost)).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn ghosts_and_rooms_are_asked_for_when_somebody_wants_them() {
    let (campus, bridge, bot, _folder) = bridged().await;
    let alice = campus.person("alice").await;
    let room = alice.creates_room().await;
    let invite = format!("{CLIENT}/rooms/{}/invite", encoded(&room));
    alice.post(&invite, json!({ "user_id": "@irc_known:alpha.example" })).await.ok();
    let asked = bridge.hears("the ghost", |call| call.path.starts_with("/_matrix/app/v1/users/")).await;
    assert_eq!(
        (asked.path.as_str(), asked.token.as_deref()),
        ("/_matrix/app/v1/users/%40irc_known%3Aalpha.example", Some(HS_TOKEN))
    );

    let alias = |name: &str| encoded(&format!("#{name}:alpha.example"));
    bridge.answers_at("/_matrix/app/v1/rooms/", 404, json!({}));
    let path = format!("{CLIENT}/directory/room/{}", alias("irc_unheard"));
    alice.get(&path).await.refused(404, "M_NOT_FOUND");
    let made = bot.post(&format!("{CLIENT}/createRoom"), json!({ "room_alias_name": "irc_made" })).await.ok();
    assert_eq!(
        alice.get(&format!("{CLIENT}/directory/room/{}", alias("irc_made"))).await.ok()["room_id"],
        made["room_id"]
    );
    alice.get(&format!("{CLIENT}/directory/room/{}", alias("other"))).await.refused(404, "M_NOT_FOUND");
    let asked: Vec<_> = bridge.calls().into_iter().filter(|call| call.path.contains("/rooms/")).collect();
    assert_eq!(asked.len(), 1, "only what is the bridge's and not there is asked for: {asked:#?}");
}

#[tokio::test]
async fn a_ping_comes_round_or_says_why_not() {
    let (campus, bridge, bot, _folder) = bridged().await;
    let alice = campus.person("alice").await;
    for path in
        ["/_matrix/client/v1/appservice/irc/ping", "/_matrix/client/unstable/fi.mau.msc2659/appservice/irc/ping"]
    {
        let answer = bot.post(path, json!({ "transaction_id": "meow" })).await.ok();
        assert!(answer["duration_ms"].is_u64(), "{answer}");
    }
    let ping = bridge.hears("the ping", |call| call.path == "/_matrix/app/v1/ping").await;
    assert_eq!((ping.method.as_str(), &ping.json["transaction_id"]), ("POST", &json!("meow")));
    let path = "/_matrix/client/v1/appservice/irc/ping";
    bridge.answers_next(403, json!({ "errcode": "M_FORBIDDEN" }));
    let refused = bot.post(path, json!({})).await.refused_as("pingAppservice 502 M_BAD_STATUS");
    assert_eq!((&refused["status"], &refused["body"]), (&json!(403), &json!(r#"{"errcode":"M_FORBIDDEN"}"#)));
    campus.wires.cut("alpha.example", "bridge.example");
    bot.post(path, json!({})).await.refused_as("pingAppservice 502 M_CONNECTION_FAILED");
    campus.wires.heal("alpha.example", "bridge.example");
    campus.wires.mute("bridge.example");
    bot.post(path, json!({})).await.refused_as("pingAppservice 504 M_CONNECTION_TIMEOUT");
    alice.post(path, json!({})).await.refused_as("pingAppservice 403 M_FORBIDDEN");
    bot.post("/_matrix/client/v1/appservice/other/ping", json!({})).await.refused(403, "M_FORBIDDEN");
    campus.host("alpha.example").stranger().post(path, json!({})).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_service_without_an_address_is_not_pinged() {
    let nowhere = REGISTRATION.replace("\"http://bridge.example/\"", "null");
    let (_campus, _bridge, bot, _folder) = registered(&nowhere).await;
    let path = "/_matrix/client/v1/appservice/irc/ping";
    bot.post(path, json!({})).await.refused_as("pingAppservice 400 M_URL_NOT_SET");
}

#[tokio::test]
async fn networks_are_told_and_looked_through_and_have_a_directory_of_their_own() {
    let (campus, bridge, bot, _folder) = bridged().await;
    let (alice, stranger) = (campus.person("alice").await, campus.host("alpha.example").stranger());
    let protocol = json!({
        "user_fields": ["nick"], "location_fields": ["channel"], "icon": "mxc://x/y", "field_types": {},
        "instances": [{ "network_id": "libera", "desc": "Libera", "fields": {} }],
    });
    bridge.answers_at("/_matrix/app/v1/thirdparty/protocol/irc", 200, protocol);
    bridge.answers_at("/_matrix/app/v1/thirdparty/user", 200, json!([{ "userid": "@irc_ann:alpha.example" }]));
    bridge.answers_at(
        "/_matrix/app/v1/thirdparty/location",
        200,
        json!([{ "alias": "#irc_x:alpha.example" }, "garbage"]),
    );
    let path = |rest: &str| format!("{CLIENT}/thirdparty/{rest}");
    let all = alice.get(&path("protocols")).await.ok();
    assert_eq!(all["irc"]["instances"][0]["instance_id"], "irc|libera");
    assert_eq!(alice.get(&path("protocol/irc")).await.ok(), all["irc"]);
    alice.get(&path("protocol/xmpp")).await.refused_as("getProtocolMetadata 404 M_NOT_FOUND");
    assert_eq!(alice.get(&path("user/irc?nick=ann")).await.ok()[0]["userid"], "@irc_ann:alpha.example");
    bridge.hears("the fields", |call| call.path == "/_matrix/app/v1/thirdparty/user/irc?nick=ann").await;
    assert_eq!(alice.get(&path("location/irc?channel=x")).await.ok().as_array().map(Vec::len), Some(1));
    assert_eq!(alice.get(&path("user?userid=@irc_ann:alpha.example")).await.ok().as_array().map(Vec::len), Some(1));
    assert_eq!(alice.get(&path("location?alias=%23irc_x:alpha.example")).await.ok().as_array().map(Vec::len), Some(1));
    alice.get(&path("user/xmpp")).await.refused_as("queryUserByProtocol 404 M_NOT_FOUND");
    alice.get(&path("location/xmpp")).await.refused_as("queryLocationByProtocol 404 M_NOT_FOUND");
    bridge.answers_at("/_matrix/app/v1/thirdparty/user?", 404, json!({}));
    bridge.answers_at("/_matrix/app/v1/thirdparty/location?", 200, json!([]));
    alice.get(&path("user?userid=@irc_ann:alpha.example")).await.refused_as("queryUserByID 404 M_NOT_FOUND");
    alice.get(&path("location?alias=%23irc_x:alpha.example")).await.refused_as("queryLocationByAlias 404 M_NOT_FOUND");
    alice.get(&path("user")).await.refused(400, "M_MISSING_PARAM");
    for rest in ["protocols", "protocol/irc", "user/irc", "location/irc", "user?userid=x", "location?alias=x"] {
        stranger.get(&path(rest)).await.refused(401, "M_MISSING_TOKEN");
    }

    let room = alice.creates_public_room().await;
    let listing = format!("{CLIENT}/directory/list/appservice/libera/{}", encoded(&room));
    bot.put(&listing, json!({ "visibility": "public" })).await.ok();
    let ask = json!({ "third_party_instance_id": "irc|libera" });
    let listed = alice.post(&format!("{CLIENT}/publicRooms"), ask.clone()).await.ok();
    assert_eq!(listed["chunk"][0]["room_id"], room.as_str());
    let usual = alice.post(&format!("{CLIENT}/publicRooms"), json!({})).await.ok();
    assert_eq!(usual["chunk"], json!([]), "the server's own directory does not list it");
    let all = alice.post(&format!("{CLIENT}/publicRooms"), json!({ "include_all_networks": true })).await.ok();
    assert_eq!(all["chunk"][0]["room_id"], room.as_str(), "it is on one of all networks");
    bot.put(&listing, json!({ "visibility": "private" })).await.ok();
    assert_eq!(alice.post(&format!("{CLIENT}/publicRooms"), ask).await.ok()["chunk"], json!([]));
    alice.put(&listing, json!({ "visibility": "public" })).await.refused(403, "M_FORBIDDEN");
    stranger.put(&listing, json!({ "visibility": "public" })).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn people_of_other_servers_look_through_networks_as_well() {
    let (campus, _bridge, bot, _folder) = registered_at(["alpha.example", "beta.example"], REGISTRATION).await;
    let alice = campus.person_at("alpha.example", "alice").await;
    let ben = campus.person_at("beta.example", "ben").await;
    let room = alice.creates_public_room().await;
    let listing = format!("{CLIENT}/directory/list/appservice/libera/{}", encoded(&room));
    bot.put(&listing, json!({ "visibility": "public" })).await.ok();
    let finds = async |ask: Value| {
        let found = ben.post(&format!("{CLIENT}/publicRooms?server=alpha.example"), ask).await.ok();
        found["chunk"].as_array().is_some_and(|rooms| rooms.iter().any(|one| one["room_id"] == room.as_str()))
    };
    assert!(finds(json!({ "third_party_instance_id": "irc|libera" })).await, "it is listed on this network");
    assert!(finds(json!({ "include_all_networks": true })).await, "it is on one of all networks");
    assert!(!finds(json!({ "third_party_instance_id": "irc|other" })).await, "it is not listed on that network");
    assert!(!finds(json!({})).await, "the server's own directory does not list it");
    // With a filter it is asked for in another way.
    let spaces = json!({ "room_types": ["m.space"] });
    assert!(finds(json!({ "include_all_networks": true, "filter": { "room_types": [null] } })).await, "it is a room");
    assert!(!finds(json!({ "include_all_networks": true, "filter": spaces })).await, "it is no space");
}

#[tokio::test]
async fn messages_to_a_ghosts_devices_and_keys_reach_the_bridge() {
    let (campus, bridge, bot, _folder) = bridged().await;
    let alice = campus.person("alice").await;
    let ghost = ghost(&bot, "irc_ann").await;
    bot.put(&as_user("/devices/BRIDGE", &ghost), json!({})).await.ok();
    let message = json!({ "messages": { &ghost: { "BRIDGE": { "hello": 1 } } } });
    alice.put(&format!("{CLIENT}/sendToDevice/org.example/1"), message).await.ok();
    let heard = bridge.hears("the message", |call| call.json["to_device"][0]["type"] == "org.example").await;
    let expected = json!([{
        "type": "org.example", "sender": alice.id, "content": { "hello": 1 },
        "to_user_id": ghost, "to_device_id": "BRIDGE",
    }]);
    assert_eq!(heard.json["to_device"], expected);
    assert_eq!(heard.json["de.sorunome.msc2409.to_device"], expected);
    assert!(
        heard.json["org.matrix.msc3202.device_one_time_keys_count"][&ghost]["BRIDGE"].is_object(),
        "{}",
        heard.json
    );
    campus.settle().await;
    let synced = bot.get(&as_user("/sync?device_id=BRIDGE", &ghost)).await.ok();
    assert_eq!(synced["to_device"]["events"], Value::Null, "what the bridge has is not kept any longer: {synced}");
}
