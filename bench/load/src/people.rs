//! People who use the server: made through the application service of the load tool, so that no password is hashed for them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::Method;
use serde_json::{Value, json};

use crate::Failure;
use crate::http::Connection;

/// How many registrations, joins and the like are under way at once while a measure prepares.
const PREPARING_AT_ONCE: usize = 32;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Somebody signed in, with a connection of their own.
pub struct Person {
    pub id: String,
    pub token: String,
    pub device: String,
    address: SocketAddr,
    connection: Connection,
}

pub fn quoted(part: &str) -> String {
    part.bytes().fold(String::with_capacity(part.len() + 12), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte as char)
        } else {
            out += &format!("%{byte:02X}")
        }
        out
    })
}

impl Person {
    /// Registers a new person; by the dummy stage where the server does not know the tool's application service.
    pub async fn register(address: SocketAddr, as_token: &str) -> Result<Self, Failure> {
        let name = format!("load_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = Connection::to(address);
        let path = "/_matrix/client/v3/register";
        let wish = json!({ "type": "m.login.application_service", "username": name });
        let mut answer = connection.call(Method::POST, path, as_token, Some(&wish)).await?;
        if !answer.status.is_success() {
            let wish =
                json!({ "username": name, "password": "a long enough phrase", "auth": { "type": "m.login.dummy" } });
            answer = connection.call(Method::POST, path, "", Some(&wish)).await?;
        }
        let session = answer.json()?;
        let field =
            |key: &str| session[key].as_str().map(str::to_owned).ok_or_else(|| format!("registration gave no {key}"));
        Ok(Self {
            id: field("user_id")?,
            token: field("access_token")?,
            device: field("device_id")?,
            address,
            connection,
        })
    }

    /// The same session on another connection.
    pub fn again(&self) -> Self {
        let (id, token, device) = (self.id.clone(), self.token.clone(), self.device.clone());
        Self { id, token, device, address: self.address, connection: Connection::to(self.address) }
    }

    pub async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.connection
            .call(method, path, &self.token, body)
            .await?
            .json()
            .map_err(|why| format!("{path}: {why}").into())
    }

    /// Sends bytes of some type.
    pub async fn send_bytes(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        bytes: bytes::Bytes,
    ) -> Result<Value, Failure> {
        let answer = self.connection.send(method, path, &self.token, Some((kind, bytes))).await?;
        answer.json().map_err(|why| format!("{path}: {why}").into())
    }

    /// An answer whose bytes are of interest and not their meaning.
    pub async fn bytes(&mut self, path: &str) -> Result<bytes::Bytes, Failure> {
        let answer = self.connection.call(Method::GET, path, &self.token, None).await?;
        if !answer.status.is_success() {
            answer.json()?;
        }
        Ok(answer.body)
    }

    pub async fn create(&mut self, options: Value) -> Result<String, Failure> {
        let answer = self.ask(Method::POST, "/_matrix/client/v3/createRoom", Some(&options)).await?;
        Ok(answer["room_id"].as_str().unwrap_or_default().to_owned())
    }

    pub async fn join(&mut self, room: &str) -> Result<(), Failure> {
        self.ask(Method::POST, &format!("/_matrix/client/v3/rooms/{}/join", quoted(room)), Some(&json!({})))
            .await
            .map(drop)
    }

    /// Sends a message under the given transaction id.
    pub async fn say(&mut self, room: &str, transaction: &str, text: &str) -> Result<String, Failure> {
        let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{transaction}", quoted(room));
        let answer = self.ask(Method::PUT, &path, Some(&json!({ "msgtype": "m.text", "body": text }))).await?;
        answer["event_id"].as_str().map(str::to_owned).ok_or_else(|| "the send gave no event_id".into())
    }

    /// One sync that does not come online by it; its `next_batch` and the whole answer.
    pub async fn sync(
        &mut self,
        since: Option<&str>,
        timeout_ms: u64,
        filter: &str,
    ) -> Result<(String, Value), Failure> {
        let answer = self.ask(Method::GET, &sync_path(since, timeout_ms, filter), None).await?;
        Ok((answer["next_batch"].as_str().unwrap_or_default().to_owned(), answer))
    }
}

pub fn sync_path(since: Option<&str>, timeout_ms: u64, filter: &str) -> String {
    let mut path = format!("/_matrix/client/v3/sync?timeout={timeout_ms}&set_presence=offline");
    if let Some(since) = since {
        path += &format!("&since={}", quoted(since));
    }
    if !filter.is_empty() {
        path += &format!("&filter={}", quoted(filter));
    }
    path
}

/// Makes many people at once.
pub async fn crowd(address: SocketAddr, as_token: &str, size: usize) -> Result<Vec<Person>, Failure> {
    let mut people = Vec::with_capacity(size);
    while people.len() < size {
        let wanted = PREPARING_AT_ONCE.min(size - people.len());
        let batch: Vec<_> = (0..wanted)
            .map(|_| {
                let token = as_token.to_owned();
                tokio::spawn(async move { Person::register(address, &token).await })
            })
            .collect();
        for person in batch {
            people.push(person.await??);
        }
    }
    Ok(people)
}

/// Brings all of them into a room, some at a time.
pub async fn gather(people: Vec<Person>, room: &str) -> Result<Vec<Person>, Failure> {
    let mut inside = Vec::with_capacity(people.len());
    let mut waiting = people.into_iter();
    loop {
        let batch: Vec<_> = waiting
            .by_ref()
            .take(PREPARING_AT_ONCE)
            .map(|mut person| {
                let room = room.to_owned();
                tokio::spawn(async move { person.join(&room).await.map(|()| person) })
            })
            .collect();
        if batch.is_empty() {
            return Ok(inside);
        }
        for person in batch {
            inside.push(person.await??);
        }
    }
}
