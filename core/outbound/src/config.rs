//! What the operator may set about outgoing connections.

use ipnet::IpNet;
use serde::Deserialize;
use std::path::PathBuf;

/// Where the server may connect to, and whom it trusts. Part of `[federation]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundConfig {
    /// Whether loopback, private, link-local and other special ranges may be connected to.
    pub allow_private_networks: bool,
    /// Networks that may be connected to although they are private.
    pub allowed_networks: Vec<IpNet>,
    /// Networks that are never connected to; stronger than the two above.
    pub denied_networks: Vec<IpNet>,
    /// PEM files with certificate authorities to trust beside the system's.
    pub trusted_ca_files: Vec<PathBuf>,
}
