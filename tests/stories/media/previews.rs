//! Previews of links: what a page says of itself, its picture as media of this server, and what is never looked at.

use axum::{Router, response::Redirect, routing::get};
use http::header;
use serde_json::json;

use super::{AUTHED, download};
use crate::support::{Campus, encoded};

/// A picture of one pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6,
    0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 13, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0xf0,
    0x1f, 0, 5, 0, 1, 0xff, 0x89, 0x99, 0x3d, 0x1d, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

fn page(address: &str) -> String {
    format!("{AUTHED}/preview_url?url={}", encoded(address))
}

/// A site with a page, a picture, and some that are hard to read.
fn site() -> Router {
    let html = |text: String| ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text);
    let endless = "x".repeat(3 * 1024 * 1024);
    Router::new()
        .route(
            "/news",
            get(move || async move {
                html(
                    "<title>Fallback</title><meta property='og:title' content='Exam &amp; results'>\
                     <meta property='og:description' content='All of them'><meta property='og:image' content='/p.png'>"
                        .to_owned(),
                )
            }),
        )
        .route("/p.png", get(|| async { ([(header::CONTENT_TYPE, "image/png")], PIXEL) }))
        .route("/lie", get(move || async move { html("<title>Lie</title><img src=/text.png>".to_owned()) }))
        .route("/text.png", get(|| async { ([(header::CONTENT_TYPE, "image/png")], "no picture at all") }))
        .route("/endless", get(move || async move { html(format!("<title>Endless</title>{endless}")) }))
        .route("/gone", get(|| async { http::StatusCode::NOT_FOUND }))
        .route("/moved", get(|| async { Redirect::temporary("https://site.example/news") }))
        .route("/away", get(|| async { Redirect::temporary("https://denied.example/") }))
        .route("/file.pdf", get(|| async { ([(header::CONTENT_TYPE, "application/pdf")], "%PDF") }))
}

#[tokio::test]
async fn a_link_is_shown_with_its_words_and_its_picture() {
    let campus = Campus::of(["alpha.example"]).await;
    campus.wires.reach("site.example", site());
    let anna = campus.person("anna").await;
    let preview = anna.get(&page("https://site.example/news#part")).await.ok();
    assert_eq!((&preview["og:title"], &preview["og:description"]), (&json!("Exam & results"), &json!("All of them")));
    assert_eq!((&preview["og:image:type"], &preview["og:image:width"]), (&json!("image/png"), &json!(1)));
    assert_eq!(preview["matrix:image:size"], PIXEL.len());
    let image = preview["og:image"].as_str().expect("an image").strip_prefix("mxc://").expect("media");
    assert_eq!(anna.get(&download(image)).await.bytes, PIXEL);

    // Asked again it is not fetched again, at the older path either, until its time is over.
    let older = format!("/_matrix/media/v3/preview_url?url={}&ts=1", encoded("https://site.example/news"));
    assert_eq!(anna.get(&older).await.ok(), preview);
    assert_eq!(campus.wires.times_asked("site.example", "/news"), 1);
    campus.clock.advance(std::time::Duration::from_secs(2 * 3600));
    anna.get(&older).await.ok();
    assert_eq!(campus.wires.times_asked("site.example", "/news"), 2);

    let lie = anna.get(&page("https://site.example/lie")).await.ok();
    assert_eq!(lie, json!({ "og:title": "Lie" }), "what is no picture is left out");
    assert_eq!(anna.get(&page("https://site.example/endless")).await.ok()["og:title"], "Endless");
    assert_eq!(anna.get(&page("https://site.example/moved")).await.ok()["og:title"], "Exam & results");
    assert_eq!(anna.get(&page("https://site.example/file.pdf")).await.ok(), json!({ "og:title": "file.pdf" }));
    let picture = anna.get(&page("https://site.example/p.png")).await.ok();
    assert_eq!((&picture["og:title"], &picture["og:image:height"]), (&json!("p.png"), &json!(1)));
}

#[tokio::test]
async fn what_must_not_be_looked_at_is_refused() {
    let settings = "media.previews.denied_hosts = [\"denied.*\", \"10.*\"]";
    let campus = Campus::with(["alpha.example"], settings).await;
    campus.wires.reach("site.example", site());
    campus.wires.reach("denied.example", site());
    let anna = campus.person("anna").await;
    for address in ["https://denied.example/news", "https://DENIED.example/news", "http://10.0.0.1/"] {
        anna.get(&page(address)).await.refused(403, "M_FORBIDDEN");
    }
    anna.get(&page("https://me:secret@site.example/news")).await.refused(403, "M_FORBIDDEN");
    anna.get(&page("https://site.example/away")).await.refused(403, "M_FORBIDDEN");
    for address in ["ftp://site.example/", "file:///etc/passwd", "nothing", "https://"] {
        anna.get(&page(address)).await.refused(400, "M_INVALID_PARAM");
    }
    anna.get(&page("https://site.example/gone")).await.refused(502, "M_UNKNOWN");
    anna.get(&page("https://nowhere.example/")).await.refused(502, "M_UNKNOWN");
    anna.get(&format!("{AUTHED}/preview_url")).await.refused(400, "M_MISSING_PARAM");
    let stranger = campus.host("alpha.example").stranger();
    stranger.get(&page("https://site.example/news")).await.refused(401, "M_MISSING_TOKEN");

    let campus = Campus::with(["alpha.example"], "media.previews.allowed_hosts = [\"*.site.example\"]").await;
    let anna = campus.person("anna").await;
    anna.get(&page("https://site.example/news")).await.refused(403, "M_FORBIDDEN");
    let campus = Campus::with(["alpha.example"], "media.previews.enabled = false").await;
    let anna = campus.person("anna").await;
    anna.get(&page("https://site.example/news")).await.refused(404, "M_UNRECOGNIZED");
}
