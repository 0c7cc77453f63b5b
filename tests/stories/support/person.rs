//! Somebody with a client: says, sees, joins, and asks anything of the server in JSON.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use lyceum_accounts::SignedIn;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::ServiceExt;

/// In real time: longer than any answer takes, so only a story that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where everybody's client is.
const ADDRESS: ([u8; 4], u16) = ([198, 51, 100, 7], 40_000);

/// Syncs that may bring nothing before a wait is given up.
const EMPTY_SYNCS_MAX: usize = 5;

/// A client of one device; without a token, a stranger's.
pub(crate) struct Person {
    router: Router,
    token: Option<String>,
    pub(crate) id: String,
    pub(crate) device: String,
    transactions: AtomicU64,
    seen: Mutex<Seen>,
}

/// What a client has synced so far.
#[derive(Default)]
struct Seen {
    since: Option<String>,
    events: Vec<(String, Value)>,
}

/// A server's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body as JSON; `null` when it is none.
    pub(crate) json: Value,
    /// The body as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// The JSON of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status < 300, "{} should succeed, was answered {} {}", self.asked, self.status, self.json);
        self.json
    }

    /// The method and the path that were asked.
    pub(super) fn asked(&self) -> (&str, &str) {
        let mut words = self.asked.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// Checks that it was refused so.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, errcode: &str) -> Value {
        let found = (self.status, self.json["errcode"].as_str().unwrap_or_default());
        assert_eq!(found, (status, errcode), "{} was answered {}", self.asked, self.json);
        self.json
    }
}

impl Person {
    pub(super) fn stranger(router: Router) -> Self {
        let (id, device) = Default::default();
        Self { router, token: None, id, device, transactions: AtomicU64::new(0), seen: Mutex::default() }
    }

    pub(super) fn signed_in(router: Router, session: SignedIn) -> Self {
        Self {
            token: Some(session.access_token.reveal()),
            id: session.user_id.to_string(),
            device: session.device_id.to_string(),
            ..Self::stranger(router)
        }
    }

    /// The same person on another device.
    pub(crate) async fn on_another_device(&self) -> Self {
        let login = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": self.id },
            "password": super::campus::PASSWORD,
        });
        let answer = Self::stranger(self.router.clone()).post("/_matrix/client/v3/login", login).await.ok();
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Self {
            token: Some(text("access_token")),
            id: text("user_id"),
            device: text("device_id"),
            ..Self::stranger(self.router.clone())
        }
    }

    /// The same person's client, once the server was started again.
    pub(crate) fn at(&self, host: &super::campus::Host) -> Self {
        let (token, id, device) = (self.token.clone(), self.id.clone(), self.device.clone());
        let transactions = AtomicU64::new(self.transactions.load(Ordering::Relaxed));
        Self { token, id, device, transactions, ..Self::stranger(host.router.clone()) }
    }

    /// Somebody at the same server with this token.
    pub(crate) fn with_token(&self, token: &Value) -> Self {
        let (token, id) = (token.as_str().map(str::to_owned), self.id.clone());
        Self { token, id, ..Self::stranger(self.router.clone()) }
    }

    // Asking in JSON.

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(&body).expect("JSON can be written"));
        self.ask_bytes(method, path, "application/json", body).await
    }

    /// Asks with more headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_with(Method::GET, path, headers, Vec::new()).await
    }

    /// Asks with any body.
    pub(crate) async fn ask_bytes(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        self.ask_with(method, path, &[(header::CONTENT_TYPE.as_str(), content_type)], body).await
    }

    /// Asks with any headers and any body.
    pub(super) async fn ask_with(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let asked = format!("{method} {path} by {}", if self.id.is_empty() { "a stranger" } else { &self.id });
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        // As if it had come over a socket.
        let request = request.extension(ConnectInfo(SocketAddr::from(ADDRESS)));
        let request = request.body(Body::from(body)).unwrap_or_else(|error| panic!("{asked} is no request: {error}"));
        let answer = async {
            let (parts, body) = self.router.clone().oneshot(request).await.expect("routers answer").into_parts();
            (parts, body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default())
        };
        let Ok((parts, bytes)) = tokio::time::timeout(PATIENCE, answer).await else {
            panic!("{asked} was not answered in {PATIENCE:?}")
        };
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { asked, status: parts.status.as_u16(), headers: parts.headers, json, bytes }
    }

    // Acting in rooms.

    /// Makes a private room and answers its id.
    pub(crate) async fn creates_room(&self) -> String {
        self.creates_room_with(json!({})).await
    }

    /// Makes a room that anybody may join.
    pub(crate) async fn creates_public_room(&self) -> String {
        self.creates_room_with(json!({ "preset": "public_chat" })).await
    }

    pub(crate) async fn creates_room_with(&self, how: Value) -> String {
        let room = self.post("/_matrix/client/v3/createRoom", how).await.ok();
        room["room_id"].as_str().expect("a room has an id").to_owned()
    }

    pub(crate) async fn invites(&self, room: &str, who: &Self) {
        let path = format!("/_matrix/client/v3/rooms/{}/invite", encoded(room));
        self.post(&path, json!({ "user_id": who.id })).await.ok();
    }

    pub(crate) async fn joins(&self, room: &str) {
        self.post(&format!("/_matrix/client/v3/join/{}", encoded(room)), json!({})).await.ok();
    }

    pub(crate) async fn leaves(&self, room: &str) {
        self.post(&format!("/_matrix/client/v3/rooms/{}/leave", encoded(room)), json!({})).await.ok();
    }

    /// Sends a text message and answers its event id.
    pub(crate) async fn says(&self, room: &str, text: &str) -> String {
        self.sends(room, "m.room.message", json!({ "msgtype": "m.text", "body": text })).await
    }

    /// Sends an event and answers its id.
    pub(crate) async fn sends(&self, room: &str, kind: &str, content: Value) -> String {
        let transaction = self.transactions.fetch_add(1, Ordering::Relaxed);
        let path = format!("/_matrix/client/v3/rooms/{}/send/{}/t{transaction}", encoded(room), encoded(kind));
        event_id(&self.put(&path, content).await.ok())
    }

    /// Sets state and answers the event's id.
    pub(crate) async fn sets(&self, room: &str, kind: &str, state_key: &str, content: Value) -> String {
        let path = format!("/_matrix/client/v3/rooms/{}/state/{}/{}", encoded(room), encoded(kind), encoded(state_key));
        event_id(&self.put(&path, content).await.ok())
    }

    // Seeing.

    /// One sync with these query parameters beside `since`, taken in.
    pub(crate) async fn syncs(&self, query: &str) -> Value {
        let since =
            self.seen.lock().since.clone().map_or_else(String::new, |since| format!("&since={}", encoded(&since)));
        let answer = self.get(&format!("/_matrix/client/v3/sync?{query}{since}")).await.ok();
        let mut seen = self.seen.lock();
        seen.since = answer["next_batch"].as_str().map(str::to_owned);
        for kind in ["join", "leave"] {
            for (room, update) in answer["rooms"][kind].as_object().into_iter().flatten() {
                let events = update["timeline"]["events"].as_array().into_iter().flatten();
                seen.events.extend(events.map(|event| (room.clone(), event.clone())));
            }
        }
        answer
    }

    /// Waits until this message is in the room's timeline; answers its event.
    #[track_caller]
    pub(crate) fn sees(&self, room: &str, text: &str) -> impl Future<Output = Value> {
        let at = std::panic::Location::caller();
        async move {
            let wanted = |event: &Value| event["content"]["body"] == text;
            match self.waits_for(room, wanted).await {
                Some(event) => event,
                None => panic!("{}: {} should see {text:?} in {room}, and does not ({at})", at.file(), self.id),
            }
        }
    }

    /// Syncs until an event in the room fits, or until syncs bring nothing more.
    pub(crate) async fn waits_for(&self, room: &str, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        for _ in 0..=EMPTY_SYNCS_MAX {
            let found = |seen: &Seen| seen.events.iter().find(|(at, event)| at == room && wanted(event)).cloned();
            if let Some((_, event)) = found(&self.seen.lock()) {
                return Some(event);
            }
            self.syncs("timeout=2000").await;
        }
        None
    }

    /// Checks that this message has not reached the client by now.
    pub(crate) async fn does_not_see(&self, room: &str, text: &str) {
        self.syncs("timeout=0").await;
        let seen = self.seen.lock();
        let found = seen.events.iter().any(|(at, event)| at == room && event["content"]["body"] == text);
        assert!(!found, "{} should not see {text:?} in {room}", self.id);
    }
}

fn event_id(answer: &Value) -> String {
    answer["event_id"].as_str().expect("an event has an id").to_owned()
}

/// A path segment.
pub(crate) fn encoded(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$:@".contains(&byte);
    segment
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
