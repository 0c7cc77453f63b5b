//! The sections that only the binary needs. Sections of the core crates live with them.

use std::net::SocketAddr;
use std::path::PathBuf;

use lyceum_accounts::RegistrationMode;
use ruma::{OwnedServerName, RoomVersionId, ServerName};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
pub struct ServerSettings {
    /// The part after the colon in `@ada:campus.example`. It can never be changed once there are accounts.
    #[serde(deserialize_with = "server_name")]
    pub name: OwnedServerName,
    /// Where the embedded store, media and keys are kept.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
}

fn default_data_dir() -> PathBuf {
    "./data".into()
}

fn server_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedServerName, D::Error> {
    let text = String::deserialize(deserializer)?;
    ServerName::parse(&text).map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not a server name; write a host name such as \"campus.example\" \
             (letters, digits, dots and hyphens, without https://), with a port only if it belongs to the name"
        ))
    })
}

/// One of `[[listeners]]`
#[derive(Debug, Clone, Deserialize)]
pub struct Listener {
    /// The IP address and port.
    #[serde(deserialize_with = "socket_address")]
    pub address: SocketAddr,
    /// What is served here.
    #[serde(default = "default_apis")]
    pub apis: Vec<Api>,
    /// The certificate, when this listener speaks TLS itself.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// What a listener can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// The client-server API, media and `/.well-known/matrix/client`.
    Client,
    /// The server-server API, keys and `/.well-known/matrix/server`.
    Federation,
    /// `/_synapse/admin` and the institution's `/_lyceum`.
    Admin,
}

/// A certificate and its key, PEM files. They are read again on SIGHUP.
#[derive(Debug, Clone, Deserialize)]
pub struct Tls {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Without `[[listeners]]`: everything on loopback, for a trial or behind a proxy.
pub(super) fn default_listeners() -> Vec<Listener> {
    vec![Listener { address: SocketAddr::from(([127, 0, 0, 1], 8008)), apis: default_apis(), tls: None }]
}

fn default_apis() -> Vec<Api> {
    vec![Api::Client, Api::Federation, Api::Admin]
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let numeric = text.strip_prefix("localhost:").map_or(text.clone(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not an address to listen on; write an IP address and a port, for example \
             \"127.0.0.1:8008\", \"0.0.0.0:8448\" (all of IPv4) or \"[::]:8448\""
        ))
    })
}

/// `[registration]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Who may make an account: anyone (`open`), those with a token (`token`), nobody (`closed`).
    pub mode: RegistrationMode,
    /// Enables `POST /_synapse/admin/v1/register` for those who know it.
    pub shared_secret: Option<String>,
    /// Whether guests may come in without an account.
    pub guests: bool,
    /// The documents that whoever makes an account agrees to, by ids of your choice.
    pub terms: lyceum_accounts::Terms,
}

/// `[rooms]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Rooms {
    /// The version of new rooms.
    pub default_version: RoomVersionId,
    /// How long before its time an event may be given to the server to send later, in seconds.
    pub delay_secs_max: u64,
    /// How many such events one person may have waiting.
    pub delayed_events_max: usize,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { default_version: RoomVersionId::V12, delay_secs_max: 24 * 60 * 60, delayed_events_max: 100 }
    }
}

/// `[appservices]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Appservices {
    /// Registration files, YAML.
    pub files: Vec<PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,lyceum_rooms=debug`.
    pub level: String,
    /// Lines for people, or JSON for machines.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Human }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Human,
    Json,
}

/// `[metrics]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Where Prometheus may fetch `/metrics`; nowhere when left out.
    #[serde(deserialize_with = "optional_socket_address")]
    pub address: Option<SocketAddr>,
}

fn optional_socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    socket_address(deserializer).map(Some)
}
