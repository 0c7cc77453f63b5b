//! Every endpoint of the server-server door, a line each.

use http::Method;
use lyceum_web::{Family, RouteOptions, Routes};
use ruma::api::federation::{
    directory::get_public_rooms,
    keys::{claim_keys, get_keys},
    membership::create_invite,
    openid::get_openid_userinfo,
    transactions::send_transaction_message,
};

use crate::{
    Api, directory, discovery, graph, invite, keys, media, membership, openid, policy, query, third_party, transactions,
};

const PLAIN: RouteOptions = RouteOptions::new();

/// The routes of the server-server door.
pub fn routes() -> Routes<Api> {
    [identity, transactions, policies, memberships, addresses, pieces, directories, people, files]
        .into_iter()
        .fold(Routes::new(), |routes, add| add(routes))
}

fn identity(routes: Routes<Api>) -> Routes<Api> {
    let get = &Method::GET;
    routes
        .mount_at(get, &["/_matrix/federation/v1/version"], PLAIN, discovery::get_server_version)
        .mount_at(get, &["/_matrix/key/v2/server"], PLAIN, discovery::get_server_keys)
        .mount_at(get, &["/_matrix/key/v2/server/{keyId}"], PLAIN, discovery::get_server_keys_of_id)
        .mount_at(get, &["/_matrix/key/v2/query/{serverName}"], PLAIN, discovery::get_remote_server_keys)
        .mount_at(get, &["/_matrix/key/v2/query/{serverName}/{keyId}"], PLAIN, discovery::get_remote_server_keys_of_id)
        .mount_at(&Method::POST, &["/_matrix/key/v2/query"], PLAIN, discovery::get_remote_server_keys_batch)
}

fn transactions(routes: Routes<Api>) -> Routes<Api> {
    routes.mount_as::<send_transaction_message::v1::Request, _, _>(PLAIN, transactions::send_transaction_message)
}

fn policies(routes: Routes<Api>) -> Routes<Api> {
    // It counts like everything that servers ask, though its path is another.
    let limited = PLAIN.family(Family::Federation);
    routes.mount_at(&Method::POST, &["/_matrix/policy/v1/sign"], limited, policy::sign)
}

fn memberships(routes: Routes<Api>) -> Routes<Api> {
    let (join, leave) =
        ("/_matrix/federation/v1/send_join/{room}/{event}", "/_matrix/federation/v1/send_leave/{room}/{event}");
    routes
        .mount(membership::prepare_join_event)
        .mount(membership::create_join_event)
        .mount_at(&Method::PUT, &[join], PLAIN, membership::create_join_event_v1)
        .mount(membership::prepare_leave_event)
        .mount(membership::create_leave_event)
        .mount_at(&Method::PUT, &[leave], PLAIN, membership::create_leave_event_v1)
        .mount(membership::prepare_knock_event)
        .mount(membership::create_knock_event)
        .mount_as::<create_invite::v2::Request, _, _>(PLAIN, invite::create_invite)
        .mount_as::<create_invite::v1::Request, _, _>(PLAIN, invite::create_invite_v1)
}

fn addresses(routes: Routes<Api>) -> Routes<Api> {
    let (claim, bound) =
        ("/_matrix/federation/v1/exchange_third_party_invite/{room_id}", "/_matrix/federation/v1/3pid/onbind");
    let put = &Method::PUT;
    routes.mount_at(put, &[claim], PLAIN, third_party::exchange_third_party_invite).mount_at(
        put,
        &[bound],
        PLAIN,
        third_party::on_bind_third_party_identifier,
    )
}

fn pieces(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount(graph::get_room_state)
        .mount(graph::get_room_state_ids)
        .mount(graph::get_event)
        .mount(graph::get_event_authorization)
        .mount(graph::get_backfill)
        .mount(graph::get_missing_events)
        .mount(graph::get_event_by_timestamp)
}

fn people(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_at(&Method::GET, &["/_matrix/federation/v1/query/profile"], PLAIN, query::get_profile_information)
        .mount(query::get_room_information)
        .mount(query::get_custom_information)
        .mount(keys::get_devices)
        .mount_as::<get_keys::v1::Request, _, _>(PLAIN, keys::get_keys)
        .mount_as::<claim_keys::v1::Request, _, _>(PLAIN, keys::claim_keys)
        .mount_as::<get_openid_userinfo::v1::Request, _, _>(PLAIN, openid::get_openid_userinfo)
}

fn directories(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_as::<get_public_rooms::v1::Request, _, _>(PLAIN, directory::get_public_rooms)
        .mount(directory::get_public_rooms_filtered)
        .mount(directory::get_hierarchy)
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
