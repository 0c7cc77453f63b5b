//! Discovery over a wire that counts its questions, with made-up service records.

use super::*;
use async_trait::async_trait;
use bytes::Bytes;
use lyceum_events::ManualClock;
use lyceum_outbound::{OutboundError, Wire};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Hosts and ports.
type Targets = Vec<(String, u16)>;

#[derive(Clone, Default)]
struct World {
    /// What a host's well-known answers; a host that is not here is silent.
    well_known: Arc<Mutex<HashMap<String, (u16, String)>>>,
    services: Arc<Mutex<HashMap<String, Targets>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Wire for World {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, OutboundError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        assert_eq!(request.uri().path(), "/.well-known/matrix/server");
        self.asked.lock().push(host.clone());
        let answer = self.well_known.lock().get(&host).cloned();
        let (status, body) = answer.ok_or(OutboundError::Connect("nobody there".into()))?;
        Ok(http::Response::builder().status(status).body(body.into()).expect("a response"))
    }
}

#[async_trait]
impl ServiceLookup for World {
    async fn lookup(&self, name: &str) -> Services {
        self.asked.lock().push(name.to_owned());
        let targets = self.services.lock().get(name).cloned().unwrap_or_default();
        Services { targets, kept: Duration::from_secs(600) }
    }
}

impl World {
    fn delegate(&self, host: &str, status: u16, body: &str) {
        self.well_known.lock().insert(host.to_owned(), (status, body.to_owned()));
    }

    fn serve(&self, name: &str, target: &str, port: u16) {
        self.services.lock().insert(name.to_owned(), vec![(target.to_owned(), port)]);
    }

    fn discovery(&self) -> (Discovery, ManualClock) {
        let clock = ManualClock::at(1_000_000);
        let discovery = Discovery::new(Outbound::over(self.clone()), Arc::new(self.clone()), Arc::new(clock.clone()));
        (discovery, clock)
    }
}

async fn route(discovery: &Discovery, server: &str) -> (String, String, String, u16) {
    let route = discovery.route(<&ServerName>::try_from(server).expect("a server name")).await;
    let (target, port) = route.targets[0].clone();
    (route.certificate.clone(), route.host.clone(), target, port)
}

fn at(certificate: &str, host: &str, target: &str, port: u16) -> (String, String, String, u16) {
    (certificate.to_owned(), host.to_owned(), target.to_owned(), port)
}

#[tokio::test]
async fn every_case_of_the_specification() {
    let world = World::default();
    world.delegate("b", 200, r#"{"m.server": "1.2.3.4"}"#);
    world.delegate("c", 200, r#"{"m.server": "d:5"}"#);
    world.delegate("e", 200, r#"{"m.server": "f"}"#);
    world.serve("_matrix-fed._tcp.f", "g", 6);
    world.delegate("h", 200, r#"{"m.server": "i"}"#);
    world.serve("_matrix._tcp.i", "j", 7);
    world.delegate("k", 200, r#"{"m.server": "l"}"#);
    world.delegate("m", 404, "");
    world.serve("_matrix-fed._tcp.m", "n", 8);
    world.serve("_matrix._tcp.o", "p", 9);
    world.delegate("q", 200, r#"{"m.server": "not a name"}"#);
    let (discovery, _) = world.discovery();
    for (server, expected) in [
        ("1.1.1.1:2", at("1.1.1.1", "1.1.1.1:2", "1.1.1.1", 2)),
        ("a:3", at("a", "a:3", "a", 3)),
        ("b", at("1.2.3.4", "1.2.3.4", "1.2.3.4", 8448)),
        ("c", at("d", "d:5", "d", 5)),
        ("e", at("f", "f", "g", 6)),
        ("h", at("i", "i", "j", 7)),
        ("k", at("l", "l", "l", 8448)),
        ("m", at("m", "m", "n", 8)),
        ("o", at("o", "o", "p", 9)),
        ("q", at("q", "q", "q", 8448)),
    ] {
        assert_eq!(route(&discovery, server).await, expected, "{server}");
    }
}

#[tokio::test]
async fn answers_are_kept_and_asked_again_in_time() {
    let world = World::default();
    world.delegate("a", 200, r#"{"m.server": "b:1"}"#);
    let (discovery, clock) = world.discovery();
    for _ in 0..3 {
        assert_eq!(route(&discovery, "a").await.2, "b");
    }
    assert_eq!(world.asked.lock().as_slice(), ["a"]);
    world.delegate("a", 200, r#"{"m.server": "c:1"}"#);
    clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(route(&discovery, "a").await.2, "c");
}

#[tokio::test]
async fn a_host_that_falls_silent_keeps_its_delegation_and_a_refusal_ends_it() {
    let world = World::default();
    world.delegate("a", 200, r#"{"m.server": "b:1"}"#);
    let (discovery, clock) = world.discovery();
    assert_eq!(route(&discovery, "a").await.2, "b");
    world.well_known.lock().clear();
    clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(route(&discovery, "a").await.2, "b");
    world.delegate("a", 404, "");
    clock.advance(Duration::from_secs(11));
    assert_eq!(route(&discovery, "a").await, at("a", "a", "a", 8448));
}

#[tokio::test]
async fn a_starting_server_is_found_soon_and_failures_are_asked_about_less_and_less() {
    let world = World::default();
    let (discovery, clock) = world.discovery();
    assert_eq!(route(&discovery, "a").await.2, "a");
    world.delegate("a", 200, r#"{"m.server": "b:1"}"#);
    clock.advance(Duration::from_secs(11));
    assert_eq!(route(&discovery, "a").await.2, "b");

    world.delegate("c", 404, "");
    let mut asked = 0;
    for _ in 0..120 {
        route(&discovery, "c").await;
        clock.advance(Duration::from_secs(300));
        asked = world.asked.lock().iter().filter(|one| *one == "c").count();
    }
    assert!((5..=15).contains(&asked), "ten hours of refusals should be asked about seldom, not {asked} times");
}
