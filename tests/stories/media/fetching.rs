//! Media of other servers.

use super::{AUTHED, download, header, uploads};
use crate::support::Campus;

#[tokio::test]
async fn media_of_another_server_are_fetched_once_and_kept() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let ada = campus.person_at("alpha.example", "ada").await;
    let bob = campus.person_at("beta.example", "bob").await;
    let address = uploads(&ada, "text/plain", "?filename=notes.txt", b"Difference Engine").await;

    let (one, other) = (download(&address), download(&address));
    let (first, second) = tokio::join!(bob.get(&one), bob.get(&other));
    assert_eq!((&first.bytes[..], &second.bytes[..]), (&b"Difference Engine"[..], &b"Difference Engine"[..]));
    assert_eq!(header(&first, "content-disposition"), "inline; filename=notes.txt");
    assert_eq!(header(&first, "content-type"), "text/plain");

    campus.wires.cut("alpha.example", "beta.example");
    assert_eq!(bob.get(&download(&address)).await.bytes, b"Difference Engine");
    bob.get(&download("alpha.example/unknown")).await.refused(502, "M_UNKNOWN");
}

#[tokio::test]
async fn what_another_server_has_not_or_has_too_much_of_is_refused() {
    let campus = Campus::with(["alpha.example", "beta.example"], "media.remote_bytes_max = 10").await;
    let ada = campus.person_at("alpha.example", "ada").await;
    let bob = campus.person_at("beta.example", "bob").await;
    let address = uploads(&ada, "text/plain", "", b"more than ten bytes").await;

    bob.get(&download(&address)).await.refused_as("getContentAuthed 502 M_TOO_LARGE");
    bob.get(&download("alpha.example/unknown")).await.refused(404, "M_NOT_FOUND");
    bob.get(&format!("{}?allow_remote=false", download(&address))).await.refused(404, "M_NOT_FOUND");
    bob.get(&format!("{AUTHED}/download/beta.example/{}", address.rsplit('/').next().unwrap_or_default()))
        .await
        .refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn servers_must_say_who_they_are() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();
    stranger.get("/_matrix/federation/v1/media/download/x").await.refused(401, "M_UNAUTHORIZED");
    stranger.get("/_matrix/federation/v1/media/thumbnail/x?width=1&height=1").await.refused(401, "M_UNAUTHORIZED");
}
