//! The endpoints of media.

use http::Method;
use lyceum_web::{RouteOptions, Routes};
use ruma::api::client::{authenticated_media as authed, media};

use crate::{
    Api,
    media::{config, download, preview, thumbnail, upload},
};

const PLAIN: RouteOptions = RouteOptions::new();
/// What a suspended person uploaded they would show to others.
const ACTIVE: RouteOptions = RouteOptions::new().refuse_suspended();

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    older(routes)
        .mount_as::<media::create_content::v3::Request, _, _>(ACTIVE, upload::create_content)
        .mount_as::<media::create_mxc_uri::v1::Request, _, _>(ACTIVE, upload::create_mxc_uri)
        .mount_as::<media::create_content_async::v3::Request, _, _>(ACTIVE, upload::create_content_async)
        .mount_as::<authed::get_media_config::v1::Request, _, _>(PLAIN, config::get_media_config)
        .mount_as::<authed::get_media_preview::v1::Request, _, _>(PLAIN, preview::get_media_preview)
        .mount_as::<authed::get_content::v1::Request, _, _>(PLAIN, download::get_content)
        .mount_as::<authed::get_content_as_filename::v1::Request, _, _>(PLAIN, download::get_content_as_filename)
        .mount_as::<authed::get_content_thumbnail::v1::Request, _, _>(PLAIN, thumbnail::get_content_thumbnail)
}

/// What the authenticated endpoints took the place of.
fn older(routes: Routes<Api>) -> Routes<Api> {
    let get = &Method::GET;
    ["/_matrix/media/v3", "/_matrix/media/r0", "/_matrix/media/v1"].into_iter().fold(routes, |routes, root| {
        let at = |path: &str| format!("{root}/{path}");
        let (file, named) =
            (at("download/{server_name}/{media_id}"), at("download/{server_name}/{media_id}/{filename}"));
        let smaller = at("thumbnail/{server_name}/{media_id}");
        routes
            .mount_at(get, &[&at("config")], PLAIN, config::get_media_config)
            .mount_at(get, &[&at("preview_url")], PLAIN, preview::get_media_preview)
            .mount_at(get, &[&file], PLAIN, download::get_content_openly)
            .mount_at(get, &[&named], PLAIN, download::get_content_as_filename_openly)
            .mount_at(get, &[&smaller], PLAIN, thumbnail::get_content_thumbnail_openly)
    })
}
