//! One keep-alive connection and the requests on it. Plain HTTP/1.1, for the tool shares the machine with the server.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Failure;

/// No request of a measure should take this long; one that does ends the measure.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

pub struct Connection {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// A status and the bytes of a body.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON when the status says success, the refusal as a failure otherwise.
    pub fn json(&self) -> Result<Value, Failure> {
        if self.status.is_success() {
            return Ok(serde_json::from_slice(&self.body)?);
        }
        Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body[..self.body.len().min(300)])).into())
    }
}

impl Connection {
    pub fn to(address: SocketAddr) -> Self {
        Self { address, sender: None }
    }

    /// Sends one request with a body of JSON, if any, and reads its whole answer.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let body = match body {
            Some(value) => Some(("application/json", Bytes::from(serde_json::to_vec(value)?))),
            None => None,
        };
        self.send(method, path, token, body).await
    }

    /// Sends one request and reads its whole answer; connects first when there is no open connection.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, self.address.to_string());
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let content = match body {
            Some((kind, bytes)) => {
                request = request.header(header::CONTENT_TYPE, kind);
                bytes
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(content))?;
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => {
                self.sender = None;
                Err(why)
            }
            Err(_) => {
                self.sender = None;
                Err(format!("{path} was not answered within {REQUEST_TIMEOUT:?}").into())
            }
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let sender = self.open().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    }

    async fn open(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().ok_or_else(|| "the connection was closed".into())
    }
}
