//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`, and the older `/_matrix/media/v3/thumbnail/…` that asks
//! for no token.

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use lyceum_media::{MediaError, Method, Wanted};
use lyceum_web::{ApiError, AuthedStream, PublicRaw};
use ruma::{OwnedServerName, ServerName};
use serde::Deserialize;

use super::{
    Library,
    fetch::{Looking, twenty_seconds, yes},
    serve,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    width: u32,
    height: u32,
    method: Option<String>,
    /// Spec: "When not provided, the server SHOULD NOT return an animated thumbnail."
    #[serde(default)]
    animated: bool,
    #[serde(default = "yes")]
    allow_remote: bool,
    #[serde(default = "twenty_seconds")]
    timeout_ms: u64,
}

impl Asked {
    fn wanted(&self) -> Result<Wanted, ApiError> {
        let method = match self.method.as_deref() {
            None | Some("scale") => Method::Scale,
            Some("crop") => Method::Crop,
            Some(_) => return Err(ApiError::invalid_param("A thumbnail's method is \"crop\" or \"scale\"")),
        };
        if self.width == 0 || self.height == 0 {
            return Err(ApiError::invalid_param("A thumbnail has a width and a height"));
        }
        Ok(Wanted { width: self.width, height: self.height, method, animated: self.animated })
    }
}

pub(crate) async fn get_content_thumbnail(
    State(library): State<Library>,
    AuthedStream { path: (server, id), query, headers, .. }: AuthedStream<(OwnedServerName, String), Asked>,
) -> Result<Response, ApiError> {
    thumbnail(&library, &server, &id, &query, &headers).await
}

pub(crate) async fn get_content_thumbnail_openly(
    State(library): State<Library>,
    PublicRaw { path: (server, id), query, headers, .. }: PublicRaw<(OwnedServerName, String), Asked>,
) -> Result<Response, ApiError> {
    library.check_open()?;
    thumbnail(&library, &server, &id, &query, &headers).await
}

async fn thumbnail(
    library: &Library,
    server: &ServerName,
    id: &str,
    asked: &Asked,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = asked.wanted()?;
    let looking = Looking { allow_remote: asked.allow_remote, timeout_ms: asked.timeout_ms };
    let content = library.find(server, id, looking).await?;
    match library.media.thumbnail(&content, wanted).await {
        Ok(Some(made)) => Ok(serve::picture(made)),
        Ok(None) => serve::file(&content, None, headers).await,
        // Spec, "Security considerations": for another server's picture this is a bad gateway.
        Err(error @ MediaError::TooManyPixels) if !library.media.is_own(server) => {
            Err(ApiError::from(error).with_status(StatusCode::BAD_GATEWAY))
        }
        Err(error) => Err(error.into()),
    }
}
