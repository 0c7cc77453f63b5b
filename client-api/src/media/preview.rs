//! `GET /_matrix/client/v1/media/preview_url` and the older `/_matrix/media/v3/preview_url`: what a page says of itself.

use axum::extract::State;
use lyceum_media::Media;
use lyceum_web::{AuthedRaw, RawJson};
use serde::Deserialize;

use crate::answers::Raw;

/// Which page. The time of which clients prefer a preview is passed over: the present one is the only one there is.
#[derive(Deserialize)]
pub(crate) struct Page {
    url: String,
}

pub(crate) async fn get_media_preview(State(media): State<Media>, request: AuthedRaw<(), Page>) -> Raw {
    Ok(RawJson(media.preview(&request.query.url).await?.into()))
}
