//! `POST /_matrix/media/v3/upload`, `POST /_matrix/media/v1/create` and `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`.

use axum::extract::State;
use http::{HeaderMap, header};
use lyceum_institution::Institution;
use lyceum_media::{Described, Media, MediaError};
use lyceum_web::{ApiError, AuthedRaw, AuthedStream, RawJson, body};
use ruma::OwnedServerName;
use serde::Deserialize;
use serde_json::json;

use crate::answers::{Raw, empty};

#[derive(Deserialize)]
pub(crate) struct Named {
    filename: Option<String>,
}

impl Named {
    fn described(self, headers: &HeaderMap) -> Described {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        Described { content_type, filename: self.filename }
    }
}

pub(crate) async fn create_content(
    State(media): State<Media>,
    State(institution): State<Institution>,
    AuthedStream { session, query, headers, body, .. }: AuthedStream<(), Named>,
) -> Raw {
    institution.check_upload(&session.user_id).await?;
    let arriving = body::stream(&headers, body, bytes_max(&media))?;
    let id = media.upload::<ApiError>(&session.user_id, query.described(&headers), arriving).await?;
    RawJson::of(&json!({ "content_uri": uri(&media, &id) }))
}

pub(crate) async fn create_mxc_uri(
    State(media): State<Media>,
    State(institution): State<Institution>,
    AuthedRaw { session, .. }: AuthedRaw<()>,
) -> Raw {
    // Who may not upload is told so before they have anything to upload to (spec: 403 of `POST /media/v1/create`).
    institution.check_upload(&session.user_id).await?;
    let reserved = media.reserve(&session.user_id).await?;
    RawJson::of(&json!({ "content_uri": uri(&media, &reserved.id), "unused_expires_at": reserved.until_ms }))
}

pub(crate) async fn create_content_async(
    State(media): State<Media>,
    State(institution): State<Institution>,
    AuthedStream { session, path: (server, id), query, headers, body }: AuthedStream<(OwnedServerName, String), Named>,
) -> Raw {
    if !media.is_own(&server) {
        return Err(MediaError::NotFound.into());
    }
    institution.check_upload(&session.user_id).await?;
    let arriving = body::stream(&headers, body, bytes_max(&media))?;
    media.upload_to::<ApiError>(&session.user_id, &id, query.described(&headers), arriving).await?;
    empty()
}

fn bytes_max(media: &Media) -> usize {
    usize::try_from(media.config().upload_bytes_max).unwrap_or(usize::MAX)
}

fn uri(media: &Media, id: &str) -> String {
    format!("mxc://{}/{id}", media.server())
}
