//! Synapse's administration API, as Moodle, synapse-admin and moderation bots call it.

use serde_json::json;

use super::support::{Campus, Person, campus::PASSWORD, encoded};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn v1(path: &str) -> String {
    format!("/_synapse/admin/v1/{path}")
}

fn user(id: &str) -> String {
    format!("/_synapse/admin/v2/users/{id}")
}

async fn campus() -> (Campus, Person, Person) {
    let campus = Campus::of(["alpha.example"]).await;
    let (root, anna) = (campus.host("alpha.example").admin("root").await, campus.person("anna").await);
    (campus, root, anna)
}

#[tokio::test]
async fn everything_is_for_administrators_only() {
    let (campus, _, anna) = campus().await;
    let stranger = campus.host("alpha.example").stranger();
    let paths = [
        user("@anna:alpha.example"),
        "/_synapse/admin/v2/users".to_owned(),
        "/_synapse/admin/v3/users".to_owned(),
        user("@anna:alpha.example/devices"),
        user("@anna:alpha.example/devices/D"),
        v1("users/@anna:alpha.example/admin"),
        v1("users/@anna:alpha.example/joined_rooms"),
        v1("users/@anna:alpha.example/memberships"),
        v1("username_available?username=x"),
        v1("rooms"),
        v1("rooms/!r:alpha.example"),
        v1("rooms/!r:alpha.example/members"),
        v1("rooms/!r:alpha.example/state"),
        v1("event_reports"),
        v1("event_reports/1"),
        v1("registration_tokens"),
        v1("registration_tokens/t"),
        v1("rooms/!r:alpha.example/block"),
        v1("purge_history_status/1"),
        v1("fetch_event/$e"),
        v1("statistics/users/media"),
        v1("users/@anna:alpha.example/pushers"),
        v1("rooms/!r:alpha.example/messages"),
        v1("rooms/!r:alpha.example/context/$e"),
        v1("rooms/!r:alpha.example/timestamp_to_event?ts=1"),
        v1("room/!r:alpha.example/media"),
        v1("users/@anna:alpha.example/override_ratelimit"),
        "/_synapse/admin/v2/rooms/!r:alpha.example/delete_status".to_owned(),
        "/_synapse/admin/v2/rooms/delete_status/1".to_owned(),
    ];
    for path in &paths {
        anna.get(path).await.refused(403, "M_FORBIDDEN");
        stranger.get(path).await.refused(401, "M_MISSING_TOKEN");
    }
    for path in [
        "room/!r:b/media/quarantine",
        "users/@anna:alpha.example/shadow_ban",
        "users/@anna:alpha.example/override_ratelimit",
        "deactivate/@a:b",
        "reset_password/@a:b",
        "join/!r:b",
        "purge_history/!r:b",
        "purge_history/!r:b/$e",
        "rooms/!r:b/make_room_admin",
    ] {
        anna.post(&v1(path), json!({})).await.refused(403, "M_FORBIDDEN");
        stranger.post(&v1(path), json!({})).await.refused(401, "M_MISSING_TOKEN");
    }
    anna.post(&v1("registration_tokens/new"), json!({})).await.refused(403, "M_FORBIDDEN");
    anna.post(&user("@anna:alpha.example/delete_devices"), json!({})).await.refused(403, "M_FORBIDDEN");
    anna.post(&user("@anna:alpha.example/devices"), json!({})).await.refused(403, "M_FORBIDDEN");
    for path in [user("@x:alpha.example"), v1("users/@anna:alpha.example/admin"), v1("suspend/@root:alpha.example")] {
        anna.put(&path, json!({ "admin": true })).await.refused(403, "M_FORBIDDEN");
    }
    anna.put(&v1("registration_tokens/t"), json!({})).await.refused(403, "M_FORBIDDEN");
    anna.put(&v1("rooms/!r:b/block"), json!({ "block": true })).await.refused(403, "M_FORBIDDEN");
    for path in [v1("rooms/!r:b"), "/_synapse/admin/v2/rooms/!r:b".to_owned()] {
        anna.ask(http::Method::DELETE, &path, Some(json!({}))).await.refused(403, "M_FORBIDDEN");
        stranger.ask(http::Method::DELETE, &path, Some(json!({}))).await.refused(401, "M_MISSING_TOKEN");
    }
    for path in ["users/@anna:alpha.example/shadow_ban", "users/@anna:alpha.example/override_ratelimit"] {
        anna.delete(&v1(path)).await.refused(403, "M_FORBIDDEN");
    }
    for path in [v1("registration_tokens/t"), v1("event_reports/1"), user("@anna:alpha.example/devices/D")] {
        anna.delete(&path).await.refused(403, "M_FORBIDDEN");
    }
    let version = stranger.get(&v1("server_version")).await.ok();
    assert!(version["server_version"].as_str().unwrap().starts_with("Lyceum "));
}

#[tokio::test]
async fn accounts_are_made_changed_closed_and_opened_again() {
    let (campus, root, _) = campus().await;
    let stranger = campus.host("alpha.example").stranger();
    let otto = user("@otto:alpha.example");
    root.get(&otto).await.refused(404, "M_NOT_FOUND");
    let wish = json!({
        "password": PASSWORD, "displayname": "Otto", "avatar_url": "mxc://alpha.example/o", "admin": false,
        "user_type": null, "threepids": [{ "medium": "email", "address": "otto@alpha.example" }],
    });
    let made = root.put(&otto, wish).await;
    assert_eq!(made.status, 201);
    let made = made.json;
    assert_eq!((&made["name"], &made["displayname"]), (&json!("@otto:alpha.example"), &json!("Otto")));
    assert_eq!((&made["deactivated"], &made["threepids"]), (&json!(false), &json!([])));
    assert_eq!(root.get(&otto).await.ok(), made);
    let login = |password: &str| json!({ "type": "m.login.password", "user": "otto", "password": password });
    let path = "/_matrix/client/v3/login";
    let session = stranger.post(path, login(PASSWORD)).await.ok();
    let client = stranger.with_token(&session["access_token"]);

    let changed = root.put(&otto, json!({ "displayname": "", "user_type": "bot", "locked": true })).await;
    assert_eq!((changed.status, &changed.json["displayname"]), (200, &json!(null)));
    assert_eq!((&changed.json["user_type"], &changed.json["locked"]), (&json!("bot"), &json!(true)));
    client.get(WHOAMI).await.refused(401, "M_USER_LOCKED");
    root.put(&otto, json!({ "locked": false, "user_type": null, "admin": true })).await.ok();
    client.get(&user("@otto:alpha.example")).await.ok();
    root.put(&otto, json!({ "admin": false })).await.ok();
    root.put(&otto, json!({ "password": "another", "logout_devices": false })).await.ok();
    client.get(WHOAMI).await.ok();
    root.post(&v1("reset_password/@otto:alpha.example"), json!({ "new_password": "third" })).await.ok();
    client.get(WHOAMI).await.refused(401, "M_UNKNOWN_TOKEN");
    root.post(&v1("reset_password/@otto:alpha.example"), json!({})).await.refused(400, "M_MISSING_PARAM");

    let client = stranger.with_token(&stranger.post(path, login("third")).await.ok()["access_token"]);
    let room = client.creates_room().await;
    let of = |rest: &str| v1(&format!("users/@otto:alpha.example/{rest}"));
    assert_eq!(root.get(&of("joined_rooms")).await.ok(), json!({ "joined_rooms": [room], "total": 1 }));
    root.put(&v1("suspend/@otto:alpha.example"), json!({ "suspend": true })).await.ok();
    client.post("/_matrix/client/v3/createRoom", json!({})).await.refused(403, "M_USER_SUSPENDED");
    let closed = root.post(&v1("deactivate/@otto:alpha.example"), json!({ "erase": true })).await.ok();
    assert_eq!(closed["id_server_unbind_result"], "success");
    stranger.post(path, login("third")).await.refused(403, "M_USER_DEACTIVATED");
    assert_eq!(root.get(&of("memberships")).await.ok(), json!({ "memberships": { room: "leave" } }));
    let opened = root.put(&otto, json!({ "deactivated": false, "password": "fourth" })).await.ok();
    assert_eq!(opened["deactivated"], false);
    stranger.post(path, login("fourth")).await.ok();

    let own = user(&root.id);
    root.put(&own, json!({ "admin": false })).await.refused(400, "M_UNKNOWN");
    root.put(&own, json!({ "deactivated": true })).await.refused(400, "M_UNKNOWN");
    root.put(&v1(&format!("users/{}/admin", root.id)), json!({ "admin": false })).await.refused(400, "M_UNKNOWN");
    root.put(&user("@far:beta.example"), json!({})).await.refused(400, "M_INVALID_PARAM");
    root.put(&user("@bad%20name:alpha.example"), json!({ "password": "p" })).await.refused(400, "M_INVALID_USERNAME");
    root.put(&otto, json!({ "admin": "yes" })).await.refused(400, "M_BAD_JSON");
    root.put(&of("admin"), json!({ "admin": true })).await.ok();
    assert_eq!(root.get(&of("admin")).await.ok(), json!({ "admin": true }));
    assert_eq!(root.get(&v1("username_available?username=new")).await.ok(), json!({ "available": true }));
    root.get(&v1("username_available?username=otto")).await.refused(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn accounts_are_listed_filtered_ordered_and_paged() {
    let (campus, root, anna) = campus().await;
    let ben = campus.person("ben").await;
    let name = format!("/_matrix/client/v3/profile/{}/displayname", ben.id);
    ben.put(&name, json!({ "displayname": "Aardvark" })).await.ok();
    root.post(&v1(&format!("deactivate/{}", anna.id)), json!({})).await.ok();
    let names = async |query: &str| {
        let answer = root.get(&format!("/_synapse/admin/{query}")).await.ok();
        let users = answer["users"].as_array().unwrap().iter();
        let names: Vec<_> = users.map(|user| user["name"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), answer["total"].as_u64().unwrap(), answer["next_token"].clone())
    };
    let (a, b, r) = (anna.id.as_str(), ben.id.as_str(), root.id.as_str());
    assert_eq!(names("v2/users").await, (format!("{b} {r}"), 2, json!(null)));
    assert_eq!(names("v2/users?deactivated=true").await.0, format!("{a} {b} {r}"));
    assert_eq!(names("v3/users").await.0, format!("{a} {b} {r}"));
    assert_eq!(names("v3/users?deactivated=true").await.0, a);
    assert_eq!(names("v2/users?name=aard").await.0, b);
    assert_eq!(names("v2/users?user_id=oo").await.0, r);
    assert_eq!(names("v2/users?admins=true").await.0, r);
    assert_eq!(names("v2/users?order_by=displayname&dir=b").await.0, format!("{b} {r}"));
    assert_eq!(names("v3/users?limit=2").await, (format!("{a} {b}"), 3, json!("2")));
    assert_eq!(names("v3/users?limit=2&from=2").await, (r.to_owned(), 3, json!(null)));
    root.get("/_synapse/admin/v2/users?order_by=luck").await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn devices_are_listed_named_and_removed() {
    let (_campus, root, anna) = campus().await;
    let other = anna.on_another_device().await;
    let all = user(&format!("{}/devices", anna.id));
    let listed = root.get(&all).await.ok();
    assert_eq!(listed["total"], 2);
    let one = user(&format!("{}/devices/{}", anna.id, other.device));
    root.put(&one, json!({ "display_name": "Lost phone" })).await.ok();
    let shown = root.get(&one).await.ok();
    assert_eq!((&shown["display_name"], &shown["user_id"]), (&json!("Lost phone"), &json!(anna.id)));
    root.delete(&one).await.ok();
    other.get(WHOAMI).await.refused(401, "M_UNKNOWN_TOKEN");
    root.get(&one).await.refused(404, "M_NOT_FOUND");
    assert_eq!(root.post(&all, json!({ "device_id": "KIOSK" })).await.status, 201);
    let several = user(&format!("{}/delete_devices", anna.id));
    root.post(&several, json!({ "devices": ["KIOSK", anna.device] })).await.ok();
    anna.get(WHOAMI).await.refused(401, "M_UNKNOWN_TOKEN");
    root.get(&user("@nobody:alpha.example/devices")).await.refused(404, "M_NOT_FOUND");
    assert_eq!(root.get(&v1(&format!("whois/{}", anna.id))).await.ok()["devices"], json!({}));
}

#[tokio::test]
async fn rooms_are_listed_and_shown_to_whoever_runs_the_server() {
    let (_campus, root, anna) = campus().await;
    let greek = anna.creates_room_with(json!({ "name": "Greek", "topic": "Verbs", "visibility": "public" })).await;
    let latin = anna.creates_room_with(json!({ "name": "Latin" })).await;
    let listed = async |query: &str| {
        let answer = root.get(&v1(&format!("rooms{query}"))).await.ok();
        let rooms = answer["rooms"].as_array().unwrap().iter();
        rooms.map(|room| room["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listed("").await, "Greek Latin");
    assert_eq!(listed("?dir=b").await, "Latin Greek");
    assert_eq!(listed("?search_term=GREE").await, "Greek");
    assert_eq!(listed("?public_rooms=false").await, "Latin");
    assert_eq!(listed("?empty_rooms=true").await, "");
    assert_eq!(listed("?order_by=joined_members&limit=1&from=1").await.split(' ').count(), 1);
    root.get(&v1("rooms?order_by=luck")).await.refused(400, "M_INVALID_PARAM");

    let shown = root.get(&v1(&format!("rooms/{}", encoded(&greek)))).await.ok();
    for (field, value) in [
        ("name", json!("Greek")),
        ("topic", json!("Verbs")),
        ("creator", json!(anna.id)),
        ("joined_members", json!(1)),
        ("joined_local_devices", json!(1)),
        ("version", json!("12")),
        ("public", json!(true)),
        ("join_rules", json!("public")),
        ("history_visibility", json!("shared")),
        ("encryption", json!(null)),
        ("tombstoned", json!(false)),
    ] {
        assert_eq!(shown[field], value, "{field} of {shown}");
    }
    let members = root.get(&v1(&format!("rooms/{}/members", encoded(&latin)))).await.ok();
    assert_eq!(members, json!({ "members": [anna.id], "total": 1 }));
    let state = root.get(&v1(&format!("rooms/{}/state", encoded(&latin)))).await.ok();
    assert!(state["state"].as_array().unwrap().iter().any(|event| event["type"] == "m.room.create"));
    root.get(&v1("rooms/!nothing:alpha.example")).await.refused(404, "M_NOT_FOUND");
    root.get(&v1("rooms/nothing")).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn people_are_brought_into_rooms_and_given_their_powers() {
    let (campus, root, anna) = campus().await;
    let ben = campus.person("ben").await;
    let (open, closed) = (anna.creates_public_room().await, anna.creates_room().await);
    let join = |room: &str| v1(&format!("join/{}", encoded(room)));
    let ben_in = json!({ "user_id": ben.id });
    assert_eq!(root.post(&join(&open), ben_in.clone()).await.ok(), json!({ "room_id": open }));
    ben.says(&open, "I am in").await;
    root.post(&join(&closed), ben_in.clone()).await.refused(403, "M_FORBIDDEN");

    root.post(&v1(&format!("rooms/{}/make_room_admin", encoded(&closed))), json!({})).await.ok();
    root.joins(&closed).await;
    root.post(&join(&closed), ben_in).await.ok();
    ben.says(&closed, "here too").await;
    let levels = format!("/_matrix/client/v3/rooms/{}/state/m.room.power_levels/", encoded(&closed));
    assert_eq!(root.get(&levels).await.ok()["users"][&root.id], 100);
    let far = json!({ "user_id": "@far:beta.example" });
    root.post(&join(&open), far).await.refused(400, "M_INVALID_PARAM");
    root.post(&join(&open), json!({ "user_id": "@nobody:alpha.example" })).await.refused(404, "M_NOT_FOUND");
    root.post(&join(&open), json!({})).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn registration_tokens_are_made_changed_and_removed() {
    let (campus, root, _) = campus().await;
    let made = root.post(&v1("registration_tokens/new"), json!({ "token": "spring", "uses_allowed": 2 })).await.ok();
    let expected = json!({ "token": "spring", "uses_allowed": 2, "pending": 0, "completed": 0, "expiry_time": null });
    assert_eq!(made, expected);
    let one = v1("registration_tokens/spring");
    assert_eq!(root.get(&one).await.ok(), expected);
    root.post(&v1("registration_tokens/new"), json!({ "token": "spring" })).await.refused(400, "M_INVALID_PARAM");
    let random = root.post(&v1("registration_tokens/new"), json!({ "length": 20 })).await.ok();
    assert_eq!(random["token"].as_str().unwrap().len(), 20);

    let changed = root.put(&one, json!({ "uses_allowed": null, "expiry_time": 1_900_000_000_000_u64 })).await.ok();
    assert_eq!((&changed["uses_allowed"], &changed["expiry_time"]), (&json!(null), &json!(1_900_000_000_000_u64)));
    campus.clock.advance(std::time::Duration::from_secs(10 * 365 * 24 * 3600));
    let valid = root.get(&v1("registration_tokens?valid=true")).await.ok();
    assert_eq!(valid["registration_tokens"], json!([random]));
    assert_eq!(root.get(&v1("registration_tokens?valid=false")).await.ok()["registration_tokens"], json!([changed]));
    root.put(&one, json!({ "expiry_time": 1 })).await.refused(400, "M_INVALID_PARAM");
    root.delete(&one).await.ok();
    root.get(&one).await.refused(404, "M_NOT_FOUND");
    root.delete(&one).await.refused(404, "M_NOT_FOUND");
    root.put(&one, json!({})).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn reports_are_listed_shown_and_removed() {
    let (campus, root, anna) = campus().await;
    let ben = campus.person("ben").await;
    let room = anna.creates_room_with(json!({ "preset": "public_chat", "name": "Greek" })).await;
    ben.joins(&room).await;
    for text in ["rude", "worse"] {
        let event = ben.says(&room, text).await;
        let path = format!("/_matrix/client/v3/rooms/{}/report/{}", encoded(&room), encoded(&event));
        anna.post(&path, json!({ "reason": text })).await.ok();
    }
    // A report of a person is none of an event.
    anna.post(&format!("/_matrix/client/v3/users/{}/report", ben.id), json!({ "reason": "x" })).await.ok();
    let listed = root.get(&v1("event_reports?limit=1")).await.ok();
    assert_eq!((&listed["total"], &listed["next_token"]), (&json!(2), &json!(1)));
    let newest = &listed["event_reports"][0];
    assert_eq!((&newest["reason"], &newest["name"]), (&json!("worse"), &json!("Greek")));
    assert_eq!((&newest["sender"], &newest["user_id"]), (&json!(ben.id), &json!(anna.id)));
    let oldest = root.get(&v1("event_reports?dir=f")).await.ok()["event_reports"][0].clone();
    assert_eq!(oldest["reason"], "rude");
    assert_eq!(root.get(&v1("event_reports?user_id=ben")).await.ok()["total"], 0);

    let one = v1(&format!("event_reports/{}", oldest["id"]));
    let shown = root.get(&one).await.ok();
    assert_eq!(shown["event_json"]["content"]["body"], "rude");
    root.delete(&one).await.ok();
    root.get(&one).await.refused(404, "M_NOT_FOUND");
    root.delete(&one).await.refused(404, "M_NOT_FOUND");
    assert_eq!(root.get(&v1("event_reports")).await.ok()["total"], 1);
}

#[tokio::test]
async fn what_shadow_banned_people_send_reaches_nobody_and_they_do_not_notice() {
    let (campus, root, anna) = campus().await;
    let eve = campus.person("eve").await;
    let anybody = json!({ "preset": "public_chat", "power_level_content_override": { "invite": 0 } });
    let room = anna.creates_room_with(anybody).await;
    let ban = v1(&format!("users/{}/shadow_ban", eve.id));
    assert_eq!(root.post(&ban, json!({})).await.ok(), json!({}));
    assert_eq!(root.get(&user(&eve.id)).await.ok()["shadow_banned"], true);

    eve.joins(&room).await;
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/same", encoded(&room));
    let unheard = json!({ "msgtype": "m.text", "body": "can you hear me" });
    let first = eve.put(&path, unheard.clone()).await.ok();
    assert!(first["event_id"].as_str().unwrap().starts_with('$'));
    assert_eq!(eve.put(&path, unheard).await.ok(), first, "a repeated request is answered the same");
    eve.sends(&room, "m.reaction", json!({})).await;
    let typing = format!("/_matrix/client/v3/rooms/{}/typing/{}", encoded(&room), eve.id);
    eve.put(&typing, json!({ "typing": true, "timeout": 30_000 })).await.ok();
    let invite = format!("/_matrix/client/v3/rooms/{}/invite", encoded(&room));
    eve.post(&invite, json!({ "user_id": root.id })).await.ok();
    let name = format!("/_matrix/client/v3/profile/{}/displayname", eve.id);
    eve.put(&name, json!({ "displayname": "Look at me" })).await.ok();
    let lair = eve.creates_room_with(json!({ "invite": [anna.id] })).await;
    // What the room's rules forbid is refused as ever.
    let topic = format!("/_matrix/client/v3/rooms/{}/state/m.room.topic/", encoded(&room));
    eve.put(&topic, json!({ "topic": "x" })).await.refused(403, "M_FORBIDDEN");

    anna.does_not_see(&room, "can you hear me").await;
    let seen = anna.get("/_matrix/client/v3/sync").await.ok();
    assert_eq!(seen["rooms"]["invite"], json!(null));
    assert_eq!(seen["rooms"]["join"][&room]["ephemeral"]["events"], json!([]));
    assert_eq!(root.get("/_matrix/client/v3/sync").await.ok()["rooms"]["invite"], json!(null));
    let members = anna.get(&format!("/_matrix/client/v3/rooms/{}/joined_members", encoded(&room))).await.ok();
    assert_eq!(members["joined"][&eve.id]["display_name"], json!(null), "they are in, and look as they did");
    assert!(eve.get(&format!("/_matrix/client/v3/rooms/{}/joined_members", encoded(&lair))).await.status < 300);

    root.delete(&ban).await.ok();
    eve.says(&room, "and now").await;
    anna.sees(&room, "and now").await;
    eve.leaves(&room).await;
    let own = v1(&format!("users/{}/shadow_ban", root.id));
    root.post(&own, json!({})).await.refused(403, "M_FORBIDDEN");
    root.post(&v1("users/@far:beta.example/shadow_ban"), json!({})).await.refused(400, "M_INVALID_PARAM");
    root.post(&v1("users/@nobody:alpha.example/shadow_ban"), json!({})).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn rate_limits_of_single_people_are_said_and_shown() {
    let (_campus, root, anna) = campus().await;
    let path = v1(&format!("users/{}/override_ratelimit", anna.id));
    assert_eq!(root.get(&path).await.ok(), json!({}));
    let set = json!({ "messages_per_second": 5, "burst_count": 50 });
    assert_eq!(root.post(&path, set.clone()).await.ok(), set);
    assert_eq!(root.get(&path).await.ok(), set);
    assert_eq!(root.post(&path, json!({})).await.ok(), json!({ "messages_per_second": 0, "burst_count": 0 }));
    root.post(&path, json!({ "messages_per_second": -1 })).await.refused(400, "M_INVALID_PARAM");
    root.post(&path, json!({ "burst_count": "many" })).await.refused(400, "M_BAD_JSON");
    assert_eq!(root.delete(&path).await.ok(), json!({}));
    assert_eq!(root.get(&path).await.ok(), json!({}));
    root.get(&v1("users/@nobody:alpha.example/override_ratelimit")).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn what_people_have_here_is_counted_and_listed() {
    let (campus, root, anna) = campus().await;
    let ben = campus.person("ben").await;
    let upload = async |person: &Person, text: &str| {
        let path = "/_matrix/media/v3/upload";
        person.ask_bytes(http::Method::POST, path, "text/plain", text.as_bytes().to_vec()).await.ok();
    };
    upload(&anna, "long and longer").await;
    upload(&ben, "a").await;
    campus.clock.advance(std::time::Duration::from_secs(60));
    upload(&ben, "bc").await;
    let of = |person: &Person, count: u64, length: u64| json!({ "user_id": person.id, "displayname": null, "media_count": count, "media_length": length });
    let listed = async |query: &str| root.get(&v1(&format!("statistics/users/media{query}"))).await.ok();
    let all = listed("").await;
    assert_eq!(all, json!({ "users": [of(&anna, 1, 15), of(&ben, 2, 3)], "total": 2 }));
    assert_eq!(listed("?order_by=media_length").await["users"][0]["user_id"], json!(ben.id));
    assert_eq!(listed("?order_by=media_count&dir=b").await["users"][0]["user_id"], json!(ben.id));
    assert_eq!(listed("?search_term=nn").await["users"], json!([of(&anna, 1, 15)]));
    assert_eq!(listed(&format!("?from_ts={}", campus.clock_ms())).await["users"], json!([of(&ben, 1, 2)]));
    assert_eq!(listed(&format!("?until_ts={}", campus.clock_ms() - 1)).await["users"][1], of(&ben, 1, 1));
    assert_eq!(listed("?limit=1").await["next_token"], 1);
    root.get(&v1("statistics/users/media?order_by=luck")).await.refused(400, "M_INVALID_PARAM");

    let pusher = json!({
        "kind": "http", "app_id": "org.example", "pushkey": "k", "app_display_name": "App",
        "device_display_name": "Phone", "lang": "en", "data": { "url": "https://push.example/_matrix/push/v1/notify" },
    });
    anna.post("/_matrix/client/v3/pushers/set", pusher).await.ok();
    let pushers = root.get(&v1(&format!("users/{}/pushers", anna.id))).await.ok();
    assert_eq!((&pushers["total"], &pushers["pushers"][0]["app_id"]), (&json!(1), &json!("org.example")));
    root.get(&v1("users/@nobody:alpha.example/pushers")).await.refused(404, "M_NOT_FOUND");
}
