//! Files on their way out: whole or in part, with the headers that keep a browser from running them.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use lyceum_media::{Content, Picture};
use lyceum_web::ApiError;
use ruma::http_headers::ContentDisposition;
use std::ops::Range;

/// Spec, "Content repository": the recommended policy.
const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; object-src 'self';";

/// What has this address never changes.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// Which part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Of(Range<u64>),
    Beyond,
}

/// The answer with a file, or with the part of it that was asked for.
pub(super) async fn file(content: &Content, filename: Option<&str>, asked: &HeaderMap) -> Result<Response, ApiError> {
    let part = part(asked, content.bytes);
    let tag = HeaderValue::try_from(content.tag()).map_err(|error| ApiError::internal(&error))?;
    let (status, range) = match &part {
        _ if asked.get(header::IF_NONE_MATCH) == Some(&tag) => (StatusCode::NOT_MODIFIED, 0..0),
        Part::Whole => (StatusCode::OK, 0..content.bytes),
        Part::Of(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        Part::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let length = range.end - range.start;
    let mut response = Response::new(Body::from_stream(content.read(range).await?));
    *response.status_mut() = status;
    dress(response.headers_mut(), content.content_type(), &content.disposition(filename));
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let placed = match part {
        Part::Of(range) => format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), content.bytes),
        Part::Beyond => format!("bytes */{}", content.bytes),
        Part::Whole => return Ok(response),
    };
    if let Ok(placed) = HeaderValue::try_from(placed) {
        headers.insert(header::CONTENT_RANGE, placed);
    }
    Ok(response)
}

/// The answer with a picture that was made here.
pub(super) fn picture(picture: Picture) -> Response {
    let (kind, disposition) = (picture.content_type, picture.disposition());
    let mut response = picture.bytes.into_response();
    dress(response.headers_mut(), kind, &disposition);
    response
}

fn dress(headers: &mut HeaderMap, kind: &str, disposition: &ContentDisposition) {
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(kind).unwrap_or(octets));
    let attachment = HeaderValue::from_static("attachment");
    let disposition = HeaderValue::try_from(disposition.to_string()).unwrap_or(attachment);
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let cross_origin = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(cross_origin, HeaderValue::from_static("cross-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
}

/// What a `Range` header asks for (RFC 9110, 14.2). Several ranges, and what cannot be read, mean the whole.
fn part(asked: &HeaderMap, bytes: u64) -> Part {
    let range = asked.get(header::RANGE).and_then(|range| range.to_str().ok()?.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return Part::Whole };
    let (first, last) = (first.trim(), last.trim());
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(bytes),
        (Ok(first), Err(_)) if last.is_empty() => first..bytes,
        (Err(_), Ok(length)) if first.is_empty() => bytes.saturating_sub(length)..bytes,
        _ => return Part::Whole,
    };
    if range.start < range.end { Part::Of(range) } else { Part::Beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(range: &'static str) -> Part {
        part(&HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]), 10)
    }

    #[test]
    fn ranges_are_read_as_http_says() {
        assert_eq!(asking("bytes=0-3"), Part::Of(0..4));
        assert_eq!(asking("bytes=5-"), Part::Of(5..10));
        assert_eq!(asking("bytes=-4"), Part::Of(6..10));
        assert_eq!(asking("bytes=0-99999999999999999999"), Part::Whole);
        assert_eq!(asking("bytes=2-18446744073709551615"), Part::Of(2..10));
        assert_eq!(asking("bytes=10-"), Part::Beyond);
        assert_eq!(asking("bytes=-0"), Part::Beyond);
        assert_eq!(asking("bytes=0-1,3-4"), Part::Whole);
        assert_eq!(asking("lines=0-1"), Part::Whole);
        assert_eq!(part(&HeaderMap::new(), 0), Part::Whole);
    }
}
