//! The settings of the client-server door.

use serde::Deserialize;
use std::sync::Arc;
use url::Url;

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
