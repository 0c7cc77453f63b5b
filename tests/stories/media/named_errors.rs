//! The errors that the specification names for files, at each of the endpoints that give them: with a token, without, and to
//! other servers.

use http::Method;
use serde_json::json;

use super::{AUTHED, mxc, pictures, uploads};
use crate::support::Campus;

const OPEN: &str = "/_matrix/media/v3";
const SERVERS: &str = "/_matrix/federation/v1/media";

#[tokio::test]
async fn what_is_promised_and_not_there_yet_is_said_to_be_so() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let ada = alpha.person("ada").await;
    let address = mxc(&ada.post("/_matrix/media/v1/create", json!({})).await.ok());
    let thumbnail = "timeout_ms=0&width=32&height=32&method=scale";
    for (path, refusal) in [
        (format!("{AUTHED}/download/{address}?timeout_ms=0"), "getContentAuthed 504 M_NOT_YET_UPLOADED"),
        (format!("{AUTHED}/download/{address}/x?timeout_ms=0"), "getContentOverrideNameAuthed 504 M_NOT_YET_UPLOADED"),
        (format!("{AUTHED}/thumbnail/{address}?{thumbnail}"), "getContentThumbnailAuthed 504 M_NOT_YET_UPLOADED"),
        (format!("{OPEN}/download/{address}?timeout_ms=0"), "getContent 504 M_NOT_YET_UPLOADED"),
        (format!("{OPEN}/download/{address}/x?timeout_ms=0"), "getContentOverrideName 504 M_NOT_YET_UPLOADED"),
        (format!("{OPEN}/thumbnail/{address}?{thumbnail}"), "getContentThumbnail 504 M_NOT_YET_UPLOADED"),
    ] {
        ada.get(&path).await.refused_as(refusal);
    }
    let id = address.strip_prefix("alpha.example/").expect("an address of alpha");
    for (path, refusal) in [
        (format!("{SERVERS}/download/{id}?timeout_ms=0"), "servers/getContent 504 M_NOT_YET_UPLOADED"),
        (format!("{SERVERS}/thumbnail/{id}?{thumbnail}"), "servers/getContentThumbnail 504 M_NOT_YET_UPLOADED"),
    ] {
        beta.gets(alpha, &path).await.refused_as(refusal);
    }
}

#[tokio::test]
async fn what_another_server_has_too_much_of_is_not_passed_on() {
    let campus = Campus::with(["alpha.example", "beta.example"], "media.remote_bytes_max = 10").await;
    let ada = campus.person_at("alpha.example", "ada").await;
    let bob = campus.person_at("beta.example", "bob").await;
    let thumbnail = "width=32&height=32&method=scale";
    // Each time another file: what was too large once is not asked for again.
    for (path, query, refusal) in [
        (format!("{AUTHED}/download"), "", "getContentAuthed 502 M_TOO_LARGE"),
        (format!("{AUTHED}/download"), "/x", "getContentOverrideNameAuthed 502 M_TOO_LARGE"),
        (format!("{AUTHED}/thumbnail"), thumbnail, "getContentThumbnailAuthed 502 M_TOO_LARGE"),
        (format!("{OPEN}/download"), "", "getContent 502 M_TOO_LARGE"),
        (format!("{OPEN}/download"), "/x", "getContentOverrideName 502 M_TOO_LARGE"),
        (format!("{OPEN}/thumbnail"), thumbnail, "getContentThumbnail 502 M_TOO_LARGE"),
    ] {
        let address = uploads(&ada, "image/png", "", &pictures::png(400, 300, 300)).await;
        let rest = if query.contains('=') { format!("?{query}") } else { query.to_owned() };
        bob.get(&format!("{path}/{address}{rest}")).await.refused_as(refusal);
    }
}

#[tokio::test]
async fn what_cannot_be_made_smaller_is_said_to_be_so() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    let ada = alpha.person("ada").await;
    let none = uploads(&ada, "image/png", "", b"<html></html>").await;
    let bomb = uploads(&ada, "image/png", "", &pictures::bomb(29_000, 29_000)).await;
    let size = "width=32&height=32&method=crop";
    for (address, authed, open, server) in [
        (
            none,
            "getContentThumbnailAuthed 400 M_UNKNOWN",
            "getContentThumbnail 400 M_UNKNOWN",
            "servers/getContentThumbnail 400 M_UNKNOWN",
        ),
        (
            bomb,
            "getContentThumbnailAuthed 413 M_TOO_LARGE",
            "getContentThumbnail 413 M_TOO_LARGE",
            "servers/getContentThumbnail 413 M_TOO_LARGE",
        ),
    ] {
        ada.get(&format!("{AUTHED}/thumbnail/{address}?{size}")).await.refused_as(authed);
        ada.get(&format!("{OPEN}/thumbnail/{address}?{size}")).await.refused_as(open);
        let id = address.strip_prefix("alpha.example/").expect("an address of alpha");
        beta.gets(alpha, &format!("{SERVERS}/thumbnail/{id}?{size}")).await.refused_as(server);
    }
}

#[tokio::test]
async fn what_is_too_large_does_not_fit_into_a_promise_either() {
    let campus = Campus::with(["alpha.example"], "media.upload_bytes_max = 10").await;
    let ada = campus.person("ada").await;
    let address = mxc(&ada.post("/_matrix/media/v1/create", json!({})).await.ok());
    let path = format!("/_matrix/media/v3/upload/{address}");
    let upload = async |bytes: usize| ada.ask_bytes(Method::PUT, &path, "text/plain", vec![b'x'; bytes]).await;
    upload(11).await.refused_as("uploadContentToMXC 413 M_TOO_LARGE");
    upload(10).await.ok();
}
