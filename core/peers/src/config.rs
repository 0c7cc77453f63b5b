//! What the operator may set about other servers: `[federation]`.

use lyceum_outbound::OutboundConfig;
use ruma::OwnedServerName;
use serde::Deserialize;
use std::path::PathBuf;

/// Other servers: whether, which and how. `[federation]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FederationConfig {
    /// Whether the server speaks with other servers at all.
    pub enabled: bool,
    /// Whether loopback, private, link-local and other special address ranges may be connected to.
    pub allow_private_networks: bool,
    /// Networks that may be connected to although they are private, as `10.20.0.0/16`.
    pub allowed_networks: Vec<ipnet::IpNet>,
    /// Networks that are never connected to; stronger than the two above.
    pub denied_networks: Vec<ipnet::IpNet>,
    /// PEM files with certificate authorities to trust beside the system's.
    pub trusted_ca_files: Vec<PathBuf>,
    /// Server names to speak with, with `*` and `?` as wildcards. Empty means all that are not denied.
    pub allowed_servers: Vec<String>,
    /// Server names not to speak with, with `*` and `?` as wildcards; stronger than `allowed_servers`.
    pub denied_servers: Vec<String>,
    /// Servers asked for the keys of a server that does not answer itself.
    pub key_servers: Vec<OwnedServerName>,
}

impl Default for FederationConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_private_networks: false,
            allowed_networks: Vec::new(),
            denied_networks: Vec::new(),
            trusted_ca_files: Vec::new(),
            allowed_servers: Vec::new(),
            denied_servers: Vec::new(),
            key_servers: Vec::new(),
        }
    }
}

impl FederationConfig {
    /// The part that the outgoing client needs.
    pub fn outbound(&self) -> OutboundConfig {
        OutboundConfig {
            allow_private_networks: self.allow_private_networks,
            allowed_networks: self.allowed_networks.clone(),
            denied_networks: self.denied_networks.clone(),
            trusted_ca_files: self.trusted_ca_files.clone(),
        }
    }
}
