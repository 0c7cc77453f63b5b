//! Whose address a request comes from: the peer's, or what trusted proxies say.

use http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The client's address. `X-Forwarded-For` is read from its end for as long as trusted proxies wrote it.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if trusted.is_empty() {
        return client;
    }
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    while trusted.iter().any(|range| range.contains(&client)) {
        match hops.next().and_then(hop) {
            Some(next) => client = next,
            None => break,
        }
    }
    client
}

fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", http::HeaderValue::from_static(line));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|range| range.parse().expect("a range")).collect();
        client(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["1.2.3.4, 198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
    }

    #[test]
    fn chains_of_trusted_proxies_are_followed() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, 10.0.0.2"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1", "10.0.0.2"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["[2001:db8::1]:443"], &["10.0.0.0/8"]), "2001:db8::1");
        assert_eq!(seen("10.0.0.1", &["garbage"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }
}
