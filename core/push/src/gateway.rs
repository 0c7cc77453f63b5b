//! Telling a gateway, and what its answer means.

use http::{Method, StatusCode};
use lyceum_outbound::{Outbound, OutboundError, Request};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long a gateway may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What became of a notification.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The gateway has it.
    Taken,
    /// The gateway knows no such device any more: the pusher is to be removed.
    Rejected,
    /// It is to be tried again; why.
    Failed(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    rejected: Vec<String>,
}

/// Tells a gateway.
pub(crate) async fn tell(outbound: &Outbound, url: &str, pushkey: &str, notification: &Value) -> Verdict {
    match exchange(outbound, url, notification).await {
        Ok((status, body)) => judge(status, &body, pushkey),
        Err(error) => Verdict::Failed(error.to_string()),
    }
}

async fn exchange(
    outbound: &Outbound,
    url: &str,
    notification: &Value,
) -> Result<(StatusCode, bytes::Bytes), OutboundError> {
    let request = Request::new(Method::POST, url)?.json(notification)?;
    let response = outbound.send(request.timeout(TIMEOUT).body_bytes_max(ANSWER_BYTES_MAX)).await?;
    Ok((response.status(), response.bytes().await?))
}

/// What an answer means. A gateway that says 200 and then garbage has the notification all the same.
fn judge(status: StatusCode, body: &[u8], pushkey: &str) -> Verdict {
    if !status.is_success() {
        return Verdict::Failed(format!("the gateway answered {status}"));
    }
    let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
    if answer.rejected.iter().any(|key| key == pushkey) { Verdict::Rejected } else { Verdict::Taken }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_taken_rejected_or_again() {
        let ok = StatusCode::OK;
        assert_eq!(judge(ok, br#"{"rejected":[]}"#, "key"), Verdict::Taken);
        assert_eq!(judge(ok, br#"{"rejected":["other","key"]}"#, "key"), Verdict::Rejected);
        assert_eq!(judge(ok, b"<html>", "key"), Verdict::Taken);
        assert_eq!(judge(ok, br#"{"rejected":["other"]}"#, "key"), Verdict::Taken);
        assert!(matches!(judge(StatusCode::BAD_GATEWAY, br#"{"rejected":["key"]}"#, "key"), Verdict::Failed(_)));
    }
}
