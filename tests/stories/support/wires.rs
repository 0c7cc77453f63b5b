//! The network between the servers of a campus: calls of routers, each of which a story can cut.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use lyceum_outbound::{OutboundError, Wire};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::sync::Notify;
use tower::ServiceExt;

/// All wires of a campus. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Wires(Arc<Mutex<Net>>);

#[derive(Default)]
struct Net {
    routers: BTreeMap<String, Router>,
    cut: BTreeSet<(String, String)>,
    /// Servers that take requests and say nothing.
    mute: BTreeSet<String>,
    /// Servers to which requests are under way for as long as a story wants.
    held: BTreeSet<String>,
    /// Who waits to hear that something is let go.
    released: Arc<Notify>,
    /// By server and the beginning of a path: what a story puts into the server's mouth.
    answers: BTreeMap<(String, String), VecDeque<(u16, Value)>>,
    /// Who asked whom for what.
    asked: Vec<(String, String, String)>,
    weather: Option<StdRng>,
}

/// What becomes of a request in bad weather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Through,
    /// It never arrives.
    Dropped,
    /// It arrives, and its answer does not.
    Unanswered,
    /// It arrives twice.
    Repeated,
}

/// How often others get a turn before a delayed request arrives.
const DELAY_TURNS_MAX: u32 = 60;

impl Wires {
    /// The outgoing wire of this server.
    pub(super) fn from(&self, server: &str) -> impl Wire {
        Outgoing { from: server.to_owned(), wires: self.clone() }
    }

    /// Lets others reach this server.
    pub(crate) fn reach(&self, server: &str, router: Router) {
        self.0.lock().routers.insert(server.to_owned(), router);
    }

    /// Lets nothing through between two servers, in both directions.
    pub(crate) fn cut(&self, one: &str, other: &str) {
        self.0.lock().cut.insert(pair(one, other));
    }

    /// Lets everything through again.
    pub(crate) fn heal(&self, one: &str, other: &str) {
        self.0.lock().cut.remove(&pair(one, other));
    }

    /// Lets a server take every request and say nothing, until whoever asked has waited long enough.
    pub(crate) fn mute(&self, server: &str) {
        self.0.lock().mute.insert(server.to_owned());
    }

    /// Lets every request to a server be under way until it is let go.
    pub(crate) fn hold(&self, server: &str) {
        self.0.lock().held.insert(server.to_owned());
    }

    /// Lets what is under way to a server arrive.
    pub(crate) fn release(&self, server: &str) {
        let mut net = self.0.lock();
        net.held.remove(server);
        net.released.notify_waiters();
    }

    /// Waits until requests to a server arrive.
    async fn passes(&self, server: &str) {
        loop {
            let notify = self.0.lock().released.clone();
            let released = notify.notified();
            if !self.0.lock().held.contains(server) {
                return;
            }
            released.await;
        }
    }

    /// Lets a server answer so to whatever begins with this path.
    pub(crate) fn answer(&self, server: &str, path: &str, status: u16, answer: Value) {
        self.answer_in_turn(server, path, [(status, answer)]);
    }

    /// The same with one answer after the other; the last one stays.
    pub(crate) fn answer_in_turn(&self, server: &str, path: &str, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.0.lock().answers.insert((server.to_owned(), path.to_owned()), answers.into_iter().collect());
    }

    /// Lets a server answer for itself again.
    pub(crate) fn answer_no_more(&self, server: &str, path: &str) {
        self.0.lock().answers.remove(&(server.to_owned(), path.to_owned()));
    }

    /// From now on requests are dropped, delayed, repeated and come in another order, by chance from this seed.
    pub(crate) fn storm(&self, seed: u64) {
        self.0.lock().weather = Some(StdRng::seed_from_u64(seed));
    }

    /// Everything comes through again, whatever was cut, too.
    pub(crate) fn calm(&self) {
        let mut net = self.0.lock();
        net.weather = None;
        net.cut.clear();
    }

    fn fate(&self) -> (u32, Fate) {
        let mut net = self.0.lock();
        let Some(chance) = &mut net.weather else { return (0, Fate::Through) };
        let delay = if chance.random_bool(0.5) { chance.random_range(0..DELAY_TURNS_MAX) } else { 0 };
        let fate = match chance.random_range(0..100) {
            0..10 => Fate::Dropped,
            10..20 => Fate::Unanswered,
            20..30 => Fate::Repeated,
            _ => Fate::Through,
        };
        (delay, fate)
    }

    /// How often a server was asked for what begins with this path.
    pub(crate) fn times_asked(&self, server: &str, path: &str) -> usize {
        let net = self.0.lock();
        net.asked.iter().filter(|(_, to, asked)| to == server && asked.starts_with(path)).count()
    }

    /// What is said in a server's place, if a story wants that; takes note of the request.
    fn said_instead(&self, from: &str, to: &str, path: &str) -> Option<(u16, Value)> {
        let mut net = self.0.lock();
        net.asked.push((from.to_owned(), to.to_owned(), path.to_owned()));
        let mut answers = net.answers.iter_mut().filter(|((server, start), _)| server == to && path.starts_with(start));
        let (_, answers) = answers.next()?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }

    fn to(&self, from: &str, to: &str) -> Option<Router> {
        let net = self.0.lock();
        if net.cut.contains(&pair(from, to)) { None } else { net.routers.get(to).cloned() }
    }
}

fn pair(one: &str, other: &str) -> (String, String) {
    let mut both = [one.to_owned(), other.to_owned()];
    both.sort();
    let [first, second] = both;
    (first, second)
}

struct Outgoing {
    from: String,
    wires: Wires,
}

#[async_trait]
impl Wire for Outgoing {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, OutboundError> {
        let to = request.uri().host().unwrap_or_default().to_owned();
        let router =
            self.wires.to(&self.from, &to).ok_or_else(|| OutboundError::Connect(format!("{to} is cut off")))?;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if let Some((status, answer)) = self.wires.said_instead(&self.from, &to, path) {
            let answer = Response::builder().status(status).body(Bytes::from(answer.to_string()));
            return Ok(answer.expect("a status and a body make an answer"));
        }
        if self.wires.0.lock().mute.contains(&to) {
            return Err(OutboundError::Timeout);
        }
        self.wires.passes(&to).await;
        let (delay, fate) = self.wires.fate();
        for _ in 0..delay {
            tokio::task::yield_now().await;
        }
        match fate {
            Fate::Through => deliver(router, request).await,
            Fate::Dropped => Err(OutboundError::Connect(format!("the request to {to} is lost"))),
            Fate::Unanswered => {
                deliver(router, request).await?;
                Err(OutboundError::Timeout)
            }
            Fate::Repeated => {
                deliver(router.clone(), request.clone()).await?;
                deliver(router, request).await
            }
        }
    }
}

async fn deliver(router: Router, request: Request<Bytes>) -> Result<Response<Bytes>, OutboundError> {
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.path_and_query().map(|path| path.as_str()).unwrap_or("/").parse().expect("a path is a URI");
    let answer = router.oneshot(Request::from_parts(parts, Body::from(body))).await.expect("routers answer");
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| OutboundError::Connect(error.to_string()))?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
