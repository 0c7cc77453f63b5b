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

/// The smallest limit on bodies, in bytes: an event may have as many (client-server API, "Size limits").
const BODY_BYTES_MIN: usize = 65_536;

impl WebConfig {
    /// What is wrong with the settings, each with its key.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let bodies =
            [("body_bytes_max", self.body_bytes_max), ("federation_body_bytes_max", self.federation_body_bytes_max)];
        let too_small = bodies.into_iter().filter(|(_, bytes)| *bytes < BODY_BYTES_MIN);
        let mut found: Vec<_> = too_small
            .map(|(key, _)| (key, format!("an event may have {BODY_BYTES_MIN} bytes; allow at least as many")))
            .collect();
        if self.body_timeout_secs == 0 {
            found.push(("body_timeout_secs", "no body arrives in no time; allow at least 1 second".to_owned()));
        }
        found
    }
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
