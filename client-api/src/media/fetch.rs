//! Media wherever they are: our own, those kept of other servers, and those to be fetched, composed of what media keep and
//! what peers fetch.

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use lyceum_media::{Content, Described, Media, MediaError};
use lyceum_outbound::OutboundError;
use lyceum_peers::{PeerError, Peers, calls::RemoteMedia};
use lyceum_web::ApiError;
use ruma::{ServerName, http_headers::ContentDisposition};
use serde::Deserialize;
use std::time::Duration;

/// All media. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Library {
    pub(crate) media: Media,
    peers: Peers,
}

/// How to look for media, as their query says.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Looking {
    #[serde(default = "yes")]
    pub(super) allow_remote: bool,
    #[serde(default = "twenty_seconds")]
    pub(super) timeout_ms: u64,
}

pub(super) fn yes() -> bool {
    true
}

/// Spec: "The default value is 20000 (20 seconds)."
pub(super) fn twenty_seconds() -> u64 {
    20_000
}

impl Library {
    /// What composes media with these peers.
    pub(crate) fn new(media: Media, peers: Peers) -> Self {
        Self { media, peers }
    }

    /// Refuses whoever is not signed in, when that is needed.
    pub(crate) fn check_open(&self) -> Result<(), ApiError> {
        if self.media.config().allow_unauthenticated { Ok(()) } else { Err(MediaError::NotFound.into()) }
    }

    /// Finds media, or fetches them.
    pub(crate) async fn find(&self, server: &ServerName, id: &str, looking: Looking) -> Result<Content, ApiError> {
        let patience = Duration::from_millis(looking.timeout_ms);
        match self.media.find(server, id, patience).await {
            Err(MediaError::NotFound) if !self.media.is_own(server) && looking.allow_remote => {
                self.fetch(server, id).await
            }
            found => Ok(found?),
        }
    }

    async fn fetch(&self, server: &ServerName, id: &str) -> Result<Content, ApiError> {
        let fetching = self.media.fetching(server, id).await?;
        match self.media.find(server, id, Duration::ZERO).await {
            Err(MediaError::NotFound) => {}
            found => return Ok(found?),
        }
        let bytes_max = usize::try_from(self.media.config().remote_bytes_max).unwrap_or(usize::MAX);
        let remote = self.peers.download(server, id, bytes_max).await.map_err(trouble)?;
        let described = described(&remote);
        self.media.keep(&fetching, described, Box::pin(pieces(remote))).await
    }
}

fn described(remote: &RemoteMedia) -> Described {
    let disposition = remote.content_disposition.as_deref().and_then(|text| text.parse::<ContentDisposition>().ok());
    Described {
        content_type: remote.content_type.clone(),
        filename: disposition.and_then(|disposition| disposition.filename),
    }
}

fn pieces(remote: RemoteMedia) -> impl Stream<Item = Result<Bytes, ApiError>> + Send {
    stream::try_unfold(remote, |mut remote| async move {
        let piece = remote.chunk().await.map_err(trouble)?;
        Ok(piece.map(|piece| (piece, remote)))
    })
}

/// Spec, "Security considerations": what another server has too much of is a bad gateway with `M_TOO_LARGE`.
fn trouble(error: PeerError) -> ApiError {
    match error {
        PeerError::Unreachable { why: OutboundError::TooLarge(_), .. } => {
            ApiError::too_large("The other server's file is too large").with_status(StatusCode::BAD_GATEWAY)
        }
        error => error.into(),
    }
}
