//! Where a server is and how it is addressed there: the cases of "Resolving server names", decided from facts. Pure.

use ruma::ServerName;

use crate::names::{DEFAULT_PORT, literal};

/// Where to connect, whom TLS must find there, and what `Host` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The host (IPv6 in brackets) that the certificate must be for.
    pub(crate) certificate: String,
    /// The `Host` header.
    pub(crate) host: String,
    /// Where to connect, in the order to try.
    pub(crate) targets: Vec<(String, u16)>,
}

/// How far a server name leads by itself.
pub(crate) enum Step {
    /// All the way.
    Here(Route),
    /// To a host whose service records must be looked at (and, for a name not yet delegated, whose well-known before).
    Ask(String),
}

/// Judges a server name, delegated or not: both follow the same rules but for the well-known step.
pub(crate) fn step(server: &ServerName) -> Step {
    let host = server.host().to_owned();
    if literal(server).is_none() && server.port().is_none() {
        return Step::Ask(host);
    }
    let port = server.port().unwrap_or(DEFAULT_PORT);
    let targets = vec![(host.clone(), port)];
    Step::Here(Route { certificate: host, host: server.to_string(), targets })
}

/// The route to a host by its service records; without any, the default port.
pub(crate) fn by_service(host: &str, records: Vec<(String, u16)>) -> Route {
    let targets = if records.is_empty() { vec![(host.to_owned(), DEFAULT_PORT)] } else { records };
    Route { certificate: host.to_owned(), host: host.to_owned(), targets }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(name: &str) -> (String, String, Vec<(String, u16)>) {
        match step(<&ServerName>::try_from(name).expect("a server name")) {
            Step::Here(route) => (route.certificate, route.host, route.targets),
            Step::Ask(host) => panic!("{name} should lead somewhere by itself, not ask for {host}"),
        }
    }

    #[test]
    fn literals_and_ports_lead_somewhere_by_themselves() {
        let at = |host: &str, port| vec![(host.to_owned(), port)];
        assert_eq!(here("1.2.3.4"), ("1.2.3.4".into(), "1.2.3.4".into(), at("1.2.3.4", 8448)));
        assert_eq!(here("1.2.3.4:5"), ("1.2.3.4".into(), "1.2.3.4:5".into(), at("1.2.3.4", 5)));
        assert_eq!(here("[::1]:5"), ("[::1]".into(), "[::1]:5".into(), at("[::1]", 5)));
        assert_eq!(here("a.example:5"), ("a.example".into(), "a.example:5".into(), at("a.example", 5)));
        let name = <&ServerName>::try_from("a.example").expect("a server name");
        assert!(matches!(step(name), Step::Ask(host) if host == "a.example"));
    }

    #[test]
    fn service_records_change_where_but_not_whom() {
        let route = by_service("a.example", vec![("b.example".into(), 443)]);
        assert_eq!((route.certificate.as_str(), route.host.as_str()), ("a.example", "a.example"));
        assert_eq!(route.targets, [("b.example".to_owned(), 443)]);
        assert_eq!(by_service("a.example", vec![]).targets, [("a.example".to_owned(), 8448)]);
    }
}
