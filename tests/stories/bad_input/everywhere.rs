//! Every endpoint that clients reach, asked by nobody, by an impostor, and with nonsense in each place: an answer in
//! Matrix's words, and never one that says that the server broke.

use http::{Method, StatusCode};
use lyceum::config::Api;

use crate::support::{Campus, Person, encoded, person::Answer};

/// Who may call without being known: the specification says so of each.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/.well-known/matrix/*"),
    ("GET", "/_matrix/client/versions"),
    ("GET", "/_matrix/client/*/login"),
    ("POST", "/_matrix/client/*/login"),
    ("POST", "/_matrix/client/*/refresh"),
    ("POST", "/_matrix/client/*/register"),
    ("GET", "/_matrix/client/*/register/available"),
    ("GET", "/_matrix/client/*/register/m.login.registration_token/validity"),
    ("GET", "/_matrix/client/unstable/org.matrix.msc3231/register/*"),
    ("POST", "/_matrix/client/*/requestToken"),
    ("GET", "/_matrix/client/*/auth_metadata"),
    ("GET", "/_matrix/client/*/auth/*/fallback/web"),
    ("POST", "/_matrix/client/*/auth/*/fallback/web"),
    ("GET", "/_matrix/static/client/login/"),
    ("GET", "/_matrix/client/*/directory/room/*"),
    ("GET", "/_matrix/client/*/directory/list/room/*"),
    ("GET", "/_matrix/client/*/publicRooms"),
    ("GET", "/_matrix/client/*/profile/*"),
    ("GET", "/_matrix/client/*/room_summary/*"),
    ("GET", "/_matrix/client/unstable/im.nheko.summary/*"),
    ("GET", "/_matrix/media/*/download/*"),
    ("GET", "/_matrix/media/*/thumbnail/*"),
    // Changing a password or closing an account begins with an interactive stage, which may prove who somebody is.
    ("POST", "/_matrix/client/*/account/password"),
    ("POST", "/_matrix/client/*/account/deactivate"),
    // Whoever has the id of a delayed event may act on it (MSC4140).
    ("POST", "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/*"),
    // What describes the institution's door holds nothing of this institution.
    ("GET", "/_lyceum/v1/openapi.json"),
    ("GET", "/_synapse/admin/v1/server_version"),
    ("GET", "/_synapse/admin/v1/register"),
    ("POST", "/_synapse/admin/v1/register"),
];

/// What is put in the place of a path's parameters.
const PARAMETERS: &[&str] =
    &["x", "@a:alpha", "!r:alpha", "$e", "\0", "\u{1f4a5}", "@%:[", "-1", "18446744073709551616"];

/// What is sent as a body.
const BODIES: &[&[u8]] = &[b"", b"{", b"[]", b"\"\"", b"null", b"\xff\xfe", br#"{"":{"":[null]}}"#];

fn is_open(method: &str, path: &str) -> bool {
    OPEN.iter().any(|(allowed, pattern)| *allowed == method && fits(pattern, path))
}

/// Whether a path fits a pattern with stars for any text.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(after, &rest[at..]))
        }),
    }
}

/// The endpoints of clients and administrators, each path's parameters filled in.
fn endpoints(campus: &Campus, parameter: &str) -> Vec<(Method, String, String)> {
    let mounted = campus.host("alpha").server.mounted(&[Api::Client, Api::Admin]);
    let filled = |path: &str| {
        let segment = |segment: &str| if segment.starts_with('{') { encoded(parameter) } else { segment.to_owned() };
        path.split('/').map(segment).collect::<Vec<_>>().join("/")
    };
    let all = mounted.into_iter().map(|route| {
        let method = route.method.parse().expect("a method");
        (method, filled(&route.path), route.path)
    });
    all.collect()
}

async fn ask(person: &Person, method: &Method, path: &str, body: &[u8]) -> Answer {
    person.ask_bytes(method.clone(), path, "application/json", body.to_vec()).await
}

#[tokio::test]
async fn whoever_does_not_say_who_they_are_is_asked() {
    let campus = Campus::of(["alpha"]).await;
    let stranger = campus.host("alpha").stranger();
    let impostor = stranger.with_token(&"made_up".into());
    let mut asked = 0;
    for (method, path, shape) in endpoints(&campus, "@a:alpha") {
        if is_open(method.as_str(), &shape) {
            continue;
        }
        asked += 1;
        let answer = ask(&stranger, &method, &path, b"{}").await;
        let found = (answer.status, answer.json["errcode"].as_str());
        assert_eq!(found, (401, Some("M_MISSING_TOKEN")), "{method} {shape} asks nobody who they are");
        ask(&impostor, &method, &path, b"{}").await.refused(401, "M_UNKNOWN_TOKEN");
    }
    assert!(asked > 200, "only {asked} endpoints ask who is calling");
}

#[tokio::test]
async fn nonsense_breaks_nothing() {
    let campus = Campus::of(["alpha"]).await;
    let (root, ann) = (campus.host("alpha").admin("root").await, campus.person("ann").await);
    for parameter in PARAMETERS {
        for (method, path, shape) in endpoints(&campus, parameter) {
            // Signing out is no nonsense, and an event stream waits.
            if shape.ends_with("/logout") || shape.ends_with("/logout/all") || shape.ends_with("/events") {
                continue;
            }
            let bodies = if method == Method::GET { &BODIES[..1] } else { BODIES };
            for body in bodies {
                for person in [&root, &ann] {
                    let answer = ask(person, &method, &path, body).await;
                    let broke = StatusCode::from_u16(answer.status).is_ok_and(|status| status.is_server_error());
                    // 502 and 504 speak of another server, which is not there.
                    let elsewhere = [502, 504].contains(&answer.status);
                    let body = String::from_utf8_lossy(body);
                    assert!(
                        !broke || elsewhere,
                        "{method} {path} with {body:?} broke: {} {}",
                        answer.status,
                        answer.json
                    );
                    let refused = answer.status >= 400 && !shape.ends_with("/fallback/web");
                    let named = answer.json["errcode"].is_string() || answer.json["flows"].is_array();
                    assert!(!refused || named, "{method} {path} with {body:?} gave no errcode: {}", answer.status);
                }
            }
        }
    }
    root.get("/_matrix/client/v3/account/whoami").await.ok();
    ann.get("/_matrix/client/v3/account/whoami").await.ok();
    campus.host("alpha").is_sound().await;
}
