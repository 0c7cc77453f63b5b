//! Request bodies: read up to a limit and within a time, and never deeper than a parser may go.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

use crate::ApiError;

/// How deep JSON may be nested. The parser's own guard is a little further out, and some of its paths have none.
pub const DEPTH_MAX: usize = 100;

/// Reads a body. One that says it is too long is refused before a byte of it is read.
pub(crate) async fn read(parts: &Parts, body: Body, bytes_max: usize, within: Duration) -> Result<Bytes, ApiError> {
    check_announced(&parts.headers, bytes_max)?;
    match tokio::time::timeout(within, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) => Err(broken(&*error, bytes_max)),
        Err(_) => Err(ApiError::unknown("The body took too long").with_status(http::StatusCode::REQUEST_TIMEOUT)),
    }
}

/// The body of an upload, piece by piece, up to a limit. What says it is too long is refused at once.
pub fn stream(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<impl Stream<Item = Result<Bytes, ApiError>> + Send + Unpin + 'static, ApiError> {
    check_announced(headers, bytes_max)?;
    let pieces = Limited::new(body, bytes_max).into_data_stream();
    Ok(pieces.map_err(move |error| broken(&*error, bytes_max)))
}

fn check_announced(headers: &HeaderMap, bytes_max: usize) -> Result<(), ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) { Err(too_large(bytes_max)) } else { Ok(()) }
}

fn broken(error: &(dyn std::error::Error + 'static), bytes_max: usize) -> ApiError {
    if error.is::<LengthLimitError>() { too_large(bytes_max) } else { ApiError::unknown("The body broke off") }
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::too_large(format!("The body is larger than {bytes_max} bytes"))
}

/// Refuses what is not UTF-8, which parsers pass over in fields they don't read, and JSON nested deeper than [`DEPTH_MAX`].
pub fn check(json: &[u8]) -> Result<(), ApiError> {
    if std::str::from_utf8(json).is_err() {
        return Err(ApiError::not_json("The body is not UTF-8"));
    }
    check_depth(json)
}

/// One pass over the bytes, no recursion, nothing kept.
fn check_depth(json: &[u8]) -> Result<(), ApiError> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(ApiError::bad_json(format!("The JSON is nested deeper than {DEPTH_MAX} levels")));
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Parses a body whose depth was checked; an empty one counts as `{}`, since clients send none where an object may be empty.
pub fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_must_be_utf_8_wherever_it_stands() {
        assert!(check("{\"ignored\":\"ü\"}".as_bytes()).is_ok());
        assert!(check(b"{\"ignored\":\"\xff\"}").is_err());
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check_depth(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert!(check_depth(deep(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(check_depth(format!(r#"{{"a":"{}"}}"#, "[".repeat(1_000)).as_bytes()).is_ok());
        assert!(check_depth(format!(r#"["\"",{}]"#, deep(DEPTH_MAX)).as_bytes()).is_err());
        assert!(check_depth(&[b'['; 100_000]).is_err());
        assert!(check_depth(format!("[{}]", vec!["{}"; 500].join(",")).as_bytes()).is_ok());
    }
}
