//! Routes of rooms: making them, membership, state, messages, aliases.

use http::Method;
use lyceum_web::{RouteOptions, Routes};
use ruma::api::client::{
    membership::{join_room_by_id, join_room_by_id_or_alias, joined_members},
    message::{get_message_events, send_message_event},
    peeking::listen_to_new_events,
    thirdparty::{
        get_location_for_protocol, get_location_for_room_alias, get_protocol, get_protocols, get_user_for_protocol,
        get_user_for_user_id,
    },
};

use crate::{
    Api, appservice,
    rooms::{
        aliases, by_time, create, delayed, directory, join, members, messages, moderation, peek, relations, reports,
        send, spaces, state, upgrade,
    },
    thirdparty, threads,
};

/// Spec, "Guest access": what guests may call.
const GUESTS: RouteOptions = RouteOptions::new().guests();
/// Spec, "Account suspension": suspended people may read, leave and redact, not send, invite or join.
const ACTIVE: RouteOptions = RouteOptions::new().refuse_suspended();
const ACTIVE_GUESTS: RouteOptions = RouteOptions::new().refuse_suspended().guests();

/// How things were sent and redacted before there were transaction ids, and by some tools still are.
const SEND_ONCE: [&str; 2] =
    ["/_matrix/client/r0/rooms/{room_id}/send/{event_type}", "/_matrix/client/v3/rooms/{room_id}/send/{event_type}"];
const REDACT_ONCE: [&str; 2] =
    ["/_matrix/client/r0/rooms/{room_id}/redact/{event_id}", "/_matrix/client/v3/rooms/{room_id}/redact/{event_id}"];
/// Deprecated, and unknown to ruma.
const ONE_EVENT: [&str; 2] = ["/_matrix/client/r0/events/{event_id}", "/_matrix/client/v3/events/{event_id}"];

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    followed(delays(services(found(said(membership(routes))))))
        .mount_with(ACTIVE, upgrade::upgrade_room)
        .mount_with(ACTIVE, create::create_room)
        .mount_with(ACTIVE, aliases::create_alias)
        .mount(aliases::get_alias)
        .mount_with(ACTIVE, aliases::delete_alias)
        .mount(aliases::aliases)
        .mount_with(GUESTS, state::get_state_events)
        .mount_with(GUESTS, state::get_state_event_for_key)
        .mount_with(ACTIVE_GUESTS, state::send_state_event)
}

fn membership(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_as::<join_room_by_id::v3::Request, _, _>(ACTIVE_GUESTS, join::join_room_by_id)
        .mount_as::<join_room_by_id_or_alias::v3::Request, _, _>(ACTIVE_GUESTS, join::join_room_by_id_or_alias)
        .mount_with(ACTIVE, join::knock_room)
        .mount_with(ACTIVE, moderation::invite_user)
        .mount_with(GUESTS, moderation::leave_room)
        .mount(moderation::forget_room)
        .mount_with(ACTIVE, moderation::kick_user)
        .mount_with(ACTIVE, moderation::ban_user)
        .mount_with(ACTIVE, moderation::unban_user)
        .mount_with(GUESTS, members::get_member_events)
        .mount_as::<joined_members::v3::Request, _, _>(RouteOptions::new(), members::joined_members)
        .mount(members::joined_rooms)
}

fn said(routes: Routes<Api>) -> Routes<Api> {
    routes
        // What a suspended person may still take back is looked at there.
        .mount_as::<send_message_event::v3::Request, _, _>(GUESTS, send::send_message_event)
        .mount_at(&Method::POST, &SEND_ONCE, RouteOptions::new(), send::send_without_transaction)
        .mount(send::redact_event)
        .mount_at(&Method::POST, &REDACT_ONCE, RouteOptions::new(), send::redact_without_transaction)
        .mount_as::<get_message_events::v3::Request, _, _>(GUESTS, messages::get_message_events)
        .mount_with(GUESTS, messages::get_room_event)
        .mount_with(GUESTS, messages::get_context)
        .mount(relations::get_relating_events)
        .mount(relations::get_relating_events_with_rel_type)
        .mount(relations::get_relating_events_with_rel_type_and_event_type)
        .mount(relations::get_threads)
        .mount(by_time::get_event_by_timestamp)
        .mount_as::<listen_to_new_events::v3::Request, _, _>(GUESTS, peek::listen_to_new_events)
        .mount_at(&Method::GET, &ONE_EVENT, RouteOptions::new(), peek::get_one_event)
        .mount_with(GUESTS, peek::get_current_state)
        .mount_with(ACTIVE, reports::report_content)
        .mount_with(ACTIVE, reports::report_room)
        .mount_with(ACTIVE, reports::report_user)
}

fn services(routes: Routes<Api>) -> Routes<Api> {
    let plain = RouteOptions::new();
    routes
        .mount(appservice::request_ping)
        .mount(appservice::set_room_visibility)
        .mount_as::<get_protocols::v3::Request, _, _>(plain, thirdparty::get_protocols)
        .mount_as::<get_protocol::v3::Request, _, _>(plain, thirdparty::get_protocol)
        .mount_as::<get_location_for_protocol::v3::Request, _, _>(plain, thirdparty::get_location_for_protocol)
        .mount_as::<get_location_for_room_alias::v3::Request, _, _>(plain, thirdparty::get_location_for_room_alias)
        .mount_as::<get_user_for_protocol::v3::Request, _, _>(plain, thirdparty::get_user_for_protocol)
        .mount_as::<get_user_for_user_id::v3::Request, _, _>(plain, thirdparty::get_user_for_user_id)
}

/// Threads that are followed.
fn followed(routes: Routes<Api>) -> Routes<Api> {
    let (one, all) = ([threads::SUBSCRIPTION], [threads::SUBSCRIPTIONS]);
    let plain = RouteOptions::new();
    routes
        .mount_at(&Method::GET, &one, plain, threads::get_thread_subscription)
        .mount_at(&Method::PUT, &one, plain, threads::subscribe_thread)
        .mount_at(&Method::DELETE, &one, plain, threads::unsubscribe_thread)
        .mount_at(&Method::GET, &all, plain, threads::get_thread_subscriptions_changes)
}

fn delays(routes: Routes<Api>) -> Routes<Api> {
    let msc4140 = "/_matrix/client/unstable/org.matrix.msc4140";
    let asking = format!("{msc4140}/rooms/{{room_id}}/delayed_event/{{event_type}}/{{txn_id}}");
    let all = format!("{msc4140}/delayed_events");
    let (one, action) = (format!("{all}/{{delay_id}}"), format!("{all}/{{delay_id}}/{{action}}"));
    let plain = RouteOptions::new();
    routes
        .mount_at(&Method::PUT, &[&asking], ACTIVE, delayed::send_delayed_event)
        .mount_at(&Method::GET, &[&all], plain, delayed::get_all_delayed_events)
        .mount_at(&Method::GET, &[&one], plain, delayed::get_delayed_event)
        .mount_at(&Method::POST, &[&one], plain, delayed::update_by_body)
        .mount_at(&Method::POST, &[&action], plain, delayed::update_by_path)
}

fn found(routes: Routes<Api>) -> Routes<Api> {
    // The older of the summary's two unstable paths, which clients try first.
    let summary = ["/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}"];
    routes
        .mount(directory::get_public_rooms)
        .mount(directory::get_public_rooms_filtered)
        .mount(directory::get_room_visibility)
        .mount_with(ACTIVE, directory::set_room_visibility)
        .mount(spaces::get_hierarchy)
        .mount(spaces::get_summary)
        .mount_at(&Method::GET, &summary, RouteOptions::new(), spaces::get_summary)
        .mount(members::get_mutual_rooms)
        .mount(members::get_mutual_rooms_unstable)
}
