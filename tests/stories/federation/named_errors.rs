//! The errors that the specification names between servers, as far as no story of their own family meets them.

use serde_json::{Value, json};

use super::joining::invitation;
use crate::support::{
    Campus, Person,
    campus::Host,
    encoded,
    peer::{Shared, VERSIONS, json_of},
};

fn make(what: &str, room: &str, user: &str, versions: &str) -> String {
    format!("/_matrix/federation/v1/make_{what}/{}/{}?{versions}", encoded(room), encoded(user))
}

fn restricted(to: &str) -> Value {
    json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": to }] })
}

/// A room of Ann's that only those in this other room may join, in a version in which its maker can lose power.
async fn restricted_room(ann: &Person, to: &str) -> String {
    let rules = json!({ "type": "m.room.join_rules", "content": restricted(to) });
    ann.creates_room_with(json!({ "room_version": "11", "initial_state": [rules] })).await
}

/// From now on nobody in the room has the power to invite.
async fn ends_inviting(ann: &Person, room: &str) {
    let levels = json!({ "users": { &ann.id: 50 }, "invite": 100, "state_default": 50 });
    ann.sets(room, "m.room.power_levels", "", levels).await;
}

async fn two() -> (Campus, Person, Person) {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let ann = campus.person_at("alpha.example", "ann").await;
    let ben = campus.person_at("beta.example", "ben").await;
    (campus, ann, ben)
}

fn hosts(campus: &Campus) -> (&Host, &Host) {
    (campus.host("alpha.example"), campus.host("beta.example"))
}

#[tokio::test]
async fn a_template_says_whether_another_server_should_be_asked() {
    let (campus, ann, ben) = two().await;
    let (alpha, beta) = hosts(&campus);
    let club = ann.creates_public_room().await;
    let room = restricted_room(&ann, &club).await;
    let join = make("join", &room, &ben.id, VERSIONS);
    // Who is not in the club is refused.
    beta.gets(alpha, &join).await.refused_as("servers/makeJoin 403 M_FORBIDDEN");
    beta.brings(alpha, &ben, &club).await;
    beta.gets(alpha, &join).await.ok();
    // Who is, is let in by nobody here when nobody may invite; alpha cannot tell of a club that it is not in.
    ends_inviting(&ann, &room).await;
    beta.gets(alpha, &join).await.refused_as("servers/makeJoin 400 M_UNABLE_TO_GRANT_JOIN");
    let other = restricted_room(&ann, "!elsewhere:gamma.example").await;
    let join = make("join", &other, &ben.id, VERSIONS);
    beta.gets(alpha, &join).await.refused_as("servers/makeJoin 400 M_UNABLE_TO_AUTHORISE_JOIN");
}

#[tokio::test]
async fn a_join_is_judged_as_the_room_is_when_it_comes() {
    let (campus, ann, ben) = two().await;
    let (alpha, beta) = hosts(&campus);
    let club = ann.creates_public_room().await;
    beta.brings(alpha, &ben, &club).await;

    let room = restricted_room(&ann, &club).await;
    let (join, _) = beta.makes(alpha, "join", &room, &ben.id).await;
    ann.sets(&room, "m.room.join_rules", "", restricted("!elsewhere:gamma.example")).await;
    beta.hands_in(alpha, "v2/send_join", &join).await.refused_as("servers/sendJoinV2 400 M_UNABLE_TO_AUTHORISE_JOIN");

    let room = restricted_room(&ann, &club).await;
    let (join, _) = beta.makes(alpha, "join", &room, &ben.id).await;
    ends_inviting(&ann, &room).await;
    beta.hands_in(alpha, "v2/send_join", &join).await.refused_as("servers/sendJoinV2 400 M_UNABLE_TO_GRANT_JOIN");

    let room = ann.creates_public_room().await;
    let (join, _) = beta.makes(alpha, "join", &room, &ben.id).await;
    ann.sets(&room, "m.room.join_rules", "", json!({ "join_rule": "invite" })).await;
    beta.hands_in(alpha, "v2/send_join", &join).await.refused_as("servers/sendJoinV2 403 M_FORBIDDEN");
}

#[tokio::test]
async fn a_knock_is_judged_as_the_room_is_when_it_comes() {
    let (campus, ann, ben) = two().await;
    let (alpha, beta) = hosts(&campus);
    let room = ann.creates_room().await;
    ann.sets(&room, "m.room.join_rules", "", json!({ "join_rule": "knock" })).await;
    let old = beta.gets(alpha, &make("knock", &room, &ben.id, "ver=1")).await;
    assert_eq!(old.refused_as("servers/makeKnock 400 M_INCOMPATIBLE_ROOM_VERSION")["room_version"], "12");
    let nowhere = make("knock", "!nowhere:alpha.example", &ben.id, VERSIONS);
    beta.gets(alpha, &nowhere).await.refused_as("servers/makeKnock 404 M_NOT_FOUND");

    let (knock, _) = beta.makes(alpha, "knock", &room, &ben.id).await;
    ann.sets(&room, "m.room.join_rules", "", json!({ "join_rule": "invite" })).await;
    beta.hands_in(alpha, "v1/send_knock", &knock).await.refused_as("servers/sendKnock 403 M_FORBIDDEN");
    let nowhere = format!("/_matrix/federation/v1/send_knock/!nowhere:alpha.example/{}", encoded(knock.id().as_str()));
    beta.puts(alpha, &nowhere, json_of(&knock)).await.refused_as("servers/sendKnock 404 M_NOT_FOUND");
}

/// An invite of the first two versions as it is put: the event alone.
fn alone(path: &str, body: &Value) -> (String, Value) {
    (path.replace("/v2/", "/v1/"), body["event"].clone())
}

#[tokio::test]
async fn an_invite_is_refused_for_its_reasons() {
    let (campus, ann, ben) = two().await;
    let (alpha, _) = hosts(&campus);
    let newest = ann.creates_room().await;
    let first = ann.creates_room_with(json!({ "room_version": "1" })).await;
    let (path, body) = invitation(alpha, (&ann, &ben.id), &newest, "invite").await;
    let (first_path, first_body) = invitation(alpha, (&ann, &ben.id), &first, "invite").await;
    let (first_path, first_body) = alone(&first_path, &first_body);

    let mut unknown = body.clone();
    unknown["room_version"] = "org.example.future".into();
    beta_is_put(&campus, &path, unknown, "servers/sendInviteV2 400 M_INCOMPATIBLE_ROOM_VERSION").await;
    for missing in ["room_version", "event"] {
        let mut less = body.clone();
        less.as_object_mut().expect("an object").remove(missing);
        beta_is_put(&campus, &path, less, "servers/sendInviteV2 400 M_MISSING_PARAM").await;
    }
    let (mut unsigned, mut first_unsigned) = (body.clone(), first_body.clone());
    unsigned["event"]["signatures"] = json!({});
    first_unsigned["signatures"] = json!({});
    beta_is_put(&campus, &path, unsigned, "servers/sendInviteV2 400 M_INVALID_PARAM").await;
    beta_is_put(&campus, &first_path, first_unsigned, "servers/sendInviteV1 400 M_INVALID_PARAM").await;

    let block = format!("/_matrix/client/v3/user/{}/account_data/m.invite_permission_config", encoded(&ben.id));
    ben.put(&block, json!({ "default_action": "block" })).await.ok();
    beta_is_put(&campus, &path, body, "servers/sendInviteV2 403 M_INVITE_BLOCKED").await;
    beta_is_put(&campus, &first_path, first_body, "servers/sendInviteV1 403 M_INVITE_BLOCKED").await;
    let invites = ben.syncs("timeout=0").await["rooms"]["invite"].clone();
    assert!(invites.as_object().is_none_or(serde_json::Map::is_empty), "ben hears of none of them: {invites}");
}

/// Puts something at beta in alpha's name, and is refused.
async fn beta_is_put(campus: &Campus, path: &str, body: Value, refusal: &str) {
    let (alpha, beta) = hosts(campus);
    alpha.puts(beta, path, body).await.refused_as(refusal);
}

#[tokio::test]
async fn a_server_that_is_kept_out_of_a_room_invites_nobody_to_it() {
    let (campus, ann, ben) = two().await;
    let (alpha, beta) = hosts(&campus);
    let bea = beta.person("bea").await;
    for version in ["1", "12"] {
        let room = ann.creates_room_with(json!({ "preset": "public_chat", "room_version": version })).await;
        beta.brings(alpha, &ben, &room).await;
        let (path, body) = invitation(alpha, (&ann, &bea.id), &room, "invite").await;
        let acl = json!({ "allow": ["*"], "deny": ["alpha.example"], "allow_ip_literals": false });
        ann.sets(&room, "m.room.server_acl", "", acl).await;
        campus.settle().await;
        match version {
            "1" => {
                let (path, event) = alone(&path, &body);
                beta_is_put(&campus, &path, event, "servers/sendInviteV1 403 M_FORBIDDEN").await;
            }
            _ => beta_is_put(&campus, &path, body, "servers/sendInviteV2 403 M_FORBIDDEN").await,
        }
    }
}

#[tokio::test]
async fn what_is_asked_of_the_wrong_server_or_about_nothing_is_not_told() {
    let shared = Shared::begin().await;
    let (alpha, beta, gamma) = (shared.alpha(), shared.beta(), shared.gamma());
    let event = shared.ann.says(&shared.room, "here").await;
    let ids = |room: &str, event: &str| {
        format!("/_matrix/federation/v1/state_ids/{}?event_id={}", encoded(room), encoded(event))
    };
    gamma.gets(alpha, &ids(&shared.room, &event)).await.refused_as("servers/getRoomStateIds 403 M_FORBIDDEN");
    beta.gets(alpha, &ids(&shared.room, "$nothing")).await.refused_as("servers/getRoomStateIds 404 M_NOT_FOUND");
    let alias = "/_matrix/federation/v1/query/directory?room_alias=%23nothing:alpha.example";
    beta.gets(alpha, alias).await.refused_as("servers/queryRoomDirectory 404 M_NOT_FOUND");
    for user in ["@nobody:alpha.example", &shared.ben.id] {
        let profile = format!("/_matrix/federation/v1/query/profile?user_id={}", encoded(user));
        beta.gets(alpha, &profile).await.refused_as("servers/queryProfile 404 M_NOT_FOUND");
    }
    let token = "/_matrix/federation/v1/openid/userinfo?access_token=made_up";
    alpha.stranger().get(token).await.refused_as("servers/exchangeOpenIdToken 401 M_UNKNOWN_TOKEN");
}
