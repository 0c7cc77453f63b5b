//! What administrators do to an account: see where it is signed in, lock it, suspend it.

use serde_json::json;

use crate::support::{Campus, encoded};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn lock(id: &str) -> String {
    format!("/_matrix/client/v1/admin/lock/{id}")
}

fn suspend(id: &str) -> String {
    format!("/_matrix/client/v1/admin/suspend/{id}")
}

#[tokio::test]
async fn a_locked_account_can_only_log_out() {
    let campus = Campus::of(["alpha.example"]).await;
    let host = campus.host("alpha.example");
    let (root, anna) = (host.admin("root").await, campus.person("anna").await);
    assert_eq!(root.get(&lock(&anna.id)).await.ok(), json!({ "locked": false }));
    assert_eq!(root.put(&lock(&anna.id), json!({ "locked": true })).await.ok(), json!({ "locked": true }));
    assert_eq!(root.get(&lock(&anna.id)).await.ok(), json!({ "locked": true }));
    let refused = anna.get(WHOAMI).await.refused(401, "M_USER_LOCKED");
    assert_eq!(refused["soft_logout"], true);
    let unstable = format!("/_matrix/client/unstable/uk.timedout.msc4323/admin/lock/{}", anna.id);
    root.put(&unstable, json!({ "locked": false })).await.ok();
    anna.get(WHOAMI).await.ok();
    root.put(&lock(&anna.id), json!({ "locked": true })).await.ok();
    anna.post("/_matrix/client/v3/logout", json!({})).await.ok();
}

#[tokio::test]
async fn a_suspended_account_reads_leaves_and_takes_back_and_does_no_more() {
    let campus = Campus::of(["alpha.example"]).await;
    let (root, anna) = (campus.host("alpha.example").admin("root").await, campus.person("anna").await);
    let ben = campus.person("ben").await;
    let (room, open) = (anna.creates_public_room().await, ben.creates_public_room().await);
    ben.joins(&room).await;
    let (own, other) = (anna.says(&room, "rude").await, ben.says(&room, "kind").await);
    root.put(&suspend(&anna.id), json!({ "suspended": true })).await.ok();
    assert_eq!(root.get(&suspend(&anna.id)).await.ok(), json!({ "suspended": true }));

    anna.sees(&room, "kind").await;
    let of = |rest: &str| format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(&room));
    let text = json!({ "msgtype": "m.text", "body": "again" });
    anna.put(&of("send/m.room.message/s1"), text).await.refused(403, "M_USER_SUSPENDED");
    anna.put(&of("state/m.room.name/"), json!({ "name": "x" })).await.refused(403, "M_USER_SUSPENDED");
    anna.put(&of(&format!("typing/{}", anna.id)), json!({ "typing": true, "timeout": 1000 }))
        .await
        .refused(403, "M_USER_SUSPENDED");
    let join = format!("/_matrix/client/v3/join/{}", encoded(&open));
    anna.post(&join, json!({})).await.refused(403, "M_USER_SUSPENDED");
    anna.post(&of("invite"), json!({ "user_id": root.id })).await.refused(403, "M_USER_SUSPENDED");
    anna.post("/_matrix/client/v3/createRoom", json!({})).await.refused(403, "M_USER_SUSPENDED");
    let name = format!("/_matrix/client/v3/profile/{}/displayname", anna.id);
    anna.put(&name, json!({ "displayname": "Rude" })).await.refused(403, "M_USER_SUSPENDED");
    anna.post("/_matrix/media/v3/upload", json!({})).await.refused(403, "M_USER_SUSPENDED");

    let redact = |event: &str, txn: &str| of(&format!("redact/{}/{txn}", encoded(event)));
    anna.put(&redact(&other, "r1"), json!({})).await.refused(403, "M_USER_SUSPENDED");
    let sent = json!({ "redacts": other });
    anna.put(&of("send/m.room.redaction/r2"), sent).await.refused(403, "M_USER_SUSPENDED");
    anna.put(&redact(&own, "r3"), json!({})).await.ok();
    anna.on_another_device().await.get(WHOAMI).await.ok();
    anna.leaves(&room).await;

    root.put(&suspend(&anna.id), json!({ "suspended": false })).await.ok();
    anna.joins(&open).await;
}

#[tokio::test]
async fn only_administrators_restrict_and_neither_each_other_nor_themselves() {
    let campus = Campus::of(["alpha.example"]).await;
    let host = campus.host("alpha.example");
    let (root, rita) = (host.admin("root").await, host.admin("rita").await);
    let (anna, stranger) = (campus.person("anna").await, host.stranger());
    for (path, field) in [(lock as fn(&str) -> String, "locked"), (suspend, "suspended")] {
        // Nobody learns which accounts there are.
        anna.get(&path("@nobody:alpha.example")).await.refused(403, "M_FORBIDDEN");
        anna.put(&path("@nobody:alpha.example"), json!({ field: true })).await.refused(403, "M_FORBIDDEN");
        stranger.put(&path(&anna.id), json!({ field: true })).await.refused(401, "M_MISSING_TOKEN");
        stranger.get(&path(&anna.id)).await.refused(401, "M_MISSING_TOKEN");
        root.put(&path(&anna.id), json!({})).await.refused(400, "M_BAD_JSON");
    }
    let refusals = [
        (&anna, root.id.as_str(), 403),
        (&root, rita.id.as_str(), 403),
        (&root, root.id.as_str(), 403),
        (&root, "@far:beta.example", 400),
        (&root, "@nobody:alpha.example", 404),
    ];
    for (person, of, status) in refusals {
        let [get_lock, set_lock, get_suspend, set_suspend] = match status {
            400 => [
                "getAdminLockUser 400 M_INVALID_PARAM",
                "setAdminLockUser 400 M_INVALID_PARAM",
                "getAdminSuspendUser 400 M_INVALID_PARAM",
                "setAdminSuspendUser 400 M_INVALID_PARAM",
            ],
            403 => [
                "getAdminLockUser 403 M_FORBIDDEN",
                "setAdminLockUser 403 M_FORBIDDEN",
                "getAdminSuspendUser 403 M_FORBIDDEN",
                "setAdminSuspendUser 403 M_FORBIDDEN",
            ],
            _ => [
                "getAdminLockUser 404 M_NOT_FOUND",
                "setAdminLockUser 404 M_NOT_FOUND",
                "getAdminSuspendUser 404 M_NOT_FOUND",
                "setAdminSuspendUser 404 M_NOT_FOUND",
            ],
        };
        person.put(&lock(of), json!({ "locked": true })).await.refused_as(set_lock);
        person.put(&suspend(of), json!({ "suspended": true })).await.refused_as(set_suspend);
        // Looking at oneself changes nothing.
        if person.id != of {
            person.get(&lock(of)).await.refused_as(get_lock);
            person.get(&suspend(of)).await.refused_as(get_suspend);
        }
    }
    anna.get(WHOAMI).await.ok();
    let capabilities = root.get("/_matrix/client/v3/capabilities").await.ok()["capabilities"].clone();
    assert_eq!(capabilities["m.account_moderation"], json!({ "suspend": true, "lock": true }));
}

#[tokio::test]
async fn where_somebody_is_signed_in_is_told_to_them_and_to_administrators() {
    let campus = Campus::of(["alpha.example"]).await;
    let host = campus.host("alpha.example");
    let (root, anna, ben) = (host.admin("root").await, campus.person("anna").await, campus.person("ben").await);
    let whois = |id: &str| format!("/_matrix/client/v3/admin/whois/{id}");
    anna.get_with(WHOAMI, &[("user-agent", "Element")]).await.ok();
    // Nobody waits for that to be noted; what is waited for comes after it.
    anna.creates_room().await;
    for asker in [&anna, &root] {
        let answer = asker.get(&whois(&anna.id)).await.ok();
        assert_eq!(answer["user_id"], anna.id);
        let connection = &answer["devices"][&anna.device]["sessions"][0]["connections"][0];
        assert_eq!(connection["user_agent"], "Element", "{answer}");
        assert!(connection["last_seen"].is_u64(), "{answer}");
    }
    ben.get(&whois(&anna.id)).await.refused(403, "M_FORBIDDEN");
    root.get(&whois("@nobody:alpha.example")).await.refused(404, "M_NOT_FOUND");
    root.get(&whois("@far:beta.example")).await.refused(400, "M_INVALID_PARAM");
    host.stranger().get(&whois(&anna.id)).await.refused(401, "M_MISSING_TOKEN");
}
