//! `/.well-known/matrix/server`: where a server name says its server is.

use http::{HeaderMap, Method, header};
use lyceum_outbound::{Outbound, OutboundError, Redirects, Request};
use ruma::OwnedServerName;
use serde::Deserialize;
use std::time::Duration;

/// The specification's limits on how long an answer is kept: by default, and at most. The least is ours.
const KEPT_DEFAULT: Duration = Duration::from_secs(24 * 3600);
const KEPT_MAX: Duration = Duration::from_secs(48 * 3600);
const KEPT_MIN: Duration = Duration::from_secs(60);

/// How long a definite "no" is kept first; doubled each time, up to the specification's hour.
const REFUSAL_KEPT: Duration = Duration::from_secs(300);

/// The longest that it is kept.
const REFUSAL_KEPT_MAX: Duration = Duration::from_secs(3600);

/// How long silence is kept first and at most: short, for a server that is just starting. A server that stays away is
/// left alone as a whole, so this is seldom asked.
const SILENCE_KEPT: Duration = Duration::from_secs(10);
const SILENCE_KEPT_MAX: Duration = Duration::from_secs(60);

/// Limits of the request.
const TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 50 * 1024;
const REDIRECTS_MAX: u8 = 10;

/// What a host's well-known said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The server delegated to; `None` if the host delegates to nobody.
    pub(super) delegated: Option<OwnedServerName>,
    /// How long this holds.
    pub(super) kept: Duration,
    /// Failures in a row up to this one.
    pub(super) failures: u32,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "m.server")]
    server: OwnedServerName,
}

/// Why there is no delegation.
enum Nothing {
    /// The host answered, but not with a delegation.
    Refusal,
    /// The host did not answer.
    Silence,
}

/// Asks a host. `before` is its last answer: failures in a row make the next question wait longer, and a host that once
/// delegated and now says nothing at all is taken to still do so.
pub(super) async fn ask(outbound: &Outbound, host: &str, before: Option<&Answer>) -> Answer {
    match fetch(outbound, host).await {
        Ok((delegated, kept)) => Answer { delegated: Some(delegated), kept, failures: 0 },
        Err(nothing) => {
            let failures = before.map_or(0, |before| before.failures) + 1;
            let (first, most, delegated) = match nothing {
                Nothing::Refusal => (REFUSAL_KEPT, REFUSAL_KEPT_MAX, None),
                Nothing::Silence => {
                    (SILENCE_KEPT, SILENCE_KEPT_MAX, before.and_then(|before| before.delegated.clone()))
                }
            };
            let kept = first.saturating_mul(1 << (failures - 1).min(10)).min(most);
            Answer { delegated, kept, failures }
        }
    }
}

async fn fetch(outbound: &Outbound, host: &str) -> Result<(OwnedServerName, Duration), Nothing> {
    let request = Request::new(Method::GET, &format!("https://{host}/.well-known/matrix/server"))
        .map_err(|_| Nothing::Refusal)?
        .follow(Redirects::Secure(REDIRECTS_MAX))
        .timeout(TIMEOUT)
        .body_bytes_max(BODY_BYTES_MAX);
    let response = outbound.send(request).await.map_err(|error| nothing(&error))?;
    if response.status().is_server_error() {
        return Err(Nothing::Silence);
    }
    if response.status() != http::StatusCode::OK {
        return Err(Nothing::Refusal);
    }
    let kept = kept(response.headers());
    let document: Document = response.json().await.map_err(|error| nothing(&error))?;
    Ok((document.server, kept))
}

fn nothing(error: &OutboundError) -> Nothing {
    match error {
        OutboundError::Timeout | OutboundError::Connect(_) | OutboundError::Broken(_) => Nothing::Silence,
        _ => Nothing::Refusal,
    }
}

/// How long the response says it may be kept, within the limits.
fn kept(headers: &HeaderMap) -> Duration {
    let control = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut kept = KEPT_DEFAULT;
    for directive in control.split(',').map(|one| one.trim().to_ascii_lowercase()) {
        match directive.split_once('=') {
            Some(("max-age", seconds)) => {
                kept = seconds.trim_matches('"').parse().map_or(KEPT_DEFAULT, Duration::from_secs);
            }
            None if directive == "no-store" || directive == "no-cache" => return KEPT_MIN,
            _ => {}
        }
    }
    kept.clamp(KEPT_MIN, KEPT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn cache_control_is_respected_within_limits() {
        let of = |value: &'static str| {
            kept(&HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(value))])).as_secs()
        };
        assert_eq!(kept(&HeaderMap::new()), KEPT_DEFAULT);
        assert_eq!(of("public, max-age=600"), 600);
        assert_eq!(of("max-age=99999999"), KEPT_MAX.as_secs());
        assert_eq!(of("max-age=0"), 60);
        assert_eq!(of("max-age=600, no-store"), 60);
        assert_eq!(of("max-age=soon"), KEPT_DEFAULT.as_secs());
    }
}
