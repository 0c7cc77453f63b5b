//! What is told of a request: metrics by route, and never a secret in the log.

use http::{Method, header};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::{
    io,
    sync::{Arc, Mutex},
};

use crate::world::{World, request};

#[tokio::test]
async fn requests_and_panics_are_counted_by_route() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let world = World::new().await;
    world.alice(Method::GET, "/_matrix/client/v3/rooms/!r:test/messages?dir=b", "").await.is_ok();
    world.nobody(Method::GET, "/_matrix/client/v3/rooms/!r:test/messages?dir=b").await;
    world.nobody(Method::GET, "/panic").await;
    world.nobody(Method::GET, "/no/such/path").await;

    let text = rendered.render();
    let route = r#"route="/_matrix/client/v3/rooms/{room_id}/messages""#;
    let counted = |line: &str| assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
    counted(&format!(r#"lyceum_http_requests_total{{{route},method="GET",status="200"}} 1"#));
    counted(&format!(r#"lyceum_http_requests_total{{{route},method="GET",status="401"}} 1"#));
    counted(r#"lyceum_http_requests_total{route="none",method="GET",status="404"} 1"#);
    counted(r#"lyceum_http_panics_total{route="/panic"} 1"#);
    assert!(text.contains("lyceum_http_request_seconds"), "durations are told");
    assert!(!text.contains("!r:test"), "rooms are not labels");
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_keeps_secrets() {
    let paper = Paper::default();
    let writer = paper.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let world = World::new().await;
    let logging = tracing::subscriber::set_default(subscriber);
    let token = &world.token;
    let path = format!("/_matrix/client/v3/rooms/!r:test/messages?dir=b&access_token={token}");
    world.nobody(Method::GET, &path).await.is_ok();
    let body = r#"{"body":"a private word"}"#;
    world.alice(Method::PUT, "/_matrix/client/v3/rooms/!r:test/send/m.room.message/one", body).await.is_ok();
    world.alice(Method::POST, "/_matrix/client/v3/createRoom", r#"{"name":["a private word"]}"#).await;
    let mut wrong = request(Method::GET, "/_matrix/client/v3/account/whoami", None, "");
    wrong.headers_mut().insert(header::AUTHORIZATION, "Bearer a-wrong-token".parse().expect("a header"));
    world.call(wrong).await;
    drop(logging);

    let log = String::from_utf8(paper.0.lock().expect("nobody panicked").clone()).expect("text");
    assert!(log.contains("/_matrix/client/v3/rooms/{room_id}/messages"), "routes are logged: {log}");
    for secret in [token.as_str(), "a-wrong-token", "a private word", "access_token", "!r:test"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}
