//! What is asked: paths, methods, bodies, and what goes around every answer.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode, header};
use lyceum_web::WebConfig;
use serde_json::json;
use std::convert::Infallible;

use crate::world::{World, no_limits, request, routes_mounted};

const CREATE: &str = "/_matrix/client/v3/createRoom";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[tokio::test]
async fn every_spelling_of_a_path_is_mounted() {
    let mounted = routes_mounted();
    let at = |path: &str| mounted.iter().any(|(_, mounted)| mounted == path);
    assert!(at("/_matrix/client/r0/createRoom") && at(CREATE));
    assert!(at("/_matrix/client/r0/rooms/{room_id}/send/{event_type}/{txn_id}"));
    assert!(mounted.contains(&("PUT".into(), "/_matrix/federation/v1/send/{transaction_id}".into())));

    let world = World::new().await;
    world.alice(Method::GET, "/_matrix/client/r0/account/whoami", "").await.is_ok();
    for (path, key) in [("", ""), ("/", ""), ("/%40alice%3Atest", "@alice:test")] {
        let path = format!("/_matrix/client/v3/rooms/!r:test/state/m.room.member{path}");
        let reply = world.alice(Method::GET, &path, "").await;
        assert_eq!(reply.json, json!({ "room": "!r:test", "type": "m.room.member", "key": key }), "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_unrecognized() {
    let world = World::new().await;
    world.nobody(Method::GET, "/_matrix/client/v3/nonsense").await.is_error(404, "M_UNRECOGNIZED");
    world.nobody(Method::GET, "/_matrix/client/versions/").await.is_error(404, "M_UNRECOGNIZED");
    world.nobody(Method::GET, "/").await.is_error(404, "M_UNRECOGNIZED");
    world.nobody(Method::DELETE, CREATE).await.is_error(405, "M_UNRECOGNIZED");
    let head = world.nobody(Method::HEAD, "/_matrix/client/versions").await;
    assert_eq!((head.status, head.json), (StatusCode::OK, json!(null)));
}

#[tokio::test]
async fn browsers_are_answered_everywhere() {
    let world = World::new().await;
    for path in [CREATE, "/_matrix/client/versions", "/nowhere", "/_matrix/federation/v1/send/one"] {
        let reply = world.nobody(Method::OPTIONS, path).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(reply.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(reply.headers[header::ACCESS_CONTROL_ALLOW_METHODS], "GET, POST, PUT, DELETE, OPTIONS");
        let allowed = &reply.headers[header::ACCESS_CONTROL_ALLOW_HEADERS];
        assert_eq!(allowed, "X-Requested-With, Content-Type, Authorization");
    }
    let answer = world.nobody(Method::GET, "/_matrix/client/versions").await;
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}

#[tokio::test]
async fn wrong_bodies_get_their_codes() {
    let world = World::new().await;
    let create = |body: &'static str| world.alice(Method::POST, CREATE, body);
    create("").await.is_ok();
    create("{}").await.is_ok();
    create(r#"{"unknown":[1,2,{}]}"#).await.is_ok();
    create("{").await.is_error(400, "M_NOT_JSON");
    create("nonsense").await.is_error(400, "M_NOT_JSON");
    create("{} {}").await.is_error(400, "M_NOT_JSON");
    create("\u{0}").await.is_error(400, "M_NOT_JSON");
    create(r#"{"name":7}"#).await.is_error(400, "M_BAD_JSON");
    create(r#"{"invite":["nobody"]}"#).await.is_error(400, "M_BAD_JSON");
    create("[]").await.is_error(400, "M_BAD_JSON");
    world.alice(Method::POST, CREATE, vec![b'"', 0xff, b'"']).await.is_error(400, "M_NOT_JSON");
}

#[tokio::test]
async fn deep_json_is_refused_without_going_down() {
    let world = World::new().await;
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let path = "/_matrix/client/v3/rooms/!r:test/send/m.room.message/one";
    world.alice(Method::PUT, path, deep(90)).await.is_ok();
    world.alice(Method::PUT, path, deep(100_000)).await.is_error(400, "M_BAD_JSON");
    world.alice(Method::PUT, path, "[".repeat(100_000)).await.is_error(400, "M_BAD_JSON");
}

#[tokio::test]
async fn large_bodies_are_refused_before_they_are_read() {
    let world = World::new().await;
    let announced = Request::post(CREATE)
        .header(header::AUTHORIZATION, format!("Bearer {}", world.token))
        .header(header::CONTENT_LENGTH, 100_000_000)
        .body(Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> {
            panic!("nobody reads this")
        })))
        .expect("a request");
    world.call(announced).await.is_error(413, "M_TOO_LARGE");

    let chunk = |_| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 400]));
    let endless = Body::from_stream(stream::iter((0..).map(chunk)));
    world.alice(Method::POST, CREATE, endless).await.is_error(413, "M_TOO_LARGE");
    world.alice(Method::POST, CREATE, " ".repeat(1_001)).await.is_error(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn an_upload_streams_up_to_its_limit() {
    let world = World::new().await;
    let path = "/_matrix/media/v3/upload";
    let pieces = |many: usize| {
        let piece = |_| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 100]));
        Body::from_stream(stream::iter((0..many).map(piece)))
    };
    let reply = world.alice(Method::POST, path, pieces(10)).await;
    assert_eq!(reply.json, json!({ "user": "@alice:test", "bytes": 1_000 }));
    world.alice(Method::POST, path, pieces(11)).await.is_error(413, "M_TOO_LARGE");
    world.nobody(Method::POST, path).await.is_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let hasty = WebConfig { body_timeout_secs: 0, ..WebConfig::default() };
    let world = World::with(hasty, no_limits()).await;
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    world.alice(Method::POST, CREATE, never).await.is_error(408, "M_UNKNOWN");
}

#[tokio::test]
async fn parameters_are_checked() {
    let world = World::new().await;
    let messages = |query: &str| {
        let path = format!("/_matrix/client/v3/rooms/!r:test/messages{query}");
        async { world.alice(Method::GET, &{ path }, "").await }
    };
    messages("?dir=b&limit=5").await.is_ok();
    messages("").await.is_error(400, "M_MISSING_PARAM");
    messages("?dir=sideways").await.is_error(400, "M_INVALID_PARAM");
    messages("?dir=b&limit=-1").await.is_error(400, "M_INVALID_PARAM");
    let get = |path: &'static str| world.alice(Method::GET, path, "");
    get("/_matrix/client/v3/rooms/nonsense/messages?dir=b").await.is_error(400, "M_INVALID_PARAM");
    get("/_matrix/client/v3/rooms/!r%00:test/messages?dir=b").await.is_error(400, "M_INVALID_PARAM");
    get("/_matrix/client/v3/rooms/!r:test/state/a%07b").await.is_error(400, "M_INVALID_PARAM");
    get("/_matrix/client/v3/rooms/!r:test/state/%ff").await.is_error(400, "M_INVALID_PARAM");
    let send = "/_matrix/client/v3/rooms/nonsense/send/m.room.message/one";
    world.alice(Method::PUT, send, "{}").await.is_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_raw_handler_gets_path_and_body() {
    let world = World::new().await;
    let path = "/_matrix/client/r0/rooms/!r%3Atest/send/m.room.message/a%2Fb";
    let reply = world.alice(Method::PUT, path, r#"{"body":"hi"}"#).await;
    let wanted = json!({
        "user": "@alice:test",
        "path": ["!r:test", "m.room.message", "a/b"],
        "content": { "body": "hi" },
    });
    assert_eq!(reply.json, wanted);
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let world = World::new().await;
    world.nobody(Method::GET, "/panic").await.is_error(500, "M_UNKNOWN");
    world.alice(Method::GET, WHOAMI, "").await.is_ok();
}

#[tokio::test]
async fn requests_have_ids() {
    let world = World::new().await;
    let with_id = |id: &str| {
        let mut asked = request(Method::GET, "/_matrix/client/versions", None, "");
        asked.headers_mut().insert("x-request-id", id.parse().expect("a header"));
        world.call(asked)
    };
    assert_eq!(with_id("trace-7").await.headers["x-request-id"], "trace-7");
    assert_ne!(with_id("evil\tid").await.headers["x-request-id"], "evil\tid");
    assert_ne!(with_id(&"x".repeat(65)).await.headers["x-request-id"], "x".repeat(65));
    let (one, two) = (world.nobody(Method::GET, "/").await, world.nobody(Method::GET, "/").await);
    assert_ne!(one.headers["x-request-id"], two.headers["x-request-id"]);
}
