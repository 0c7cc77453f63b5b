//! Coming into rooms of another server and out of them: joins, leaves, knocks, invites.

use lyceum_events::{Draft, sign};
use lyceum_rooms::Membership;
use ruma::RoomVersionId;
use serde_json::{Value, json};

use crate::support::{
    Campus, Person,
    campus::Host,
    encoded,
    gateway::Outsider,
    peer::{Forged, VERSIONS, json_of},
};

async fn two() -> Campus {
    Campus::of(["alpha.example", "beta.example"]).await
}

fn hosts(campus: &Campus) -> (&Host, &Host) {
    (campus.host("alpha.example"), campus.host("beta.example"))
}

async fn people(campus: &Campus) -> (Person, Person) {
    (campus.person_at("alpha.example", "ann").await, campus.person_at("beta.example", "ben").await)
}

#[tokio::test]
async fn a_room_of_another_server_is_joined_in_every_version() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    for version in ["1", "2", "3", "5", "6", "9", "10", "11", "12"] {
        let room = ann.creates_room_with(json!({ "preset": "public_chat", "room_version": version })).await;
        beta.brings(alpha, &ben, &room).await;
        assert_eq!(alpha.membership(&room, &ben.id).await, Membership::Join, "in version {version}");
        ann.says(&room, &format!("welcome to {version}")).await;
        ben.sees(&room, &format!("welcome to {version}")).await;
        ben.says(&room, &format!("glad to be in {version}")).await;
        ann.sees(&room, &format!("glad to be in {version}")).await;
    }
    campus.settle().await;
    alpha.is_sound().await;
    beta.is_sound().await;
}

#[tokio::test]
async fn a_join_is_answered_with_the_state_before_it() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let room = ann.creates_room_with(json!({ "preset": "public_chat", "name": "Greek" })).await;
    let (event, _) = beta.makes(alpha, "join", &room, &ben.id).await;
    let told = beta.hands_in(alpha, "v2/send_join", &event).await.ok();
    let kinds = |list: &Value| -> Vec<String> {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert!(kinds(&told["state"]).contains(&"m.room.name".to_owned()));
    assert!(kinds(&told["auth_chain"]).contains(&"m.room.power_levels".to_owned()));
    assert!(!told["state"].to_string().contains(&ben.id), "the join itself is not in the state before it");
    assert_eq!((told.get("event"), told.get("members_omitted")), (None, None));
    // Who asks again, because the answer was lost, is answered again.
    let again = beta.hands_in(alpha, "v2/send_join", &event).await.ok();
    assert_eq!(again["state"].as_array().map(Vec::len), told["state"].as_array().map(Vec::len));
    // Very old servers get it in a pair.
    let pair = beta.hands_in(alpha, "v1/send_join", &event).await.ok();
    assert_eq!(
        (&pair[0], pair[1]["state"].as_array().map(Vec::len)),
        (&json!(200), told["state"].as_array().map(Vec::len))
    );
}

#[tokio::test]
async fn members_are_left_out_for_who_can_do_without() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let room = ann.creates_public_room().await;
    for n in 0..10 {
        alpha.person(&format!("guest{n}")).await.joins(&room).await;
    }
    let (event, _) = beta.makes(alpha, "join", &room, &ben.id).await;
    let (room_path, id) = (encoded(&room), encoded(event.id().as_str()));
    let path = format!("/_matrix/federation/v2/send_join/{room_path}/{id}?omit_members=true");
    let told = beta.puts(alpha, &path, json_of(&event)).await.ok();
    let members =
        told["state"].as_array().into_iter().flatten().filter(|event| event["type"] == "m.room.member").count();
    assert_eq!(told["members_omitted"], true);
    assert_eq!(told["servers_in_room"], json!(["alpha.example"]));
    assert!((1..=6).contains(&members), "a few members name the room, not {members}");
}

#[tokio::test]
async fn a_template_is_refused_for_its_reasons() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let private = ann.creates_room().await;
    let make = |what: &str, room: &str, user: &str, versions: &str| {
        format!("/_matrix/federation/v1/make_{what}/{}/{}?{versions}", encoded(room), encoded(user))
    };
    beta.gets(alpha, &make("join", &private, &ben.id, VERSIONS)).await.refused_as("servers/makeJoin 403 M_FORBIDDEN");
    beta.gets(alpha, &make("join", &private, &ann.id, VERSIONS)).await.refused(403, "M_FORBIDDEN");
    beta.gets(alpha, &make("join", "!nowhere:alpha.example", &ben.id, VERSIONS))
        .await
        .refused_as("servers/makeJoin 404 M_NOT_FOUND");
    beta.gets(alpha, &make("knock", &private, &ben.id, VERSIONS)).await.refused_as("servers/makeKnock 403 M_FORBIDDEN");
    beta.gets(alpha, &make("leave", &private, &ben.id, "")).await.refused_as("servers/makeLeave 403 M_FORBIDDEN");
    let room = ann.creates_public_room().await;
    let old = beta.gets(alpha, &make("join", &room, &ben.id, "ver=1&ver=9")).await;
    assert_eq!(old.refused_as("servers/makeJoin 400 M_INCOMPATIBLE_ROOM_VERSION")["room_version"], "12");
    beta.gets(alpha, &make("join", &room, &ben.id, "")).await.refused(400, "M_INCOMPATIBLE_ROOM_VERSION");
    // Nobody but servers is answered.
    let stranger = alpha.stranger().get(&make("join", &room, &ben.id, VERSIONS)).await;
    stranger.refused(401, "M_UNAUTHORIZED");
    ann.get(&make("join", &room, &ben.id, VERSIONS)).await.refused(401, "M_UNAUTHORIZED");
}

#[tokio::test]
async fn a_membership_that_is_not_what_it_should_be_is_refused() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let room = ann.creates_public_room().await;
    let (join, version) = beta.makes(alpha, "join", &room, &ben.id).await;
    let rules = version.rules().expect("rules");
    // Changed after it was signed: with another id it is another event, with the same one its content is not its own.
    let mut changed = json_of(&join);
    changed["origin_server_ts"] = json!(7);
    let path = |id: &str| format!("/_matrix/federation/v2/send_join/{}/{}", encoded(&room), encoded(id));
    beta.puts(alpha, &path(join.id().as_str()), changed).await.refused_as("servers/sendJoinV2 400 M_INVALID_PARAM");
    let mut renamed = json_of(&join);
    renamed["content"]["displayname"] = json!("somebody else");
    beta.puts(alpha, &path(join.id().as_str()), renamed).await.refused(400, "M_INVALID_PARAM");
    // Signed by nobody.
    let mut unsigned = json_of(&join);
    unsigned["signatures"] = json!({});
    beta.puts(alpha, &path(join.id().as_str()), unsigned).await.refused(400, "M_INVALID_PARAM");
    // A leave is no join, a message is neither, and somebody else's join is not beta's to send.
    beta.hands_in(alpha, "v2/send_leave", &join).await.refused_as("servers/sendLeaveV2 400 M_INVALID_PARAM");
    beta.hands_in(alpha, "v1/send_knock", &join).await.refused_as("servers/sendKnock 400 M_INVALID_PARAM");
    let mut of_ann = json_of(&join);
    (of_ann["sender"], of_ann["state_key"]) = (json!(ann.id), json!(ann.id));
    of_ann.as_object_mut().expect("an object").remove("signatures");
    let of_ann = sign(serde_json::from_value(of_ann).expect("canonical"), &rules, &beta.key).expect("it can be signed");
    beta.hands_in(alpha, "v2/send_join", &of_ann).await.refused(403, "M_FORBIDDEN");
    beta.puts(alpha, &path(join.id().as_str()), json!([])).await.refused(400, "M_BAD_JSON");
    assert_eq!(alpha.membership(&room, &ben.id).await, Membership::Leave);
    beta.hands_in(alpha, "v2/send_join", &join).await.ok();
    assert_eq!(alpha.membership(&room, &ben.id).await, Membership::Join);
}

#[tokio::test]
async fn a_leave_is_taken_up() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    for (endpoint, answer) in [("v2/send_leave", json!({})), ("v1/send_leave", json!([200, {}]))] {
        let room = ann.creates_public_room().await;
        let (join, _) = beta.makes(alpha, "join", &room, &ben.id).await;
        beta.hands_in(alpha, "v2/send_join", &join).await.ok();
        let (leave, _) = beta.makes(alpha, "leave", &room, &ben.id).await;
        assert_eq!(beta.hands_in(alpha, endpoint, &leave).await.ok(), answer);
        assert_eq!(alpha.membership(&room, &ben.id).await, Membership::Leave);
    }
}

#[tokio::test]
async fn a_knock_is_taken_up_and_told_what_the_room_is() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let room = ann.creates_room_with(json!({ "name": "Greek" })).await;
    ann.sets(&room, "m.room.join_rules", "", json!({ "join_rule": "knock" })).await;
    let (knock, _) = beta.makes(alpha, "knock", &room, &ben.id).await;
    let told = beta.hands_in(alpha, "v1/send_knock", &knock).await.ok();
    let told = told["knock_room_state"].as_array().cloned().expect("a list");
    let create = told.iter().find(|event| event["type"] == "m.room.create").expect("the create event");
    assert!(create["signatures"]["alpha.example"].is_object(), "events are whole: {create}");
    assert!(told.iter().any(|event| event["content"]["name"] == "Greek"));
    assert_eq!(alpha.membership(&room, &ben.id).await, Membership::Knock);
}

#[tokio::test]
async fn a_restricted_room_is_joined_with_somebody_vouching() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let club = ann.creates_public_room().await;
    let room = ann.creates_room().await;
    let rule = json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": club }] });
    ann.sets(&room, "m.room.join_rules", "", rule).await;
    let path = format!("/_matrix/federation/v1/make_join/{}/{}?{VERSIONS}", encoded(&room), encoded(&ben.id));
    let refused = beta.gets(alpha, &path).await;
    assert!(refused.status >= 400, "nobody vouches for who is not in the club: {refused:?}");
    beta.brings(alpha, &ben, &club).await;
    let (join, _) = beta.makes(alpha, "join", &room, &ben.id).await;
    let told = beta.hands_in(alpha, "v2/send_join", &join).await.ok();
    assert!(told["event"]["signatures"]["alpha.example"].is_object(), "alpha signs the join: {told}");
    assert!(told["event"]["signatures"]["beta.example"].is_object());
    assert_eq!(alpha.membership(&room, &ben.id).await, Membership::Join);
}

/// The body of an invite of `guest`, and the path it is put at.
pub(super) async fn invitation(host: &Host, (ann, guest): (&Person, &str), room: &str, kind: &str) -> (String, Value) {
    let content = serde_json::from_value(json!({ "membership": kind })).expect("canonical");
    let event = host.forges(room, &ann.id, Draft::state("m.room.member", guest, content), Forged::default()).await;
    let snapshot = host.server.rooms().snapshot(event.room()).await.expect("the room is here");
    let create = snapshot.kept(&ruma::events::StateEventType::RoomCreate).expect("every room begins");
    let body = json!({
        "room_version": snapshot.version(), "event": json_of(&event), "invite_room_state": [json_of(create)],
    });
    let (room, id) = (encoded(room), encoded(event.id().as_str()));
    (format!("/_matrix/federation/v2/invite/{room}/{id}"), body)
}

#[tokio::test]
async fn an_invite_is_signed_and_shown() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let room = ann.creates_room().await;
    let (path, body) = invitation(alpha, (&ann, &ben.id), &room, "invite").await;
    let answer = alpha.puts(beta, &path, body).await.ok();
    for server in ["alpha.example", "beta.example"] {
        assert!(answer["event"]["signatures"][server].is_object(), "{server} should have signed {answer}");
    }
    let sync = ben.syncs("timeout=0").await;
    let shown = &sync["rooms"]["invite"][&room]["invite_state"]["events"];
    assert!(shown.to_string().contains("m.room.create"), "ben should see the invite in {sync}");
    assert!(!shown.to_string().contains("signatures"), "clients are shown stripped state: {shown}");
}

#[tokio::test]
async fn an_invite_of_the_first_two_versions_is_answered_in_a_pair() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let room = ann.creates_room_with(json!({ "room_version": "1" })).await;
    let (path, body) = invitation(alpha, (&ann, &ben.id), &room, "invite").await;
    let mut event = body["event"].clone();
    event["unsigned"]["invite_room_state"] = body["invite_room_state"].clone();
    let answer = alpha.puts(beta, &path.replace("/v2/", "/v1/"), event).await.ok();
    assert_eq!(answer[0], 200);
    assert!(answer[1]["event"]["signatures"]["beta.example"].is_object());
    let sync = ben.syncs("timeout=0").await;
    assert!(sync["rooms"]["invite"][&room]["invite_state"]["events"].to_string().contains("m.room.create"));
}

#[tokio::test]
async fn an_invite_that_is_none_is_not_signed() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let room = ann.creates_room().await;
    let (good_path, good) = invitation(alpha, (&ann, &ben.id), &room, "invite").await;
    let refuse = async |path: &str, body: Value, status: u16, code: &str| {
        alpha.puts(beta, path, body).await.refused(status, code);
    };
    let mut unknown = good.clone();
    unknown["room_version"] = json!("org.example.future");
    refuse(&good_path, unknown, 400, "M_INCOMPATIBLE_ROOM_VERSION").await;
    let mut homeless = good.clone();
    homeless["invite_room_state"] = json!([]);
    refuse(&good_path, homeless, 400, "M_INVALID_PARAM").await;
    let mut unsigned = good.clone();
    unsigned["event"]["signatures"] = json!({});
    refuse(&good_path, unsigned, 400, "M_INVALID_PARAM").await;
    let (path, join) = invitation(alpha, (&ann, &ben.id), &room, "join").await;
    refuse(&path, join, 400, "M_INVALID_PARAM").await;
    let (path, elsewhere) = invitation(alpha, (&ann, "@cat:gamma.example"), &room, "invite").await;
    refuse(&path, elsewhere, 400, "M_INVALID_PARAM").await;
    let other = ann.creates_room().await;
    let (_, of_other) = invitation(alpha, (&ann, &ben.id), &other, "invite").await;
    let mut mixed = good.clone();
    mixed["invite_room_state"] = of_other["invite_room_state"].clone();
    refuse(&good_path, mixed, 400, "M_INVALID_PARAM").await;
    refuse(&good_path, json!([]), 400, "M_BAD_JSON").await;
    assert!(ben.syncs("timeout=0").await["rooms"]["invite"].get(&room).is_none());
    alpha.stranger().put(&good_path, good.clone()).await.refused(401, "M_UNAUTHORIZED");
    assert_eq!(RoomVersionId::V12.as_str(), good["room_version"]);
    alpha.puts(beta, &good_path, good).await.ok();
}

#[tokio::test]
async fn an_invite_that_is_taken_back_is_gone() {
    let campus = Campus::of(["alpha.example", "beta.example", "gamma.example"]).await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let eve = campus.person_at("gamma.example", "eve").await;
    let room = ann.creates_room().await;
    let (path, body) = invitation(alpha, (&ann, &ben.id), &room, "invite").await;
    alpha.puts(beta, &path, body).await.ok();
    assert!(ben.syncs("timeout=0").await["rooms"]["invite"].get(&room).is_some());
    let leave = || {
        let content = serde_json::from_value(json!({ "membership": "leave" })).expect("canonical");
        Draft::state("m.room.member", ben.id.clone(), content)
    };
    // Not by a server that has nothing to do with the room.
    let gamma = campus.host("gamma.example");
    let of_eve = eve.creates_room().await;
    let mut forged = json_of(&gamma.forges(&of_eve, &eve.id, leave(), Forged::default()).await);
    forged["room_id"] = json!(room);
    forged.as_object_mut().expect("an object").remove("signatures");
    let rules = RoomVersionId::V12.rules().expect("rules");
    let forged = sign(serde_json::from_value(forged).expect("canonical"), &rules, &gamma.key).expect("signed");
    assert_eq!(gamma.sends(beta, "1", &[json_of(&forged)]).await.ok(), json!({ "pdus": {} }));
    let taken_back = alpha.forges(&room, &ann.id, leave(), Forged::default()).await;
    alpha.sends(beta, "1", &[json_of(&taken_back)]).await.ok();
    let sync = ben.syncs("timeout=0").await;
    assert!(sync["rooms"]["leave"].get(&room).is_some(), "the invite should be gone: {sync}");
}

#[tokio::test]
async fn nobody_is_asked_in_who_is_not_there() {
    let campus = two().await;
    let ((alpha, beta), (ann, ben)) = (hosts(&campus), people(&campus).await);
    let root = beta.admin("root").await;
    let room = ann.creates_room().await;
    let (path, body) = invitation(alpha, (&ann, "@nobody:beta.example"), &room, "invite").await;
    alpha.puts(beta, &path, body).await.refused(403, "M_FORBIDDEN");
    let old = ann.creates_room_with(json!({ "room_version": "1" })).await;
    let (path, body) = invitation(alpha, (&ann, "@nobody:beta.example"), &old, "invite").await;
    alpha.puts(beta, &path.replace("/v2/", "/v1/"), body["event"].clone()).await.refused(403, "M_FORBIDDEN");
    let nobody = ruma::user_id!("@nobody:beta.example");
    assert!(beta.server.rooms().memberships(nobody).await.expect("the store answers").is_empty());
    // Who is locked out may be let in again; who has gone has gone.
    root.put(&format!("/_synapse/admin/v2/users/{}", encoded(&ben.id)), json!({ "locked": true })).await.ok();
    let (path, body) = invitation(alpha, (&ann, &ben.id), &room, "invite").await;
    alpha.puts(beta, &path, body.clone()).await.ok();
    root.post(&format!("/_synapse/admin/v1/deactivate/{}", encoded(&ben.id)), json!({})).await.ok();
    alpha.puts(beta, &path, body).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_ghost_of_a_bridge_is_made_when_it_is_asked_in() {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let file = folder.path().join("irc.yaml");
    let registration = json!({
        "id": "irc", "url": "http://bridge.example/", "as_token": "the bridge's own token", "hs_token": "the server's token", "sender_localpart": "ircbot",
        "namespaces": { "users": [{ "exclusive": true, "regex": "@irc_.*" }], "aliases": [], "rooms": [] },
    });
    std::fs::write(&file, registration.to_string()).expect("a file can be written");
    let settings = format!("appservices.files = [{:?}]", file.display().to_string());
    let campus = Campus::with(["alpha.example", "beta.example"], &settings).await;
    let bridge = Outsider::at(&campus, "bridge.example");
    let (alpha, beta) = hosts(&campus);
    let ann = campus.person_at("alpha.example", "ann").await;
    let room = ann.creates_room().await;
    let (path, body) = invitation(alpha, (&ann, "@irc_cat:beta.example"), &room, "invite").await;
    bridge.answers_at("/_matrix/app/v1/users/", 404, json!({}));
    alpha.puts(beta, &path, body.clone()).await.refused(403, "M_FORBIDDEN");
    bridge.hears("who is wanted", |call| call.path.contains("users/%40irc_cat%3Abeta.example")).await;
    let bot = beta.stranger().with_token(&json!("the bridge's own token"));
    let made = json!({ "type": "m.login.application_service", "username": "irc_cat", "inhibit_login": true });
    bot.post("/_matrix/client/v3/register", made).await.ok();
    alpha.puts(beta, &path, body).await.ok();
}
