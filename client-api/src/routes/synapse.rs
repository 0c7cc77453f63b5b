//! The endpoints of Synapse's administration API.

use http::Method;
use lyceum_web::{RouteOptions, Routes};

use crate::{
    Api,
    admin::whois,
    synapse::{
        self, deletions, devices, history, media, membership, notices, reading, redactions, reports, restraints, rooms,
        statistics, tokens, users, users_list,
    },
};

const PLAIN: RouteOptions = RouteOptions::new();
const GET: &Method = &Method::GET;
const PUT: &Method = &Method::PUT;
const POST: &Method = &Method::POST;
const DELETE: &Method = &Method::DELETE;

/// The routes of the administration API.
pub fn admin_routes() -> Routes<Api> {
    [people, sessions, places, files, admission].into_iter().fold(Routes::new(), |routes, add| add(routes)).mount_at(
        GET,
        &["/_synapse/admin/v1/server_version"],
        PLAIN,
        synapse::server_version,
    )
}

fn people(routes: Routes<Api>) -> Routes<Api> {
    let user = ["/_synapse/admin/v2/users/{user_id}"];
    let admin = ["/_synapse/admin/v1/users/{user_id}/admin"];
    let shadow_ban = ["/_synapse/admin/v1/users/{user_id}/shadow_ban"];
    let rates = ["/_synapse/admin/v1/users/{user_id}/override_ratelimit"];
    routes
        .mount_at(GET, &["/_synapse/admin/v2/users"], PLAIN, users_list::list_v2)
        .mount_at(GET, &["/_synapse/admin/v3/users"], PLAIN, users_list::list_v3)
        .mount_at(GET, &user, PLAIN, users::get)
        .mount_at(PUT, &user, PLAIN, users::put)
        .mount_at(POST, &["/_synapse/admin/v1/deactivate/{user_id}"], PLAIN, users::deactivate)
        .mount_at(POST, &["/_synapse/admin/v1/reset_password/{user_id}"], PLAIN, users::reset_password)
        .mount_at(GET, &admin, PLAIN, users::is_admin)
        .mount_at(PUT, &admin, PLAIN, users::set_admin)
        .mount_at(PUT, &["/_synapse/admin/v1/suspend/{user_id}"], PLAIN, users::suspend)
        .mount_at(GET, &["/_synapse/admin/v1/users/{user_id}/joined_rooms"], PLAIN, users::joined_rooms)
        .mount_at(GET, &["/_synapse/admin/v1/users/{user_id}/memberships"], PLAIN, users::memberships)
        .mount_at(POST, &shadow_ban, PLAIN, restraints::shadow_ban)
        .mount_at(DELETE, &shadow_ban, PLAIN, restraints::lift_shadow_ban)
        .mount_at(GET, &["/_synapse/admin/v1/users/{user_id}/pushers"], PLAIN, statistics::pushers)
        .mount_at(GET, &rates, PLAIN, restraints::rate_override)
        .mount_at(POST, &rates, PLAIN, restraints::set_rate_override)
        .mount_at(DELETE, &rates, PLAIN, restraints::remove_rate_override)
        .mount_at(POST, &["/_synapse/admin/v1/user/{user_id}/redact"], PLAIN, redactions::begin)
        .mount_at(GET, &["/_synapse/admin/v1/user/redact_status/{redact_id}"], PLAIN, redactions::status)
        .mount_at(POST, &["/_synapse/admin/v1/send_server_notice"], PLAIN, notices::send)
        .mount_at(PUT, &["/_synapse/admin/v1/send_server_notice/{txn_id}"], PLAIN, notices::send_once)
        .mount_at(GET, &["/_synapse/admin/v1/username_available"], PLAIN, users::username_available)
}

fn sessions(routes: Routes<Api>) -> Routes<Api> {
    let all = ["/_synapse/admin/v2/users/{user_id}/devices"];
    let one = ["/_synapse/admin/v2/users/{user_id}/devices/{device_id}"];
    routes
        .mount_at(GET, &["/_synapse/admin/v1/whois/{user_id}"], PLAIN, whois::get_user_info)
        .mount_at(GET, &all, PLAIN, devices::list)
        .mount_at(POST, &all, PLAIN, devices::create)
        .mount_at(GET, &one, PLAIN, devices::get)
        .mount_at(PUT, &one, PLAIN, devices::rename)
        .mount_at(DELETE, &one, PLAIN, devices::delete)
        .mount_at(POST, &["/_synapse/admin/v2/users/{user_id}/delete_devices"], PLAIN, devices::delete_several)
}

fn places(routes: Routes<Api>) -> Routes<Api> {
    let report = ["/_synapse/admin/v1/event_reports/{report_id}"];
    let block = ["/_synapse/admin/v1/rooms/{room_id}/block"];
    routes
        .mount_at(GET, &["/_synapse/admin/v1/rooms"], PLAIN, rooms::list)
        .mount_at(GET, &["/_synapse/admin/v1/rooms/{room_id}"], PLAIN, rooms::get)
        .mount_at(GET, &["/_synapse/admin/v1/rooms/{room_id}/members"], PLAIN, rooms::members)
        .mount_at(GET, &["/_synapse/admin/v1/rooms/{room_id}/state"], PLAIN, rooms::state)
        .mount_at(DELETE, &["/_synapse/admin/v1/rooms/{room_id}"], PLAIN, deletions::delete)
        .mount_at(DELETE, &["/_synapse/admin/v2/rooms/{room_id}"], PLAIN, deletions::delete_in_background)
        .mount_at(GET, &["/_synapse/admin/v2/rooms/{room_id}/delete_status"], PLAIN, deletions::status_of_room)
        .mount_at(GET, &["/_synapse/admin/v2/rooms/delete_status/{delete_id}"], PLAIN, deletions::status)
        .mount_at(POST, &["/_synapse/admin/v1/purge_history/{room_id}"], PLAIN, history::purge)
        .mount_at(POST, &["/_synapse/admin/v1/purge_history/{room_id}/{event_id}"], PLAIN, history::purge_before_event)
        .mount_at(GET, &["/_synapse/admin/v1/purge_history_status/{purge_id}"], PLAIN, history::status)
        .mount_at(GET, &block, PLAIN, deletions::block)
        .mount_at(PUT, &block, PLAIN, deletions::set_block)
        .mount_at(GET, &["/_synapse/admin/v1/rooms/{room_id}/messages"], PLAIN, reading::messages)
        .mount_at(GET, &["/_synapse/admin/v1/rooms/{room_id}/context/{event_id}"], PLAIN, reading::context)
        .mount_at(GET, &["/_synapse/admin/v1/fetch_event/{event_id}"], PLAIN, reading::event)
        .mount_at(GET, &["/_synapse/admin/v1/rooms/{room_id}/timestamp_to_event"], PLAIN, reading::event_by_time)
        .mount_at(POST, &["/_synapse/admin/v1/join/{room}"], PLAIN, membership::join)
        .mount_at(POST, &["/_synapse/admin/v1/rooms/{room_id}/make_room_admin"], PLAIN, membership::make_room_admin)
        .mount_at(GET, &["/_synapse/admin/v1/event_reports"], PLAIN, reports::list)
        .mount_at(GET, &report, PLAIN, reports::get)
        .mount_at(DELETE, &report, PLAIN, reports::delete)
}

fn files(routes: Routes<Api>) -> Routes<Api> {
    let of_user = ["/_synapse/admin/v1/users/{user_id}/media"];
    let one = ["/_synapse/admin/v1/media/{server_name}/{media_id}"];
    routes
        .mount_at(GET, &of_user, PLAIN, media::list)
        .mount_at(DELETE, &of_user, PLAIN, media::delete_of_user)
        .mount_at(POST, &["/_synapse/admin/v1/user/{user_id}/media/quarantine"], PLAIN, media::quarantine_of_user)
        .mount_at(GET, &["/_synapse/admin/v1/statistics/users/media"], PLAIN, statistics::media)
        .mount_at(GET, &["/_synapse/admin/v1/room/{room_id}/media"], PLAIN, media::of_room)
        .mount_at(POST, &["/_synapse/admin/v1/room/{room_id}/media/quarantine"], PLAIN, media::quarantine_of_room)
        .mount_at(GET, &one, PLAIN, media::get)
        .mount_at(DELETE, &one, PLAIN, media::delete)
        .mount_at(POST, &["/_synapse/admin/v1/media/quarantine/{server_name}/{media_id}"], PLAIN, media::quarantine)
        .mount_at(POST, &["/_synapse/admin/v1/media/unquarantine/{server_name}/{media_id}"], PLAIN, media::release)
        .mount_at(POST, &["/_synapse/admin/v1/media/delete"], PLAIN, media::delete_old)
        .mount_at(POST, &["/_synapse/admin/v1/purge_media_cache"], PLAIN, media::purge_fetched)
}

fn admission(routes: Routes<Api>) -> Routes<Api> {
    let token = ["/_synapse/admin/v1/registration_tokens/{token}"];
    routes
        .mount_at(GET, &["/_synapse/admin/v1/registration_tokens"], PLAIN, tokens::list)
        .mount_at(POST, &["/_synapse/admin/v1/registration_tokens/new"], PLAIN, tokens::create)
        .mount_at(GET, &token, PLAIN, tokens::get)
        .mount_at(PUT, &token, PLAIN, tokens::change)
        .mount_at(DELETE, &token, PLAIN, tokens::delete)
}
