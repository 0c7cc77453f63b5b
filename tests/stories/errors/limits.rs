//! Rate limits: every operation of which the specification says that it is limited.

use lyceum::config::Api;
use serde_json::json;

use crate::support::named::{Named, named};
use crate::support::{Campus, Person, campus::Host, encoded, person::Answer};

/// One request of each family, and none again while the clock stands still.
const TIGHT: &str = r"
rate_limits.login = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.registration = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.send = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.join = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.invite = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.keys = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.media = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.other = { user = { per_second = 0.001, burst = 1 }, address = { per_second = 0.001, burst = 1 } }
rate_limits.federation = { server = { per_second = 0.001, burst = 1 }, address = { per_second = 100.0, burst = 1000 } }
";

/// An operation's path with something of the right form in the place of each parameter.
fn filled(path: &str, person: &Person) -> String {
    let segment = |segment: &str| match segment {
        "{userId}" => encoded(&person.id),
        "{roomId}" | "{roomIdOrAlias}" => "!room:alpha".to_owned(),
        "{eventId}" => "$event".to_owned(),
        "{serverName}" => "alpha".to_owned(),
        "{keyName}" => "displayname".to_owned(),
        "{kind}" => "content".to_owned(),
        "{receiptType}" => "m.read".to_owned(),
        "{version}" => "1".to_owned(),
        other if other.starts_with('{') => "x".to_owned(),
        other => other.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

async fn ask(named: &Named, person: &Person, (alpha, beta): (&Host, &Host)) -> Answer {
    let path = filled(named.path, person);
    let body = (named.method != http::Method::GET).then(|| json!({}));
    match named.operation.starts_with("servers/") {
        true => beta.asks(alpha, named.method.clone(), &path, body).await,
        false => person.ask(named.method.clone(), &path, body).await,
    }
}

#[tokio::test]
async fn each_operation_that_is_limited_says_so_and_when_to_come_again() {
    let campus = Campus::with(["alpha", "beta"], TIGHT).await;
    let (alpha, beta) = (campus.host("alpha"), campus.host("beta"));
    let person = alpha.person("anna").await;
    let mounted = alpha.server.mounted(&[Api::Client, Api::Federation]);
    let mut met = 0;
    for named in named().into_iter().filter(|named| named.status == 429) {
        // What is not served at all stands in `tidy/missing.txt`.
        if !mounted.iter().any(|route| named.method == *route.method && same_shape(&route.path, named.path)) {
            continue;
        }
        ask(&named, &person, (alpha, beta)).await;
        let refused = ask(&named, &person, (alpha, beta)).await;
        let says_when = refused.headers.contains_key("retry-after");
        let refused = refused.refused_as(&named.name());
        assert!(says_when, "{} says nothing of when to come again", named.name());
        assert!(refused["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{refused}");
        met += 1;
    }
    assert!(met > 60, "only {met} operations were met");
}

/// Whether two paths are the same but for the names of their parameters.
fn same_shape(one: &str, other: &str) -> bool {
    let shape = |path: &str| {
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }.to_owned()).collect::<Vec<_>>()
    };
    shape(one) == shape(other)
}
