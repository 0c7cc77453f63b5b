//! `GET /_matrix/client/v1/media/config` and the older `/_matrix/media/v3/config`: how large uploads may be.

use axum::extract::State;
use lyceum_media::Media;
use lyceum_web::{AuthedRaw, RawJson};
use serde_json::json;

use crate::answers::Raw;

pub(crate) async fn get_media_config(State(media): State<Media>, _: AuthedRaw<()>) -> Raw {
    RawJson::of(&json!({ "m.upload.size": media.config().upload_bytes_max }))
}
