//! The specification's endpoints against the routes: what is missing is a list that shrinks.
//!
//! `endpoints.txt` holds every endpoint of Matrix v1.19 that a homeserver serves, `missing.txt` those we do not yet;
//! `LYCEUM_WRITE_MISSING=1 cargo test --test stories endpoints` writes it anew.

use std::collections::BTreeSet;

use lyceum::config::Api;

use crate::support::Campus;

const SPECIFIED: &str = include_str!("endpoints.txt");
const MISSING: &str = include_str!("missing.txt");
const HEADING: &str = "# Endpoints of endpoints.txt that are not served yet. It only shrinks.";

#[tokio::test]
async fn what_is_missing_is_listed() {
    let campus = Campus::of(["alpha.example"]).await;
    let server = &campus.host("alpha.example").server;
    let mounted = server.mounted(&[Api::Client, Api::Federation, Api::Admin]);
    let served: BTreeSet<String> =
        mounted.iter().map(|route| shape(&format!("{} {}", route.method, route.path))).collect();

    let missing: Vec<&str> = lines(SPECIFIED).filter(|endpoint| !served.contains(&shape(endpoint))).collect();
    if std::env::var_os("LYCEUM_WRITE_MISSING").is_some() {
        let path = super::root().join("tests/stories/tidy/missing.txt");
        std::fs::write(path, format!("{}\n{}\n", HEADING, missing.join("\n"))).expect("missing.txt can be written");
        return;
    }
    let listed: Vec<&str> = lines(MISSING).collect();
    let lost: Vec<_> = missing.iter().filter(|endpoint| !listed.contains(endpoint)).collect();
    assert!(lost.is_empty(), "these endpoints are not served any more: {lost:#?}");
    let stale: Vec<_> = listed.iter().filter(|endpoint| !missing.contains(endpoint)).collect();
    assert!(stale.is_empty(), "these endpoints are served, take them off missing.txt: {stale:#?}");
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// An endpoint without the names of its parameters.
fn shape(endpoint: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    endpoint.split('/').map(segment).collect::<Vec<_>>().join("/")
}
