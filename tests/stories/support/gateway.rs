//! Somebody outside whom servers call: a push gateway, an application service. What was asked of them is kept, newest last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Campus;

/// In real time: longer than any call takes, so only a story that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call that came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    /// The token it was made with.
    pub(crate) token: Option<String>,
    pub(crate) json: Value,
    /// What it was answered.
    pub(crate) status: u16,
}

/// Somebody outside. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Outsider(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: Mutex<Vec<Call>>,
    answers: Mutex<VecDeque<(u16, Value)>>,
    by_path: Mutex<Vec<(String, u16, Value)>>,
    came: Notify,
}

impl Outsider {
    /// Somebody whom the servers of a campus reach under this name.
    pub(crate) fn at(campus: &Campus, name: &str) -> Self {
        let outsider = Self::default();
        let router = Router::new().fallback(answer).with_state(outsider.clone());
        campus.wires.reach(name, router);
        outsider
    }

    /// Answers the next call so, and those after it as usual.
    pub(crate) fn answers_next(&self, status: u16, json: Value) {
        self.0.answers.lock().push_back((status, json));
    }

    /// Answers calls whose path begins so in this way.
    pub(crate) fn answers_at(&self, path: &str, status: u16, json: Value) {
        self.0.by_path.lock().insert(0, (path.to_owned(), status, json));
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().clone()
    }

    /// Waits for a call that fits.
    pub(crate) async fn hears(&self, what: &str, fits: impl Fn(&Call) -> bool) -> Call {
        let heard = async {
            loop {
                let came = self.0.came.notified();
                if let Some(call) = self.calls().into_iter().find(&fits) {
                    return call;
                }
                came.await;
            }
        };
        let Ok(call) = tokio::time::timeout(PATIENCE, heard).await else {
            panic!("a call was expected: {what}; there were {:#?}", self.calls())
        };
        call
    }

    fn answer_to(&self, path: &str) -> (u16, Value) {
        if let Some(next) = self.0.answers.lock().pop_front() {
            return next;
        }
        let by_path = self.0.by_path.lock();
        let found = by_path.iter().find(|(prefix, ..)| path.starts_with(prefix.as_str()));
        found.map_or((200, json!({})), |(_, status, json)| (*status, json.clone()))
    }
}

async fn answer(State(outsider): State<Outsider>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let token = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    let (status, answer) = outsider.answer_to(&path);
    outsider.0.calls.lock().push(Call {
        method: parts.method.to_string(),
        path,
        token: token.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
        json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        status,
    });
    outsider.0.came.notify_waiters();
    (StatusCode::from_u16(status).expect("a status"), axum::Json(answer)).into_response()
}
