//! Which addresses may be connected to. Pure.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{OutboundConfig, OutboundError};

/// Ranges that are not the public internet, from the registries of special-purpose addresses (RFC 6890 and after).
const SPECIAL_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
];

/// The same for IPv6, by first segments and prefix length.
const SPECIAL_V6: [([u16; 4], u8); 10] = [
    ([0, 0, 0, 0], 96),
    ([0x64, 0xff9b, 1, 0], 48),
    ([0x100, 0, 0, 0], 64),
    ([0x2001, 0, 0, 0], 23),
    ([0x2001, 0xdb8, 0, 0], 32),
    ([0x3fff, 0, 0, 0], 20),
    ([0x5f00, 0, 0, 0], 16),
    ([0xfc00, 0, 0, 0], 7),
    ([0xfe80, 0, 0, 0], 9),
    ([0xff00, 0, 0, 0], 8),
];

/// The operator's rule about addresses.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    allow_private: bool,
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
}

impl Guard {
    pub(crate) fn new(config: &OutboundConfig) -> Self {
        Self {
            allow_private: config.allow_private_networks,
            allowed: config.allowed_networks.clone(),
            denied: config.denied_networks.clone(),
        }
    }

    /// Whether `address` may be connected to. Denied networks win, then allowed ones, then the special ranges.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), OutboundError> {
        let address = embedded(address);
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        let permitted = !within(&self.denied) && (self.allow_private || within(&self.allowed) || !is_special(address));
        if !permitted {
            metrics::counter!("lyceum_outbound_refused_addresses_total").increment(1);
        }
        permitted.then_some(()).ok_or(OutboundError::AddressRefused(address))
    }
}

/// The IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4), so that a detour meets the same rule.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let inner = match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    inner.map_or(IpAddr::V6(v6), |(high, low)| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    })
}

fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => SPECIAL_V4.iter().any(|(network, bits)| {
            let shift = 32 - u32::from(*bits);
            u32::from(v4) >> shift == u32::from_be_bytes(*network) >> shift
        }),
        IpAddr::V6(v6) => SPECIAL_V6.iter().any(|([a, b, c, d], bits)| {
            let network = u128::from(Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0));
            let shift = 128 - u32::from(*bits);
            u128::from(v6) >> shift == network >> shift
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &OutboundConfig, address: &str) -> bool {
        Guard::new(config).check(address.parse().expect("an address")).is_err()
    }

    #[test]
    fn special_ranges_are_refused_however_they_are_written() {
        let config = OutboundConfig::default();
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(refused(&config, address), "{address} should be refused");
        }
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(!refused(&config, address), "{address} should be allowed");
        }
    }

    #[test]
    fn denied_wins_over_allowed_and_allowed_over_private() {
        let mut config = OutboundConfig {
            allowed_networks: vec!["10.0.0.0/8".parse().expect("a network")],
            ..OutboundConfig::default()
        };
        assert!(!refused(&config, "10.1.1.1"));
        assert!(refused(&config, "192.168.1.1"));
        config.allow_private_networks = true;
        config.denied_networks =
            vec!["10.1.0.0/16".parse().expect("a network"), "8.8.8.8/32".parse().expect("a network")];
        assert!(refused(&config, "10.1.1.1") && refused(&config, "8.8.8.8") && refused(&config, "::ffff:10.1.1.1"));
        assert!(!refused(&config, "192.168.1.1"));
    }
}
