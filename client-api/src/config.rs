//! The settings of the client-server door.

use serde::Deserialize;
use std::sync::Arc;
use url::Url;

/// What clients are told for calls. `[calls]` in the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallsConfig {
    /// Servers that relay calls between two people, as `turn:` and `turns:` URIs.
    pub turn_uris: Vec<String>,
    /// The secret shared with them, for passwords that are made for each person and expire.
    pub turn_secret: Option<String>,
    /// Without a secret: a user name for everybody, and its password.
    pub turn_username: Option<String>,
    /// The password of that user name.
    pub turn_password: Option<String>,
    /// How long credentials are good, in seconds.
    pub turn_lifetime_secs: Option<u64>,
    /// Where clients get leave to join calls of many people: the addresses of LiveKit's token service.
    pub livekit_service_urls: Vec<Url>,
}

/// What the server says about itself under `/.well-known/matrix/`. `[well_known]` in the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WellKnownConfig {
    /// Where clients reach the server, like "https://matrix.campus.example". Without it clients are told nothing (404).
    pub client_base_url: Option<Url>,
    /// Where other servers reach the server, like "matrix.campus.example:443". Without it they are told nothing (404).
    pub server: Option<Arc<str>>,
    /// Whom to ask for help.
    pub support: Option<Arc<SupportConfig>>,
    /// The public key, in unpadded base64, of a policy server that runs under this server's name. Without it nothing is told
    /// of one (404).
    pub policy_server_key: Option<Arc<str>>,
}

/// Whom to ask for help. At least one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupportConfig {
    /// An e-mail address of the administration.
    pub email: Option<String>,
    /// A Matrix user of the administration.
    pub matrix_id: Option<ruma::OwnedUserId>,
    /// A page that helps.
    pub page: Option<Url>,
}

/// Who is found by `/user_directory/search`. `[user_directory]` in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserDirectoryConfig {
    /// Whether everybody of this server is found, not only who shares a room with the searcher or is in a public one.
    pub everybody: bool,
}
