//! Media of another server, handed on as they arrive.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use lyceum_outbound::{Redirects, Request, Response};
use ruma::{OwnedServerName, ServerName};
use std::time::Duration;

use super::multipart::{Reader, boundary};
use crate::{Call, PeerError, Peers, Target};

/// The time that media may take as a whole; silence ends them much sooner.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What the parts and header lines around the content may add to its size.
const AROUND_BYTES_MAX: usize = 128 * 1024;

/// Redirects that are followed, each to `https`.
const REDIRECTS_MAX: u8 = 5;

/// A thumbnail that is asked for.
#[derive(Debug, Clone)]
pub struct Thumbnail {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// `crop` or `scale`.
    pub method: Option<String>,
    /// Whether it may move.
    pub animated: Option<bool>,
}

/// Media that are arriving.
pub struct RemoteMedia {
    server: OwnedServerName,
    /// What they are, as the other server says.
    pub content_type: Option<String>,
    /// Their name and whether to show or save them, as the other server says.
    pub content_disposition: Option<String>,
    arriving: Arriving,
    content_left: usize,
}

enum Arriving {
    Plain(Response),
    Parts { response: Response, reader: Reader, ready: Bytes },
}

impl RemoteMedia {
    fn plain(server: &ServerName, response: Response, bytes_max: usize) -> Self {
        let (content_type, content_disposition) = described(response.headers());
        let arriving = Arriving::Plain(response);
        Self { server: server.to_owned(), content_type, content_disposition, arriving, content_left: bytes_max }
    }

    /// The next piece; `None` at the end. Fails past the limit that was asked for, or when the end is missing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, PeerError> {
        let server = &self.server;
        let piece = match &mut self.arriving {
            Arriving::Plain(response) => response.chunk().await.map_err(|why| silent(server, why))?,
            Arriving::Parts { response, reader, ready } => {
                let mut piece = std::mem::take(ready);
                while piece.is_empty() && !reader.is_done() {
                    let more = response.chunk().await.map_err(|why| silent(server, why))?;
                    let more = more.ok_or_else(|| nonsense(server, "the media end too soon"))?;
                    piece = reader.feed(&more).map_err(|why| nonsense(server, why))?;
                }
                Some(piece).filter(|piece| !piece.is_empty())
            }
        };
        let size = piece.as_ref().map_or(0, Bytes::len);
        self.content_left = self
            .content_left
            .checked_sub(size)
            .ok_or_else(|| silent(server, lyceum_outbound::OutboundError::TooLarge(self.content_left)))?;
        Ok(piece)
    }
}

fn described(headers: &HeaderMap) -> (Option<String>, Option<String>) {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    (text(header::CONTENT_TYPE), text(header::CONTENT_DISPOSITION))
}

fn silent(server: &ServerName, why: lyceum_outbound::OutboundError) -> PeerError {
    PeerError::Unreachable { server: server.to_owned(), why }
}

fn nonsense(server: &ServerName, why: &str) -> PeerError {
    PeerError::Nonsense { server: server.to_owned(), why: why.to_owned() }
}

impl Peers {
    /// Downloads media of another server, at most `bytes_max` of them.
    pub async fn download(&self, server: &ServerName, media: &str, bytes_max: usize) -> Result<RemoteMedia, PeerError> {
        let target = Target::at("/_matrix/federation/v1/media/download").segment(media);
        match self.parts(server, target.query("timeout_ms", "20000"), bytes_max).await {
            Err(error) if is_unknown(&error) => {
                let target = Target::at("/_matrix/media/v3/download").segment(server).segment(media);
                self.unauthenticated(server, target, bytes_max).await
            }
            done => done,
        }
    }

    /// Downloads a thumbnail of another server's media.
    pub async fn thumbnail(
        &self,
        server: &ServerName,
        media: &str,
        wanted: &Thumbnail,
        bytes_max: usize,
    ) -> Result<RemoteMedia, PeerError> {
        let with_size = |target: Target| {
            target
                .query("width", wanted.width.to_string())
                .query("height", wanted.height.to_string())
                .maybe("method", wanted.method.as_deref())
                .maybe("animated", wanted.animated.map(|animated| animated.to_string()))
                .query("timeout_ms", "20000")
        };
        let target = with_size(Target::at("/_matrix/federation/v1/media/thumbnail").segment(media));
        match self.parts(server, target, bytes_max).await {
            Err(error) if is_unknown(&error) => {
                let target = Target::at("/_matrix/media/v3/thumbnail").segment(server).segment(media);
                self.unauthenticated(server, with_size(target), bytes_max).await
            }
            done => done,
        }
    }

    /// Opens media that come in two parts: metadata, then the content or where it is.
    async fn parts(&self, server: &ServerName, target: Target, bytes_max: usize) -> Result<RemoteMedia, PeerError> {
        let call = Call::get(target).timeout(TIMEOUT).answer_bytes_max(bytes_max.saturating_add(AROUND_BYTES_MAX));
        let mut response = self.open(server, call).await?;
        let content_type = described(response.headers()).0.unwrap_or_default();
        let mut reader = Reader::new(boundary(&content_type).map_err(|why| nonsense(server, why))?);
        let mut ready = Bytes::new();
        while reader.head().is_none() {
            let more = response.chunk().await.map_err(|why| silent(server, why))?;
            let more = more.ok_or_else(|| nonsense(server, "the media end too soon"))?;
            ready = reader.feed(&more).map_err(|why| nonsense(server, why))?;
        }
        let head = reader.head().cloned().unwrap_or_default();
        if let Some(location) = head.get(header::LOCATION) {
            let location = location.to_str().map_err(|_| nonsense(server, "a location that is not text"))?;
            return self.elsewhere(server, location, bytes_max).await;
        }
        let (content_type, content_disposition) = described(&head);
        let arriving = Arriving::Parts { response, reader, ready };
        Ok(RemoteMedia {
            server: server.to_owned(),
            content_type,
            content_disposition,
            arriving,
            content_left: bytes_max,
        })
    }

    /// Opens media at the place that the other server named.
    async fn elsewhere(&self, server: &ServerName, url: &str, bytes_max: usize) -> Result<RemoteMedia, PeerError> {
        if !url.starts_with("https://") {
            return Err(nonsense(server, "media elsewhere, but not by https"));
        }
        let request = Request::new(Method::GET, url).map_err(|why| silent(server, why))?;
        let request = request.follow(Redirects::Secure(REDIRECTS_MAX)).timeout(TIMEOUT).body_bytes_max(bytes_max);
        let response = self.shared.outbound.send(request).await.map_err(|why| silent(server, why))?;
        if !response.status().is_success() {
            return Err(nonsense(server, "media elsewhere that are not there"));
        }
        Ok(RemoteMedia::plain(server, response, bytes_max))
    }

    /// Opens media the way it was before they needed authentication, on a server that knows only that.
    async fn unauthenticated(
        &self,
        server: &ServerName,
        target: Target,
        bytes_max: usize,
    ) -> Result<RemoteMedia, PeerError> {
        let target = target.query("allow_remote", "false");
        let call = Call::get(target).unsigned().timeout(TIMEOUT).answer_bytes_max(bytes_max);
        let response = self.open(server, call).await?;
        Ok(RemoteMedia::plain(server, response, bytes_max))
    }
}

/// Whether the server does not know the endpoint: it says so, or what answers for it speaks no Matrix there.
fn is_unknown(error: &PeerError) -> bool {
    let PeerError::Refused { status: 400 | 404 | 405, errcode, body, .. } = error else { return false };
    errcode == "M_UNRECOGNIZED" || serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(body).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, errcode: &str, body: &str) -> PeerError {
        let server = ruma::owned_server_name!("far.example");
        PeerError::Refused { server, status, errcode: errcode.into(), message: String::new(), body: body.into() }
    }

    #[test]
    fn an_endpoint_that_is_not_there_is_told_from_media_that_are_not() {
        assert!(is_unknown(&answered(404, "M_UNRECOGNIZED", r#"{"errcode":"M_UNRECOGNIZED"}"#)));
        assert!(is_unknown(&answered(404, "M_UNKNOWN", "404 page not found")));
        assert!(is_unknown(&answered(400, "M_UNKNOWN", "")));
        assert!(!is_unknown(&answered(404, "M_NOT_FOUND", r#"{"errcode":"M_NOT_FOUND"}"#)));
        assert!(!is_unknown(&answered(403, "M_UNKNOWN", "")) && !is_unknown(&answered(500, "M_UNKNOWN", "")));
    }
}
