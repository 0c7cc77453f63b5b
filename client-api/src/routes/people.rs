//! The endpoints of people: sessions, accounts, devices, profiles, account data, presence.

use http::Method;
use lyceum_web::{Family, RouteOptions, Routes};
use ruma::api::client::{
    account::{
        add_3pid, change_password, deactivate as close_account, register as registration,
        request_3pid_management_token_via_email, request_3pid_management_token_via_msisdn,
        request_password_change_token_via_email, request_password_change_token_via_msisdn,
        request_registration_token_via_email, request_registration_token_via_msisdn,
    },
    config as data,
    device::{delete_device, delete_devices, update_device},
    filter::{create_filter, get_filter},
    presence::{get_presence, set_presence},
    push as pushing,
    session::{get_login_token, login as sign_in},
    tag::{create_tag, delete_tag, get_tags},
    user_directory::search_users,
};

use crate::{
    Api,
    account::{deactivate, openid, password, register, shared_secret, threepids, whoami},
    account_data, device, pages, presence, profile, push, push_rules, session, user_directory,
};

const PLAIN: RouteOptions = RouteOptions::new();
const GUESTS: RouteOptions = RouteOptions::new().guests();
const LOGIN: RouteOptions = RouteOptions::new().family(Family::Login);
const REGISTRATION: RouteOptions = RouteOptions::new().family(Family::Registration);
const ACTIVE: RouteOptions = RouteOptions::new().refuse_suspended();

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    [sessions, accounts, addresses, pages_of_clients, devices, profiles_and_presence, stored, rules]
        .into_iter()
        .fold(routes, |routes, add| add(routes))
}

fn sessions(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount(session::login::get_login_types)
        .mount_as::<sign_in::v3::Request, _, _>(LOGIN, session::login::login)
        .mount_as::<get_login_token::v1::Request, _, _>(LOGIN, session::get_login_token::get_login_token)
        .mount(session::refresh_token::refresh_token)
        .mount_with(GUESTS.even_locked(), session::logout::logout)
        .mount_with(GUESTS.even_locked(), session::logout::logout_all)
}

fn accounts(routes: Routes<Api>) -> Routes<Api> {
    let shared_secret_path = ["/_synapse/admin/v1/register"];
    routes
        .mount_as::<registration::v3::Request, _, _>(REGISTRATION, register::register)
        .mount_with(REGISTRATION, register::get_username_availability)
        .mount_with(REGISTRATION, register::check_registration_token_validity)
        .mount_at(&Method::GET, &shared_secret_path, PLAIN, shared_secret::nonce)
        .mount_at(&Method::POST, &shared_secret_path, PLAIN, shared_secret::register)
        .mount_with(GUESTS, whoami::whoami)
        .mount_with(GUESTS, whoami::get_capabilities)
        .mount_as::<change_password::v3::Request, _, _>(LOGIN, password::change_password)
        .mount_as::<close_account::v3::Request, _, _>(LOGIN, deactivate::deactivate)
        .mount(openid::request_openid_token)
        .mount(threepids::get_3pids)
}

/// Addresses of people, of which this server keeps none.
fn addresses(routes: Routes<Api>) -> Routes<Api> {
    let old = ["/_matrix/client/r0/account/3pid", "/_matrix/client/v3/account/3pid"];
    let routes = routes
        .mount_at(&Method::POST, &old, PLAIN, threepids::add_3pid_by_identity_server)
        .mount_as::<add_3pid::v3::Request, _, _>(PLAIN, threepids::add_3pid)
        .mount(threepids::bind_3pid)
        .mount(threepids::unbind_3pid)
        .mount(threepids::delete_3pid)
        .mount_as::<request_3pid_management_token_via_email::v3::Request, _, _>(REGISTRATION, threepids::request_token)
        .mount_as::<request_3pid_management_token_via_msisdn::v3::Request, _, _>(REGISTRATION, threepids::request_token)
        .mount_as::<request_registration_token_via_email::v3::Request, _, _>(REGISTRATION, threepids::request_token)
        .mount_as::<request_registration_token_via_msisdn::v3::Request, _, _>(REGISTRATION, threepids::request_token);
    routes
        .mount_as::<request_password_change_token_via_email::v3::Request, _, _>(
            REGISTRATION,
            threepids::request_password_token,
        )
        .mount_as::<request_password_change_token_via_msisdn::v3::Request, _, _>(
            REGISTRATION,
            threepids::request_password_token,
        )
}

/// What clients open in a browser.
fn pages_of_clients(routes: Routes<Api>) -> Routes<Api> {
    let stage =
        ["/_matrix/client/r0/auth/{auth_type}/fallback/web", "/_matrix/client/v3/auth/{auth_type}/fallback/web"];
    routes
        .mount_at(&Method::GET, &["/_matrix/static/client/login/"], PLAIN, pages::login)
        .mount_at(&Method::GET, &stage, PLAIN, pages::get_uiaa_fallback_page)
        .mount_at(&Method::POST, &stage, LOGIN, pages::complete_stage)
}

fn devices(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_with(GUESTS, device::get_devices)
        .mount_with(GUESTS, device::get_device)
        .mount_as::<update_device::v3::Request, _, _>(GUESTS, device::update_device)
        .mount_as::<delete_device::v3::Request, _, _>(PLAIN, device::delete_device)
        .mount_as::<delete_devices::v3::Request, _, _>(PLAIN, device::delete_devices)
}

fn profiles_and_presence(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_at(&Method::GET, &PROFILE, PLAIN, profile::get_profile)
        .mount_at(&Method::GET, &PROFILE_FIELD, PLAIN, profile::get_profile_field)
        .mount_at(&Method::PUT, &PROFILE_FIELD, CHANGING_PROFILE, profile::set_profile_field)
        .mount_at(&Method::DELETE, &PROFILE_FIELD, CHANGING_PROFILE, profile::delete_profile_field)
        .mount_as::<set_presence::v3::Request, _, _>(PLAIN, presence::set_presence)
        .mount_as::<get_presence::v3::Request, _, _>(PLAIN, presence::get_presence)
        .mount_as::<search_users::v3::Request, _, _>(PLAIN, user_directory::search_users)
}

/// Limited, says the specification: each change of a name is an event in every room.
const CHANGING_PROFILE: RouteOptions = ACTIVE.guests().family(Family::Other);
const PROFILE: [&str; 2] = ["/_matrix/client/r0/profile/{user_id}", "/_matrix/client/v3/profile/{user_id}"];
const PROFILE_FIELD: [&str; 3] = [
    "/_matrix/client/r0/profile/{user_id}/{field}",
    "/_matrix/client/v3/profile/{user_id}/{field}",
    "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{field}",
];

fn stored(routes: Routes<Api>) -> Routes<Api> {
    let msc3391 = "/_matrix/client/unstable/org.matrix.msc3391/user/{user_id}";
    let global = format!("{msc3391}/account_data/{{event_type}}");
    let in_room = format!("{msc3391}/rooms/{{room_id}}/account_data/{{event_type}}");
    routes
        .mount_as::<data::get_global_account_data::v3::Request, _, _>(PLAIN, account_data::get_global_account_data)
        .mount_as::<data::set_global_account_data::v3::Request, _, _>(PLAIN, account_data::set_global_account_data)
        .mount_as::<data::get_room_account_data::v3::Request, _, _>(PLAIN, account_data::get_room_account_data)
        .mount_as::<data::set_room_account_data::v3::Request, _, _>(PLAIN, account_data::set_room_account_data)
        .mount_at(&Method::DELETE, &[&global], PLAIN, account_data::delete_global_account_data)
        .mount_at(&Method::DELETE, &[&in_room], PLAIN, account_data::delete_room_account_data)
        .mount_as::<get_tags::v3::Request, _, _>(PLAIN, account_data::get_tags)
        .mount_as::<create_tag::v3::Request, _, _>(PLAIN, account_data::create_tag)
        .mount_as::<delete_tag::v3::Request, _, _>(PLAIN, account_data::delete_tag)
        .mount_as::<create_filter::v3::Request, _, _>(GUESTS, account_data::create_filter)
        .mount_as::<get_filter::v3::Request, _, _>(GUESTS, account_data::get_filter)
}

fn rules(routes: Routes<Api>) -> Routes<Api> {
    // With and without the slash: the specification has it, clients do not all.
    let all = ["/_matrix/client/v3/pushrules/", "/_matrix/client/v3/pushrules", "/_matrix/client/r0/pushrules/"];
    let global = ["/_matrix/client/v3/pushrules/global/", "/_matrix/client/v3/pushrules/global"];
    routes
        .mount_at(&Method::GET, &all, PLAIN, push_rules::get_pushrules_all)
        .mount_at(&Method::GET, &global, PLAIN, push_rules::get_pushrules_global_scope)
        .mount_as::<pushing::get_pushrule::v3::Request, _, _>(PLAIN, push_rules::get_pushrule)
        .mount(push_rules::set_pushrule)
        .mount_as::<pushing::delete_pushrule::v3::Request, _, _>(PLAIN, push_rules::delete_pushrule)
        .mount_as::<pushing::get_pushrule_enabled::v3::Request, _, _>(PLAIN, push_rules::get_pushrule_enabled)
        .mount_as::<pushing::set_pushrule_enabled::v3::Request, _, _>(PLAIN, push_rules::set_pushrule_enabled)
        .mount_as::<pushing::get_pushrule_actions::v3::Request, _, _>(PLAIN, push_rules::get_pushrule_actions)
        .mount_as::<pushing::set_pushrule_actions::v3::Request, _, _>(PLAIN, push_rules::set_pushrule_actions)
        .mount_as::<pushing::get_pushers::v3::Request, _, _>(PLAIN, push::get_pushers)
        .mount_as::<pushing::set_pusher::v3::Request, _, _>(PLAIN, push::set_pusher)
        .mount_as::<pushing::get_notifications::v3::Request, _, _>(PLAIN, push::get_notifications)
}
