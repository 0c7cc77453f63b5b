//! Every endpoint of the client-server door, a line each.

mod admin;
mod encryption;
mod media;
mod people;
mod rooms;
mod synapse;
mod sync;

use lyceum_web::Routes;

pub use synapse::admin_routes;

use crate::{
    Api,
    discovery::{
        auth_metadata::get_authorization_server_metadata,
        versions::get_supported_versions,
        well_known::{discover_homeserver, discover_homeserver_for_servers, discover_policy_server, discover_support},
    },
};

/// The routes of the client-server door.
pub fn routes() -> Routes<Api> {
    let families =
        [discovery, media::routes, people::routes, encryption::routes, sync::routes, rooms::routes, admin::routes];
    families.into_iter().fold(Routes::new(), |routes, add| add(routes))
}

fn discovery(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount(get_supported_versions)
        .mount(get_authorization_server_metadata)
        .mount(discover_homeserver)
        .mount(discover_homeserver_for_servers)
        .mount(discover_policy_server)
        .mount(discover_support)
}
