//! The settings of the web layer.

use ipnet::IpNet;
use serde::Deserialize;

/// How requests are taken in. `[web]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// The largest request body a client may send, in bytes. Media uploads have their own limit.
    pub body_bytes_max: usize,
    /// The largest request body another server may send, in bytes.
    pub federation_body_bytes_max: usize,
    /// How long a request body may take to arrive, in seconds. Media uploads have their own limit.
    pub body_timeout_secs: u64,
    /// Whether `?access_token=` is accepted. The specification deprecates it, some tools still need it.
    pub access_token_in_query: bool,
    /// Reverse proxies whose `X-Forwarded-For` is believed, as addresses or ranges like "10.0.0.0/8".
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 * 1024 * 1024,
            federation_body_bytes_max: 16 * 1024 * 1024,
            body_timeout_secs: 60,
            access_token_in_query: true,
            trusted_proxies: Vec::new(),
        }
    }
}
