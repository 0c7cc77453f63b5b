//! Sending one request to another server: found, signed, tried at each of its addresses, and judged.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use lyceum_outbound::{OutboundError, Request, Response};
use ruma::{OwnedServerName, ServerName};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Call, PeerError, Peers,
    call::Persistence,
    discovery::Route,
    signing::{self, Signed},
};

/// Addresses of one server that are tried for one request.
const TARGETS_MAX: usize = 3;

/// The longest error body that is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// A Matrix error as a body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    errcode: String,
    error: String,
}

impl Peers {
    /// Asks another server and reads its answer as JSON of the form `T`.
    pub async fn ask<T: DeserializeOwned>(&self, server: &ServerName, call: Call) -> Result<T, PeerError> {
        let bytes = self.request(server, call).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| PeerError::Nonsense { server: server.to_owned(), why: error.to_string() })
    }

    /// Asks another server and answers with the bytes of its successful answer.
    pub async fn request(&self, server: &ServerName, call: Call) -> Result<Bytes, PeerError> {
        let response = self.open(server, call).await?;
        response.bytes().await.map_err(|why| self.silent(server, why))
    }

    /// Asks another server and answers as soon as it begins to answer well; its body is still to be read.
    pub(crate) async fn open(&self, server: &ServerName, call: Call) -> Result<Response, PeerError> {
        if !(call.even_to_myself && server == self.server()) {
            self.check_allowed(server)?;
        }
        if call.persistence == Persistence::Gated && self.shared.health.is_left_alone(server) {
            return Err(PeerError::LeftAlone(server.to_owned()));
        }
        let within = tokio::time::timeout(call.timeout, self.reach(server, &call)).await;
        let response = within.unwrap_or_else(|_| Err(self.silent(server, OutboundError::Timeout)))?;
        let status = response.status();
        if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
            self.shared.health.failed(server);
        } else {
            self.answered(server);
        }
        if status.is_success() { Ok(response) } else { Err(refusal(server, response).await) }
    }

    /// Whether the server may be spoken with at all.
    pub(crate) fn check_allowed(&self, server: &ServerName) -> Result<(), PeerError> {
        if server == self.server() {
            return Err(PeerError::Myself(server.to_owned()));
        }
        let allowed = self.shared.lists.allow(server);
        allowed.then_some(()).ok_or_else(|| PeerError::NotAllowed(server.to_owned()))
    }

    /// Sends the request to one address after another until one answers.
    async fn reach(&self, server: &ServerName, call: &Call) -> Result<Response, PeerError> {
        let route = self.shared.discovery.route(server).await;
        let mut failure = OutboundError::NoAddress(server.to_string());
        for target in route.targets.iter().take(TARGETS_MAX) {
            let request = self.build(server, call, &route, target)?;
            match self.shared.outbound.send(request).await {
                Ok(response) => return Ok(response),
                Err(error @ (OutboundError::Connect(_) | OutboundError::NoAddress(_))) => failure = error,
                Err(error) => {
                    failure = error;
                    break;
                }
            }
        }
        self.shared.discovery.forget(server);
        Err(self.silent(server, failure))
    }

    fn build(
        &self,
        server: &ServerName,
        call: &Call,
        route: &Route,
        (host, port): &(String, u16),
    ) -> Result<Request, PeerError> {
        let unsendable = |why: String| PeerError::Unsendable(why);
        let target = call.target.as_str();
        let url = format!("https://{}:{port}{target}", route.certificate);
        let mut request = Request::new(call.method.clone(), &url)
            .map_err(|error| unsendable(error.to_string()))?
            .host(HeaderValue::try_from(&route.host).map_err(|error| unsendable(error.to_string()))?)
            .timeout(call.timeout)
            .body_bytes_max(call.answer_bytes_max);
        if request.target() != target {
            return Err(unsendable(format!("the path {target} cannot be sent as it is")));
        }
        if *host != route.certificate {
            request = request.via(host, *port);
        }
        if call.is_signed {
            let signed = Signed { method: call.method.as_str(), target, body: &call.body };
            let authorization = signing::sign(&self.shared.key, server, signed);
            let authorization = authorization.map_err(|error| PeerError::Unsignable(error.to_string()))?;
            request = request.header(header::AUTHORIZATION, authorization);
        }
        Ok(if call.body.is_empty() { request } else { request.json_bytes(call.body.clone()) })
    }

    /// Notes that a server did not answer.
    fn silent(&self, server: &ServerName, why: OutboundError) -> PeerError {
        match why {
            OutboundError::TooLarge(_) | OutboundError::Json(_) | OutboundError::Url(_) => {}
            _ => self.shared.health.failed(server),
        }
        tracing::debug!(%server, %why, "no answer");
        PeerError::Unreachable { server: server.to_owned(), why }
    }
}

/// What an answer that is no success says.
async fn refusal(server: &ServerName, response: Response) -> PeerError {
    let (server, status): (OwnedServerName, _) = (server.to_owned(), response.status().as_u16());
    let bytes = response.bytes().await.unwrap_or_default();
    let body = std::str::from_utf8(&bytes).ok().filter(|body| body.len() <= ERROR_BYTES_MAX).unwrap_or_default();
    let Refusal { errcode, error } = serde_json::from_str(body).unwrap_or_default();
    let errcode = if errcode.is_empty() { "M_UNKNOWN".to_owned() } else { errcode };
    PeerError::Refused { server, status, errcode, message: error, body: body.into() }
}
