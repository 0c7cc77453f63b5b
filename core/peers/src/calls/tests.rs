//! A few calls of each kind over the wire: what is asked, and how answers are read.

use futures_util::FutureExt;
use ruma::{event_id, owned_user_id, room_alias_id, room_id, server_name, user_id};
use serde_json::{json, value::to_raw_value};

use super::*;
use crate::{PeerError, testing::Net};

#[tokio::test]
async fn joins_ask_as_the_specification_says() {
    let net = Net::new();
    let (alpha, _beta) = (net.server("alpha").await, net.server("beta").await);
    net.answers("beta", |_, target, body| {
        async move {
            match target.as_str() {
                "/_matrix/federation/v1/make_join/%21r%3Abeta/%40u%3Aalpha?ver=11&ver=12" => {
                    (200, json!({ "room_version": "11", "event": { "type": "m.room.member" } }))
                }
                "/_matrix/federation/v2/send_join/%21r%3Abeta/%24e?omit_members=true" => {
                    let answer = json!({ "state": [{}], "auth_chain": [], "event": body, "members_omitted": true,
                        "servers_in_room": ["beta"] });
                    (200, answer)
                }
                _ => (404, json!({ "errcode": "M_NOT_FOUND", "error": target })),
            }
        }
        .boxed()
    });
    let (beta, room) = (server_name!("beta"), room_id!("!r:beta"));
    let versions = [ruma::RoomVersionId::V11, ruma::RoomVersionId::V12];
    let template = alpha.make_join(beta, room, user_id!("@u:alpha"), &versions).await.expect("a template");
    assert_eq!((template.room_version.as_deref(), template.event.len()), (Some("11"), 1));
    let event = to_raw_value(&json!({ "x": 1 })).expect("JSON");
    let joined = alpha.send_join(beta, room, event_id!("$e"), &event, OmitMembers::Yes).await.expect("joined");
    assert!(joined.members_omitted && joined.state.len() == 1 && joined.servers_in_room == ["beta"]);
    assert_eq!(joined.event.expect("the event").get(), r#"{"x":1}"#);
    let refused = alpha.room_alias(beta, room_alias_id!("#a:beta")).await.expect_err("no such alias");
    let PeerError::Refused { status, errcode, message, .. } = refused else { panic!("{refused}") };
    assert_eq!((status, errcode.as_str()), (404, "M_NOT_FOUND"));
    assert_eq!(message, "/_matrix/federation/v1/query/directory?room_alias=%23a%3Abeta");
}

#[tokio::test]
async fn the_old_invite_is_used_only_where_it_fits() {
    let net = Net::new();
    let (alpha, _beta) = (net.server("alpha").await, net.server("beta").await);
    net.answers("beta", |_, target, body| {
        async move {
            match target.split('/').nth(3) {
                Some("v1") => (200, json!([200, { "event": body }])),
                _ => (404, json!({ "errcode": "M_UNRECOGNIZED" })),
            }
        }
        .boxed()
    });
    let event = to_raw_value(&json!({ "x": 1 })).expect("JSON");
    let invite = |version| {
        let invitation = Invitation { room_version: version, event: &event, invite_room_state: &[] };
        let alpha = alpha.clone();
        async move { alpha.invite(server_name!("beta"), room_id!("!r:alpha"), event_id!("$e"), &invitation).await }
    };
    assert_eq!(invite(&ruma::RoomVersionId::V1).await.expect("invited").get(), r#"{"x":1}"#);
    assert!(matches!(invite(&ruma::RoomVersionId::V11).await, Err(PeerError::Refused { status: 404, .. })));
}

#[tokio::test]
async fn people_graph_and_directory() {
    let net = Net::new();
    let (alpha, _beta) = (net.server("alpha").await, net.server("beta").await);
    net.answers("beta", |_, target, body| {
        let path =
            target.split('?').next().unwrap_or_default().trim_start_matches("/_matrix/federation/v1/").to_owned();
        async move {
            let answer = match path.as_str() {
                "query/profile" => json!({ "displayname": "Bea" }),
                "user/keys/claim" => json!({ "one_time_keys": { "@b:beta": { "D": { "signed_curve25519:x": {} } } } }),
                "user/devices/%40b%3Abeta" => json!({ "user_id": "@b:beta", "stream_id": 5, "devices": [] }),
                "event/%24e" => json!({ "origin": "beta", "origin_server_ts": 1, "pdus": [{ "a": 1 }] }),
                "state_ids/%21r" => json!({ "pdu_ids": ["$a"], "auth_chain_ids": [] }),
                "get_missing_events/%21r" => json!({ "events": [body] }),
                "publicRooms" => json!({ "chunk": [], "asked": body }),
                _ => json!(null),
            };
            (200, answer)
        }
        .boxed()
    });
    let (beta, user, room) = (server_name!("beta"), user_id!("@b:beta"), room_id!("!r"));
    assert_eq!(alpha.profile(beta, user, None).await.expect("a profile")["displayname"], "Bea");
    let wanted = [(owned_user_id!("@b:beta"), [("D".to_owned(), "signed_curve25519".to_owned())].into())].into();
    assert_eq!(alpha.claim_keys(beta, &wanted).await.expect("keys").one_time_keys[user].len(), 1);
    assert_eq!(alpha.user_devices(beta, user).await.expect("devices").stream_id, 5);
    assert_eq!(alpha.event(beta, event_id!("$e")).await.expect("an event").get(), r#"{"a":1}"#);
    assert_eq!(alpha.state_ids(beta, room, event_id!("$e")).await.expect("ids").pdu_ids.len(), 1);
    let missing = alpha.get_missing_events(beta, room, &[], &[], 10_000).await.expect("events");
    assert!(missing[0].get().contains(r#""limit":500"#));
    let filter = RoomFilter { filter: Some(serde_json::Map::new()), limit: Some(3), ..RoomFilter::default() };
    assert_eq!(alpha.public_rooms(beta, filter).await.expect("rooms")["asked"], json!({ "filter": {}, "limit": 3 }));
    assert!(matches!(alpha.hierarchy(beta, room, false).await, Err(PeerError::Nonsense { .. })));
}

#[tokio::test]
async fn media_come_in_parts_from_elsewhere_or_the_old_way() {
    let net = Net::new();
    let (alpha, _beta) = (net.server("alpha").await, net.server("beta").await);
    let path = |media| format!("/_matrix/federation/v1/media/download/{media}");
    let parts = "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n";
    let content = format!("{parts}Content-Type: image/png\r\n\r\n{}\r\n--b--", "x".repeat(5000));
    net.answers_bytes(&path("direct"), "multipart/mixed; boundary=b", content);
    let elsewhere = format!("{parts}Location: https://beta/cdn/1\r\n\r\n\r\n--b--");
    net.answers_bytes(&path("moved"), "multipart/mixed; boundary=b", elsewhere);
    net.answers_bytes("/cdn/1", "text/plain", "from elsewhere");
    let inside = format!("{parts}Location: http://beta/cdn/1\r\n\r\n\r\n--b--");
    net.answers_bytes(&path("plain-http"), "multipart/mixed; boundary=b", inside);
    net.answers_bytes(&path("not-parts"), "text/plain", "x");
    net.answers("beta", |_, _, _| async { (404, json!({ "errcode": "M_UNRECOGNIZED" })) }.boxed());
    net.answers_bytes("/_matrix/media/v3/download/beta/old", "text/html", "the old way");

    let fetch = async |media: &str, most| {
        let mut media = alpha.download(server_name!("beta"), media, most).await?;
        let mut content = Vec::new();
        while let Some(piece) = media.chunk().await? {
            content.extend_from_slice(&piece);
        }
        Ok::<_, PeerError>((media.content_type.unwrap_or_default(), content.len()))
    };
    assert_eq!(fetch("direct", 5000).await.expect("media"), ("image/png".to_owned(), 5000));
    assert!(matches!(fetch("direct", 4999).await, Err(PeerError::Unreachable { .. })));
    assert_eq!(fetch("moved", 100).await.expect("media"), ("text/plain".to_owned(), 14));
    assert_eq!(fetch("old", 100).await.expect("media"), ("text/html".to_owned(), 11));
    assert!(matches!(fetch("plain-http", 100).await, Err(PeerError::Nonsense { .. })));
    assert!(matches!(fetch("not-parts", 100).await, Err(PeerError::Nonsense { .. })));
    assert!(matches!(fetch("..", 100).await, Err(PeerError::Unsendable(_))));
}
