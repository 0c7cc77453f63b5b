//! Every endpoint of the server-server door, a line each.

use http::Method;
use lyceum_web::{RouteOptions, Routes};

use crate::{Api, discovery, media, openid, query};

const PLAIN: RouteOptions = RouteOptions::new();

/// The routes of the server-server door.
pub fn routes() -> Routes<Api> {
    [identity, people, files].into_iter().fold(Routes::new(), |routes, add| add(routes))
}

fn identity(routes: Routes<Api>) -> Routes<Api> {
    let get = &Method::GET;
    routes
        .mount_at(get, &["/_matrix/federation/v1/version"], PLAIN, discovery::get_server_version)
        .mount_at(get, &["/_matrix/key/v2/server"], PLAIN, discovery::get_server_keys)
        .mount_at(get, &["/_matrix/key/v2/server/{keyId}"], PLAIN, discovery::get_server_keys_of_id)
        .mount_at(get, &["/_matrix/key/v2/query/{serverName}"], PLAIN, discovery::get_remote_server_keys)
        .mount_at(&Method::POST, &["/_matrix/key/v2/query"], PLAIN, discovery::get_remote_server_keys_batch)
}

fn people(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_at(&Method::GET, &["/_matrix/federation/v1/query/profile"], PLAIN, query::get_profile_information)
        .mount(query::get_room_information)
        .mount(openid::get_openid_userinfo)
}

fn files(routes: Routes<Api>) -> Routes<Api> {
    let (file, smaller) =
        ("/_matrix/federation/v1/media/download/{media_id}", "/_matrix/federation/v1/media/thumbnail/{media_id}");
    routes.mount_at(&Method::GET, &[file], PLAIN, media::get_content).mount_at(
        &Method::GET,
        &[smaller],
        PLAIN,
        media::get_content_thumbnail,
    )
}
