//! Which servers this one speaks with, and what a server name consists of. Pure.

use ruma::ServerName;
use std::net::IpAddr;
use wildmatch::WildMatch;

use crate::FederationConfig;

/// The port when nothing says another.
pub(crate) const DEFAULT_PORT: u16 = 8448;

/// The lists of allowed and denied servers.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    enabled: bool,
    allowed: Vec<WildMatch>,
    denied: Vec<WildMatch>,
}

impl Lists {
    pub(crate) fn new(config: &FederationConfig) -> Self {
        let patterns = |list: &[String]| list.iter().map(|one| WildMatch::new(&one.to_lowercase())).collect();
        Self {
            enabled: config.enabled,
            allowed: patterns(&config.allowed_servers),
            denied: patterns(&config.denied_servers),
        }
    }

    /// Whether this server speaks with that one. A pattern is held against the name with and without its port.
    pub(crate) fn allow(&self, server: &ServerName) -> bool {
        let (name, host) = (server.as_str().to_lowercase(), server.host().to_lowercase());
        let within = |list: &[WildMatch]| list.iter().any(|pattern| pattern.matches(&name) || pattern.matches(&host));
        self.enabled && !within(&self.denied) && (self.allowed.is_empty() || within(&self.allowed))
    }
}

/// The address that a server name is, if its host is one.
pub(crate) fn literal(server: &ServerName) -> Option<IpAddr> {
    server.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::owned_server_name;

    fn lists(allowed: &[&str], denied: &[&str]) -> Lists {
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Lists::new(&FederationConfig {
            allowed_servers: own(allowed),
            denied_servers: own(denied),
            ..FederationConfig::default()
        })
    }

    #[test]
    fn lists_know_wildcards_and_denial_wins() {
        let (campus, evil) = (owned_server_name!("Matrix.campus.example:8448"), owned_server_name!("evil.example"));
        assert!(lists(&[], &[]).allow(&campus));
        assert!(!lists(&[], &["*.campus.example"]).allow(&campus));
        assert!(lists(&["*.Campus.example"], &[]).allow(&campus));
        assert!(!lists(&["*.campus.example"], &[]).allow(&evil));
        assert!(!lists(&["*"], &["evil.*"]).allow(&evil));
        let off = FederationConfig { enabled: false, ..FederationConfig::default() };
        assert!(!Lists::new(&off).allow(&campus));
    }

    #[test]
    fn a_literal_is_told_from_a_name() {
        assert!(literal(&owned_server_name!("1.2.3.4:8448")).is_some());
        assert!(literal(&owned_server_name!("[::1]:1")).is_some());
        assert!(literal(&owned_server_name!("campus.example")).is_none());
    }
}
