//! Coming, going, being asked in and sent away, from server to server.

use serde_json::json;

use super::{ALPHA, BETA, GAMMA, LONG, Two, at, hears, join_path, joins, membership, public};
use crate::support::{Campus, encoded};

#[tokio::test]
async fn rooms_of_every_version_are_joined_and_both_talk() {
    let two = Two::meet().await;
    for version in ["1", "2", "3", "6", "9", "10", "11", "12"] {
        let room = two.share(json!({ "room_version": version })).await;
        assert_eq!(membership(&two.ann, &room, &two.ben).await, "join", "in version {version}");
        two.ann.says(&room, "from alpha").await;
        two.ben.sees(&room, "from alpha").await;
        two.ben.says(&room, "from beta").await;
        two.ann.sees(&room, "from beta").await;
        two.agree(&room).await;
    }
}

#[tokio::test]
async fn a_room_is_joined_by_its_alias() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({ "room_alias_name": "hall" })).await;
    let alias = "#hall:alpha.example";
    let told = two.ben.get(&format!("/_matrix/client/v3/directory/room/{}", encoded(alias))).await.ok();
    assert_eq!((told["room_id"].as_str(), told["servers"][0].as_str()), (Some(&*room), Some(ALPHA)));
    two.ben.joins(alias).await;
    assert_eq!(membership(&two.ann, &room, &two.ben).await, "join");
    let missing = format!("/_matrix/client/v3/join/{}", encoded("#nowhere:alpha.example"));
    two.ben.post(&missing, json!({})).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_join_goes_by_whichever_server_helps() {
    let campus = Campus::of([ALPHA, BETA, GAMMA]).await;
    let (ann, ben) = (campus.person_at(ALPHA, "ann").await, campus.person_at(BETA, "ben").await);
    let cat = campus.person_at(GAMMA, "cat").await;
    let room = public(&ann, json!({})).await;
    joins(&ben, &room, ALPHA).await;
    campus.settle().await;
    campus.wires.cut(ALPHA, GAMMA);
    let path = format!("/_matrix/client/v3/join/{}?via={ALPHA}&via=nowhere.example&via={BETA}", encoded(&room));
    cat.post(&path, json!({})).await.ok();
    cat.says(&room, "by beta's help").await;
    ben.sees(&room, "by beta's help").await;
    campus.wires.heal(ALPHA, GAMMA);
    campus.clock.advance(LONG);
    campus.settle().await;
    ann.sees(&room, "by beta's help").await;
}

#[tokio::test]
async fn who_cannot_be_helped_is_told_why() {
    let two = Two::meet().await;
    let room = two.ann.creates_room().await;
    two.ben.post(&join_path(&room, ALPHA), json!({})).await.refused(403, "M_FORBIDDEN");
    two.ben.post(&join_path("!unknown:alpha.example", ALPHA), json!({})).await.refused(404, "M_NOT_FOUND");
    two.ben.post(&join_path(&room, BETA), json!({})).await.refused(404, "M_NOT_FOUND");
    two.campus.wires.cut(ALPHA, BETA);
    two.ben.post(&join_path(&room, ALPHA), json!({})).await.refused(502, "M_UNKNOWN");
}

#[tokio::test]
async fn an_invite_is_seen_with_the_rooms_name_and_taken() {
    let two = Two::meet().await;
    let room = two.ann.creates_room_with(json!({ "preset": "private_chat", "name": "Private" })).await;
    two.ann.invites(&room, &two.ben).await;
    let invite = hears(&two.ben, &room, "invite").await;
    assert!(invite["invite_state"]["events"].to_string().contains("Private"), "{invite}");
    two.ben.joins(&room).await;
    two.ann.says(&room, "welcome").await;
    two.ben.sees(&room, "welcome").await;
    two.agree(&room).await;
}

#[tokio::test]
async fn an_invite_with_the_creation_is_declined_or_withdrawn() {
    let two = Two::meet().await;
    let how = json!({ "preset": "private_chat", "invite": [two.ben.id] });
    let declined = two.ann.creates_room_with(how.clone()).await;
    hears(&two.ben, &declined, "invite").await;
    two.ben.leaves(&declined).await;
    hears(&two.ben, &declined, "leave").await;
    assert_eq!(membership(&two.ann, &declined, &two.ben).await, "leave");

    let withdrawn = two.ann.creates_room_with(how).await;
    hears(&two.ben, &withdrawn, "invite").await;
    two.ann.post(&at(&withdrawn, "kick"), json!({ "user_id": two.ben.id })).await.ok();
    two.campus.settle().await;
    hears(&two.ben, &withdrawn, "leave").await;
}

#[tokio::test]
async fn an_invite_from_a_server_that_is_gone_can_still_be_declined() {
    let two = Two::meet().await;
    let room = two.ann.creates_room().await;
    two.ann.invites(&room, &two.ben).await;
    hears(&two.ben, &room, "invite").await;
    two.campus.wires.cut(ALPHA, BETA);
    two.ben.leaves(&room).await;
    hears(&two.ben, &room, "leave").await;
}

#[tokio::test]
async fn nobody_is_invited_at_a_server_that_does_not_sign() {
    let two = Two::meet().await;
    let room = two.ann.creates_room().await;
    two.campus.wires.cut(ALPHA, BETA);
    two.ann.post(&at(&room, "invite"), json!({ "user_id": two.ben.id })).await.refused(502, "M_UNKNOWN");
    assert_eq!(membership(&two.ann, &room, &two.ben).await, "none");
}

#[tokio::test]
async fn a_knock_is_seen_let_in_or_taken_back() {
    let two = Two::meet().await;
    let rule = json!([{ "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } }]);
    let how = json!({ "preset": "private_chat", "initial_state": rule, "name": "Door" });
    let knock = |room: &str| format!("/_matrix/client/v3/knock/{}?via={ALPHA}", encoded(room));

    let room = two.ann.creates_room_with(how.clone()).await;
    two.ben.post(&knock(&room), json!({ "reason": "please" })).await.ok();
    let seen = hears(&two.ben, &room, "knock").await;
    assert!(seen["knock_state"]["events"].to_string().contains("Door"), "{seen}");
    assert_eq!(membership(&two.ann, &room, &two.ben).await, "knock");
    two.ann.invites(&room, &two.ben).await;
    hears(&two.ben, &room, "invite").await;
    two.ben.joins(&room).await;
    assert_eq!(membership(&two.ann, &room, &two.ben).await, "join");

    let other = two.ann.creates_room_with(how).await;
    two.ben.post(&knock(&other), json!({})).await.ok();
    two.ben.leaves(&other).await;
    hears(&two.ben, &other, "leave").await;
    assert_eq!(membership(&two.ann, &other, &two.ben).await, "leave");

    let closed = two.ann.creates_room().await;
    two.ben.post(&knock(&closed), json!({})).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_restricted_room_lets_in_who_is_in_its_space() {
    let two = Two::meet().await;
    let space = public(&two.ann, json!({ "creation_content": { "type": "m.space" } })).await;
    let rule = json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": space }] });
    let rule = json!([{ "type": "m.room.join_rules", "state_key": "", "content": rule }]);
    let room = two.ann.creates_room_with(json!({ "preset": "private_chat", "initial_state": rule })).await;
    two.ben.post(&join_path(&room, ALPHA), json!({})).await.refused(403, "M_FORBIDDEN");
    joins(&two.ben, &space, ALPHA).await;
    joins(&two.ben, &room, ALPHA).await;
    two.campus.settle().await;
    let path = at(&room, &format!("state/m.room.member/{}", encoded(&two.ben.id)));
    let member = two.ann.get(&path).await.ok();
    assert_eq!(member["join_authorised_via_users_server"].as_str(), Some(&*two.ann.id));
    // Another of beta comes in: beta is in the room, and cannot vouch for anybody by itself.
    let bea = two.campus.person_at(BETA, "bea").await;
    joins(&bea, &space, ALPHA).await;
    joins(&bea, &room, ALPHA).await;
    two.campus.settle().await;
    assert_eq!(membership(&two.ann, &room, &bea).await, "join");
    two.agree(&room).await;
}

#[tokio::test]
async fn who_is_kicked_or_banned_hears_of_it_and_can_come_again_once_permitted() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    two.ben.syncs("timeout=0").await;
    two.ann.post(&at(&room, "kick"), json!({ "user_id": two.ben.id, "reason": "pause" })).await.ok();
    two.campus.settle().await;
    hears(&two.ben, &room, "leave").await;
    joins(&two.ben, &room, ALPHA).await;
    two.ann.post(&at(&room, "ban"), json!({ "user_id": two.ben.id })).await.ok();
    two.campus.settle().await;
    hears(&two.ben, &room, "leave").await;
    two.ben.post(&join_path(&room, ALPHA), json!({})).await.refused(403, "M_FORBIDDEN");
    two.ann.post(&at(&room, "unban"), json!({ "user_id": two.ben.id })).await.ok();
    joins(&two.ben, &room, ALPHA).await;
    assert_eq!(membership(&two.ann, &room, &two.ben).await, "join");
    two.ann.says(&room, "no hard feelings").await;
    two.ben.sees(&room, "no hard feelings").await;
    two.agree(&room).await;
}

#[tokio::test]
async fn who_left_comes_again() {
    let two = Two::meet().await;
    let room = two.share(json!({})).await;
    two.ben.leaves(&room).await;
    two.campus.settle().await;
    assert_eq!(membership(&two.ann, &room, &two.ben).await, "leave");
    two.ann.says(&room, "alone").await;
    joins(&two.ben, &room, ALPHA).await;
    two.campus.settle().await;
    two.ben.says(&room, "here again").await;
    two.ann.sees(&room, "here again").await;
    two.agree(&room).await;
}

#[tokio::test]
async fn guests_stay_in_the_rooms_of_their_own_server() {
    let two = Two::meet().await;
    let room = public(&two.ann, json!({ "guest_can_join": true })).await;
    let guest = two.campus.host(BETA).stranger();
    let registered = guest.post("/_matrix/client/v3/register?kind=guest", json!({})).await;
    // A server that takes no guests has nobody to refuse.
    if registered.status == 200 {
        let guest = guest.with_token(&registered.json["access_token"]);
        guest.post(&join_path(&room, ALPHA), json!({})).await.refused(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn who_comes_by_one_server_is_seen_by_the_others() {
    let campus = Campus::of([ALPHA, BETA, GAMMA]).await;
    let (ann, ben) = (campus.person_at(ALPHA, "ann").await, campus.person_at(BETA, "ben").await);
    let cat = campus.person_at(GAMMA, "cat").await;
    let rule = json!([{ "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } }]);
    let how = json!({ "preset": "private_chat", "initial_state": rule, "invite": [cat.id] });
    let room = ann.creates_room_with(how).await;
    joins(&cat, &room, ALPHA).await;
    campus.settle().await;
    // Beta is not in the room and tells nobody there: what gamma hears it hears of alpha.
    let knock = format!("/_matrix/client/v3/knock/{}?via={ALPHA}", encoded(&room));
    ben.post(&knock, json!({})).await.ok();
    campus.settle().await;
    assert_eq!(membership(&cat, &room, &ben).await, "knock");
    ann.invites(&room, &ben).await;
    campus.settle().await;
    ben.leaves(&room).await;
    campus.settle().await;
    assert_eq!(membership(&cat, &room, &ben).await, "leave");
    ann.invites(&room, &ben).await;
    joins(&ben, &room, ALPHA).await;
    campus.settle().await;
    assert_eq!(membership(&cat, &room, &ben).await, "join");
}

#[tokio::test]
async fn an_invite_to_a_room_that_everybody_left_is_declined() {
    let two = Two::meet().await;
    let room = two.ann.creates_room_with(json!({ "preset": "private_chat", "invite": [two.ben.id] })).await;
    hears(&two.ben, &room, "invite").await;
    two.ann.leaves(&room).await;
    two.ben.leaves(&room).await;
    let left = hears(&two.ben, &room, "leave").await;
    let event = &left["timeline"]["events"][0];
    assert_eq!((&event["content"]["membership"], &event["state_key"]), (&json!("leave"), &json!(two.ben.id)), "{left}");
    let whole = encoded(r#"{"room":{"include_leave":true}}"#);
    let first = two.ben.on_another_device().await.syncs(&format!("timeout=0&filter={whole}")).await;
    assert_eq!(first["rooms"]["leave"][&room]["timeline"]["events"][0]["event_id"], event["event_id"], "{first}");
}

#[tokio::test]
async fn only_who_asked_somebody_in_takes_it_back() {
    let two = Two::meet().await;
    let ada = two.campus.person_at(ALPHA, "ada").await;
    let room = two.ann.creates_room_with(json!({ "preset": "private_chat", "invite": [ada.id] })).await;
    ada.joins(&room).await;
    ada.invites(&room, &two.ben).await;
    hears(&two.ben, &room, "invite").await;
    // Whether Ann may is known to those only who know the room's state.
    two.ann.post(&at(&room, "kick"), json!({ "user_id": two.ben.id })).await.ok();
    two.campus.settle().await;
    let sync = two.ben.on_another_device().await.syncs("timeout=0").await;
    assert!(sync["rooms"]["invite"].get(&room).is_some(), "{sync}");
}

#[tokio::test]
async fn a_server_that_left_the_space_vouches_for_nobody_in_it() {
    let campus = Campus::of([ALPHA, BETA, GAMMA]).await;
    let (ann, ben) = (campus.person_at(ALPHA, "ann").await, campus.person_at(BETA, "ben").await);
    let cat = campus.person_at(GAMMA, "cat").await;
    let space = public(&ann, json!({ "creation_content": { "type": "m.space" } })).await;
    let rule = json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": space }] });
    let rule = json!([{ "type": "m.room.join_rules", "state_key": "", "content": rule }]);
    let how =
        json!({ "preset": "private_chat", "initial_state": rule, "power_level_content_override": { "invite": 0 } });
    let room = ann.creates_room_with(how).await;
    for who in [&ben, &cat] {
        joins(who, &space, ALPHA).await;
    }
    joins(&ben, &room, ALPHA).await;
    campus.settle().await;
    ben.leaves(&space).await;
    campus.settle().await;
    // Beta remembers Cat in the space, and cannot know whether she still is.
    let refused = cat.post(&join_path(&room, BETA), json!({})).await;
    refused.refused(400, "M_UNABLE_TO_AUTHORISE_JOIN");
    cat.post(&format!("{}&via={ALPHA}", join_path(&room, BETA)), json!({})).await.ok();
    campus.settle().await;
    let member = ann.get(&at(&room, &format!("state/m.room.member/{}", encoded(&cat.id)))).await.ok();
    assert_eq!(member["join_authorised_via_users_server"].as_str(), Some(&*ann.id));
    // Who vouches is not for the client to say.
    let own = json!({ "membership": "join", "displayname": "Cat", "join_authorised_via_users_server": "nobody" });
    cat.sets(&room, "m.room.member", &cat.id, own).await;
}
