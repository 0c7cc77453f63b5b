//! The network between the servers of a campus: calls of routers, each of which a story can cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use lyceum_outbound::{OutboundError, Wire};
use parking_lot::Mutex;
use tower::ServiceExt;

/// All wires of a campus. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Wires(Arc<Mutex<Net>>);

#[derive(Default)]
struct Net {
    routers: BTreeMap<String, Router>,
    cut: BTreeSet<(String, String)>,
}

impl Wires {
    /// The outgoing wire of this server.
    pub(super) fn from(&self, server: &str) -> impl Wire {
        Outgoing { from: server.to_owned(), wires: self.clone() }
    }

    /// Lets others reach this server.
    pub(super) fn reach(&self, server: &str, router: Router) {
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
        let (mut parts, body) = request.into_parts();
        parts.uri =
            parts.uri.path_and_query().map(|path| path.as_str()).unwrap_or("/").parse().expect("a path is a URI");
        let answer = router.oneshot(Request::from_parts(parts, Body::from(body))).await.expect("routers answer");
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| OutboundError::Connect(error.to_string()))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}
