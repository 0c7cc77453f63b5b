//! `GET /_matrix/federation/v1/media/download/{mediaId}` and `…/thumbnail/{mediaId}`: our own media, in two parts.

use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};
use lyceum_media::{Media, Method, Piece, Wanted};
use lyceum_web::{ApiError, FromServerRaw};
use ruma::http_headers::ContentDisposition;
use serde::Deserialize;
use std::time::Duration;

/// Spec: "The default value is 20000 (20 seconds)."
fn twenty_seconds() -> u64 {
    20_000
}

#[derive(Deserialize)]
pub(crate) struct Looking {
    #[serde(default = "twenty_seconds")]
    timeout_ms: u64,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    width: u32,
    height: u32,
    method: Option<String>,
    /// Spec: "When not provided, the server SHOULD NOT return an animated thumbnail."
    #[serde(default)]
    animated: bool,
    #[serde(default = "twenty_seconds")]
    timeout_ms: u64,
}

pub(crate) async fn get_content(
    State(media): State<Media>,
    FromServerRaw { path: (id,), query, .. }: FromServerRaw<(String,), Looking>,
) -> Result<Response, ApiError> {
    let content = media.find(media.server(), &id, Duration::from_millis(query.timeout_ms)).await?;
    let around = Around::new(&content.tag(), content.content_type(), &content.disposition(None));
    Ok(around.answer(content.read(0..content.bytes).await?))
}

pub(crate) async fn get_content_thumbnail(
    State(media): State<Media>,
    FromServerRaw { path: (id,), query, .. }: FromServerRaw<(String,), Asked>,
) -> Result<Response, ApiError> {
    let method = if query.method.as_deref() == Some("crop") { Method::Crop } else { Method::Scale };
    let content = media.find(media.server(), &id, Duration::from_millis(query.timeout_ms)).await?;
    let wanted = Wanted { width: query.width, height: query.height, method, animated: query.animated };
    let Some(made) = media.thumbnail(&content, wanted).await? else {
        let around = Around::new(&content.tag(), content.content_type(), &content.disposition(None));
        return Ok(around.answer(content.read(0..content.bytes).await?));
    };
    let around = Around::new(&content.tag(), made.content_type, &made.disposition());
    Ok(around.answer(stream::iter([Ok(made.bytes)])))
}

/// What stands around the content: the metadata, which say nothing yet, and the headers of the second part.
struct Around {
    boundary: String,
    before: String,
}

impl Around {
    fn new(tag: &str, kind: &str, disposition: &ContentDisposition) -> Self {
        // Whoever could put the boundary into a file would have to know its hash before.
        let boundary = format!("lyceum-{}", tag.trim_matches('"'));
        let before = format!(
            "--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n\
             --{boundary}\r\nContent-Type: {kind}\r\nContent-Disposition: {disposition}\r\n\r\n"
        );
        Self { boundary, before }
    }

    fn answer(self, content: impl futures_util::Stream<Item = Piece> + Send + 'static) -> Response {
        let after = format!("\r\n--{}--\r\n", self.boundary);
        let before = stream::iter([Ok(Bytes::from(self.before))]);
        let parts = before.chain(content).chain(stream::iter([Ok(Bytes::from(after))]));
        let mut response = Response::new(Body::from_stream(parts));
        let kind = format!("multipart/mixed; boundary={}", self.boundary);
        let plain = HeaderValue::from_static("multipart/mixed");
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::try_from(kind).unwrap_or(plain));
        response
    }
}
