//! What administrators do with media: looking, quarantine, deletion, and what is kept of other servers.

use serde_json::{Value, json};
use std::time::Duration;

use super::{download, uploads};
use crate::support::{Campus, Person};

const ADMIN: &str = "/_synapse/admin/v1";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn media_of(root: &Person, person: &Person) -> Value {
    root.get(&format!("{ADMIN}/users/{}/media", person.id)).await.ok()
}

#[tokio::test]
async fn quarantined_media_are_shown_to_nobody_until_they_are_released() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let root = campus.host("alpha.example").admin("root").await;
    let (ada, bob) = (campus.person_at("alpha.example", "ada").await, campus.person_at("beta.example", "bob").await);
    let theirs = uploads(&bob, "text/plain", "", b"Elsewhere").await;
    let own = uploads(&ada, "text/plain", "?filename=notes.txt", b"Analytical Engine").await;
    ada.get(&download(&theirs)).await.ok();

    for address in [&own, &theirs] {
        root.post(&format!("{ADMIN}/media/quarantine/{address}"), json!({})).await.ok();
        ada.get(&download(address)).await.refused(404, "M_NOT_FOUND");
        let thumbnail = download(address).replace("/download/", "/thumbnail/");
        ada.get(&format!("{thumbnail}?width=10&height=10")).await.refused(404, "M_NOT_FOUND");
    }
    bob.get(&download(&own)).await.refused(404, "M_NOT_FOUND");
    let listed = media_of(&root, &ada).await;
    assert_eq!((&listed["total"], &listed["media"][0]["quarantined_by"]), (&json!(1), &json!(root.id)));
    let info = root.get(&format!("{ADMIN}/media/{own}")).await.ok()["media_info"].clone();
    assert_eq!((&info["user_id"], &info["upload_name"]), (&json!(ada.id), &json!("notes.txt")));
    assert_eq!((&info["media_length"], &info["media_type"]), (&json!(17), &json!("text/plain")));

    for address in [&own, &theirs] {
        root.post(&format!("{ADMIN}/media/unquarantine/{address}"), json!({})).await.ok();
        assert_eq!(ada.get(&download(address)).await.status, 200);
    }
    let quarantine = format!("{ADMIN}/user/{}/media/quarantine", ada.id);
    assert_eq!(root.post(&quarantine, json!({})).await.ok(), json!({ "num_quarantined": 1 }));
    ada.get(&download(&own)).await.refused(404, "M_NOT_FOUND");
    root.post(&format!("{ADMIN}/media/quarantine/alpha.example/unknown"), json!({})).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn deleted_media_are_gone_and_count_no_more_while_the_same_bytes_of_others_stay() {
    let campus = Campus::with(["alpha.example"], "media.person_bytes_max = 30").await;
    let root = campus.host("alpha.example").admin("root").await;
    let (ada, ben) = (campus.person("ada").await, campus.person("ben").await);
    let first = uploads(&ada, "text/plain", "", b"twenty bytes of text").await;
    let same = uploads(&ben, "text/plain", "", b"twenty bytes of text").await;
    let more = "/_matrix/media/v3/upload";
    ada.ask_bytes(http::Method::POST, more, "text/plain", b"twenty more of these".to_vec())
        .await
        .refused(403, "M_FORBIDDEN");

    let gone = root.delete(&format!("{ADMIN}/media/{first}")).await.ok();
    assert_eq!(gone["total"], 1);
    ada.get(&download(&first)).await.refused(404, "M_NOT_FOUND");
    assert_eq!(ben.get(&download(&same)).await.bytes, b"twenty bytes of text");
    root.delete(&format!("{ADMIN}/media/{first}")).await.refused(404, "M_NOT_FOUND");
    let second = uploads(&ada, "text/plain", "", b"twenty more of these").await;

    root.delete(&format!("{ADMIN}/media/{same}")).await.ok();
    // The file went with the last that stood for it, and comes again with the next.
    let again = uploads(&ben, "text/plain", "", b"twenty bytes of text").await;
    assert_eq!(ben.get(&download(&again)).await.bytes, b"twenty bytes of text");

    let all = root.delete(&format!("{ADMIN}/users/{}/media", ada.id)).await.ok();
    assert_eq!(all, json!({ "total": 1, "deleted_media": [second.rsplit('/').next()] }));
    assert_eq!(media_of(&root, &ada).await, json!({ "media": [], "total": 0 }));

    campus.clock.advance(DAY);
    let before = campus.clock_ms();
    let small = root.post(&format!("{ADMIN}/media/delete?before_ts={before}&size_gt=100"), json!({})).await.ok();
    assert_eq!(small["total"], 0);
    let old = root.post(&format!("{ADMIN}/media/delete?before_ts={before}"), json!({})).await.ok();
    assert_eq!(old["total"], 1);
    ben.get(&download(&again)).await.refused(404, "M_NOT_FOUND");
    root.post(&format!("{ADMIN}/media/delete"), json!({})).await.refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn what_was_fetched_is_kept_for_a_time_and_fetched_again() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let root = campus.host("beta.example").admin("root").await;
    let (ada, bob) = (campus.person_at("alpha.example", "ada").await, campus.person_at("beta.example", "bob").await);
    let address = uploads(&ada, "text/plain", "", b"Difference Engine").await;
    let own = uploads(&bob, "text/plain", "", b"At home").await;
    let here = format!("{}?allow_remote=false", download(&address));
    let media = campus.host("beta.example").server.media();

    bob.get(&download(&address)).await.ok();
    campus.clock.advance(89 * DAY);
    media.sweep().await.expect("the store works");
    assert_eq!(bob.get(&here).await.status, 200);
    campus.clock.advance(2 * DAY);
    media.sweep().await.expect("the store works");
    bob.get(&here).await.refused(404, "M_NOT_FOUND");
    assert_eq!(bob.get(&download(&own)).await.bytes, b"At home", "what belongs here stays");

    assert_eq!(bob.get(&download(&address)).await.bytes, b"Difference Engine");
    campus.clock.advance(DAY);
    let before = campus.clock_ms();
    let purged = root.post(&format!("{ADMIN}/purge_media_cache?before_ts={before}"), json!({})).await.ok();
    assert_eq!(purged, json!({ "deleted": 1 }));
    bob.get(&here).await.refused(404, "M_NOT_FOUND");
    root.delete(&format!("{ADMIN}/media/{address}")).await.refused(400, "M_UNKNOWN");
}

#[tokio::test]
async fn only_administrators_take_care_of_media() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    let own = uploads(&ada, "text/plain", "", b"mine").await;
    let of_user = format!("{ADMIN}/users/{}/media", ada.id);
    for path in [of_user.clone(), format!("{ADMIN}/media/{own}")] {
        ada.get(&path).await.refused(403, "M_FORBIDDEN");
        ada.delete(&path).await.refused(403, "M_FORBIDDEN");
    }
    for path in [
        format!("{ADMIN}/user/{}/media/quarantine", ada.id),
        format!("{ADMIN}/media/quarantine/{own}"),
        format!("{ADMIN}/media/unquarantine/{own}"),
        format!("{ADMIN}/media/delete?before_ts=1"),
        format!("{ADMIN}/purge_media_cache?before_ts=1"),
    ] {
        ada.post(&path, json!({})).await.refused(403, "M_FORBIDDEN");
    }
    assert_eq!(ada.get(&download(&own)).await.bytes, b"mine");
}

#[tokio::test]
async fn files_that_nothing_stands_for_are_gone_after_the_next_start() {
    let mut campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    let kept = uploads(&ada, "text/plain", "", b"Analytical Engine").await;
    let media = campus.data_of("alpha.example").join("media");
    // As if the server had been killed after a file got its name and before that was written down, and within an upload.
    let shelf = media.join("files/ab");
    std::fs::create_dir_all(&shelf).expect("a directory can be made");
    let (orphan, unfinished) = (shelf.join("cd".repeat(31)), media.join("incoming/0123"));
    let strange = shelf.join("notes.txt");
    for path in [&orphan, &unfinished, &strange] {
        std::fs::write(path, "left behind").expect("a file can be written");
    }
    campus.crashes("alpha.example").await;
    assert!(!unfinished.exists(), "removed before there are new uploads");
    let gone = async {
        while orphan.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the file should be removed");
    assert!(strange.exists(), "what is none of ours stays");
    let ada = ada.at(campus.host("alpha.example"));
    assert_eq!(ada.get(&download(&kept)).await.bytes, b"Analytical Engine");
}
