//! One request to another server, in the making.

use http::Method;
use serde::Serialize;
use std::time::Duration;

use crate::{PeerError, path::Target};

/// The time a request may take, and the largest answer, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Whether a server that failed lately is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It is left alone for a while.
    Gated,
    /// It is: somebody waits for this one server's answer and for nothing else.
    Always,
}

/// A request to another server.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Duration,
    pub(crate) answer_bytes_max: usize,
    pub(crate) persistence: Persistence,
    pub(crate) is_signed: bool,
    /// Whether it may go to this server's own name, behind which something else answers it.
    pub(crate) even_to_myself: bool,
}

impl Call {
    /// A `GET`.
    pub fn get(target: Target) -> Self {
        Self::new(Method::GET, target)
    }

    /// A `PUT` with a JSON body.
    pub fn put(target: Target, body: &(impl Serialize + ?Sized)) -> Result<Self, PeerError> {
        Self::new(Method::PUT, target).json(body)
    }

    /// A `POST` with a JSON body.
    pub fn post(target: Target, body: &(impl Serialize + ?Sized)) -> Result<Self, PeerError> {
        Self::new(Method::POST, target).json(body)
    }

    /// A request without body.
    pub fn new(method: Method, target: Target) -> Self {
        Self {
            method,
            target,
            body: Vec::new(),
            timeout: TIMEOUT,
            answer_bytes_max: ANSWER_BYTES_MAX,
            persistence: Persistence::Gated,
            is_signed: true,
            even_to_myself: false,
        }
    }

    fn json(mut self, body: &(impl Serialize + ?Sized)) -> Result<Self, PeerError> {
        self.body = serde_json::to_vec(body).map_err(|error| PeerError::Unsendable(error.to_string()))?;
        Ok(self)
    }

    /// With a body that is JSON already.
    #[must_use]
    pub fn json_bytes(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// With another time limit (default half a minute).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With another limit of the answer's size (default 16 MiB).
    #[must_use]
    pub fn answer_bytes_max(mut self, bytes: usize) -> Self {
        self.answer_bytes_max = bytes;
        self
    }

    /// Asks even a server that failed lately.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.persistence = Persistence::Always;
        self
    }

    /// Asks even this server's own name: something else may answer this endpoint there.
    #[must_use]
    pub fn even_to_myself(mut self) -> Self {
        self.even_to_myself = true;
        self
    }

    /// Without signature, for the few endpoints that take none.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.is_signed = false;
        self
    }
}
