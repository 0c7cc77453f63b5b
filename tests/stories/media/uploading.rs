//! Uploading and downloading at one's own server.

use http::Method;
use serde_json::json;

use super::{AUTHED, download, header, mxc, named, uploads};
use crate::support::Campus;

#[tokio::test]
async fn what_was_uploaded_can_be_downloaded() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    let bob = campus.person("bob").await;
    let address = uploads(&ada, "text/plain", "?filename=notes.txt", b"Analytical Engine").await;

    let found = bob.get(&download(&address)).await;
    assert_eq!((found.status, &found.bytes[..]), (200, &b"Analytical Engine"[..]));
    assert_eq!(header(&found, "content-type"), "text/plain");
    assert_eq!(header(&found, "content-disposition"), "inline; filename=notes.txt");
    assert!(header(&found, "content-security-policy").starts_with("sandbox; default-src 'none'; script-src 'none';"));
    assert_eq!(header(&found, "cross-origin-resource-policy"), "cross-origin");
    assert_eq!(header(&found, "x-content-type-options"), "nosniff");

    let renamed = bob.get(&named(&address, "other name.txt")).await;
    assert_eq!(header(&renamed, "content-disposition"), "inline; filename=\"other name.txt\"");
    let config = bob.get(&format!("{AUTHED}/config")).await.ok();
    assert_eq!(config, json!({ "m.upload.size": 52_428_800 }));
    assert_eq!(bob.get("/_matrix/media/v3/config").await.ok(), config);
}

#[tokio::test]
async fn a_page_is_saved_and_never_shown() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    for kind in ["text/html", "image/svg+xml", "application/octet-stream", "TEXT/HTML; charset=utf-8"] {
        let address = uploads(&ada, kind, "", b"<script>alert(1)</script>").await;
        let found = ada.get(&download(&address)).await;
        assert_eq!(header(&found, "content-disposition"), "attachment", "{kind}");
        assert!(header(&found, "content-security-policy").contains("script-src 'none'"));
    }
}

#[tokio::test]
async fn only_who_is_signed_in_uploads_and_downloads() {
    let campus = Campus::with(["alpha.example"], "media.allow_unauthenticated = false").await;
    let stranger = campus.host("alpha.example").stranger();
    let ada = campus.person("ada").await;
    let address = uploads(&ada, "text/plain", "", b"x").await;

    let upload = stranger.ask_bytes(Method::POST, "/_matrix/media/v3/upload", "text/plain", b"x".to_vec()).await;
    upload.refused(401, "M_MISSING_TOKEN");
    stranger.post("/_matrix/media/v1/create", json!({})).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(&download(&address)).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(&format!("{AUTHED}/config")).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(&format!("{AUTHED}/thumbnail/{address}?width=1&height=1")).await.refused(401, "M_MISSING_TOKEN");
    stranger.get(&format!("/_matrix/media/v3/download/{address}")).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn the_older_endpoints_ask_for_no_token_where_that_is_allowed() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();
    let ada = campus.person("ada").await;
    let address = uploads(&ada, "text/plain", "", b"x").await;
    for version in ["r0", "v1", "v3"] {
        assert_eq!(stranger.get(&format!("/_matrix/media/{version}/download/{address}")).await.bytes, b"x");
    }
}

#[tokio::test]
async fn parts_of_a_file_can_be_asked_for() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    let address = uploads(&ada, "text/plain", "", b"0123456789").await;
    let part = ada.get_with(&download(&address), &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &b"234"[..]));
    assert_eq!(header(&part, "content-range"), "bytes 2-4/10");
    let beyond = ada.get_with(&download(&address), &[("range", "bytes=10-")]).await;
    assert_eq!((beyond.status, header(&beyond, "content-range")), (416, "bytes */10"));
    let tag = header(&part, "etag").to_owned();
    assert_eq!(ada.get_with(&download(&address), &[("if-none-match", &tag)]).await.status, 304);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    for id in ["nothing", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "a.b"] {
        ada.get(&download(&format!("alpha.example/{id}"))).await.refused(404, "M_NOT_FOUND");
    }
    ada.get(&download("not%20a%20server/x")).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let campus = Campus::with(["alpha.example"], "media.upload_bytes_max = 10\nmedia.person_bytes_max = 15").await;
    let ada = campus.person("ada").await;
    let upload = async |bytes: usize| {
        ada.ask_bytes(Method::POST, "/_matrix/media/v3/upload", "text/plain", vec![b'x'; bytes]).await
    };
    upload(11).await.refused_as("uploadContent 413 M_TOO_LARGE");
    upload(10).await.ok();
    upload(6).await.refused_as("uploadContent 403 M_FORBIDDEN");
    upload(5).await.ok();
    upload(1).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn an_id_can_be_had_before_its_content() {
    let campus = Campus::with(["alpha.example"], "media.unused_ids_max = 2").await;
    let (ada, bob) = (campus.person("ada").await, campus.person("bob").await);
    let create = async || ada.post("/_matrix/media/v1/create", json!({})).await;
    let answer = create().await.ok();
    assert!(answer["unused_expires_at"].as_u64().is_some());
    let address = mxc(&answer);
    let path = format!("/_matrix/media/v3/upload/{address}");
    let early = format!("{}?timeout_ms=0", download(&address));
    bob.get(&early).await.refused_as("getContentAuthed 504 M_NOT_YET_UPLOADED");

    bob.ask_bytes(Method::PUT, &path, "text/plain", b"mine".to_vec())
        .await
        .refused_as("uploadContentToMXC 403 M_FORBIDDEN");
    let waited = download(&address);
    let (uploaded, found) =
        tokio::join!(ada.ask_bytes(Method::PUT, &path, "text/plain", b"late".to_vec()), bob.get(&waited));
    uploaded.ok();
    assert_eq!(found.bytes, b"late");
    ada.ask_bytes(Method::PUT, &path, "text/plain", b"again".to_vec())
        .await
        .refused_as("uploadContentToMXC 409 M_CANNOT_OVERWRITE_MEDIA");
    let unknown = "/_matrix/media/v3/upload/alpha.example/unknown";
    ada.ask_bytes(Method::PUT, unknown, "text/plain", b"x".to_vec())
        .await
        .refused_as("uploadContentToMXC 404 M_NOT_FOUND");

    let unused = mxc(&create().await.ok());
    create().await.ok();
    create().await.refused(429, "M_LIMIT_EXCEEDED");
    campus.clock.advance(std::time::Duration::from_secs(24 * 60 * 60 + 1));
    let path = format!("/_matrix/media/v3/upload/{unused}");
    ada.ask_bytes(Method::PUT, &path, "text/plain", b"x".to_vec()).await.refused(404, "M_NOT_FOUND");
    create().await.ok();
}
