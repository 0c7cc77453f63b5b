//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}` with and without a file name, and the older
//! `/_matrix/media/v3/download/…` that asks for no token.

use axum::{extract::State, response::Response};
use lyceum_web::{ApiError, AuthedStream, PublicRaw};
use ruma::OwnedServerName;

use super::{Library, fetch::Looking, serve};

type Found = Result<Response, ApiError>;

pub(crate) async fn get_content(
    State(library): State<Library>,
    AuthedStream { path: (server, id), query, headers, .. }: AuthedStream<(OwnedServerName, String), Looking>,
) -> Found {
    serve::file(&library.find(&server, &id, query).await?, None, &headers).await
}

pub(crate) async fn get_content_as_filename(
    State(library): State<Library>,
    AuthedStream { path: (server, id, name), query, headers, .. }: AuthedStream<
        (OwnedServerName, String, String),
        Looking,
    >,
) -> Found {
    serve::file(&library.find(&server, &id, query).await?, Some(&name), &headers).await
}

pub(crate) async fn get_content_openly(
    State(library): State<Library>,
    PublicRaw { path: (server, id), query, headers, .. }: PublicRaw<(OwnedServerName, String), Looking>,
) -> Found {
    library.check_open()?;
    serve::file(&library.find(&server, &id, query).await?, None, &headers).await
}

pub(crate) async fn get_content_as_filename_openly(
    State(library): State<Library>,
    PublicRaw { path: (server, id, name), query, headers, .. }: PublicRaw<(OwnedServerName, String, String), Looking>,
) -> Found {
    library.check_open()?;
    serve::file(&library.find(&server, &id, query).await?, Some(&name), &headers).await
}
