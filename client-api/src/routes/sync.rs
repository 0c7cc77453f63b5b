//! Routes of what is new and what was read, and of calls.

use http::Method;
use lyceum_web::{RouteOptions, Routes};
use ruma::api::client::{receipt, sync::sync_events, typing, voip::get_turn_server_info};

use crate::{
    Api,
    receipt::{create_receipt::create_receipt, set_read_marker::set_read_marker},
    search::search_events,
    sync::{self, initial_sync, sliding_sync},
    typing::create_typing_event,
    voip,
};

const RTC_TRANSPORTS: &str = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports";
/// Deprecated, and unknown to ruma.
const INITIAL_SYNC: [&str; 2] = ["/_matrix/client/r0/initialSync", "/_matrix/client/v3/initialSync"];

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_as::<receipt::create_receipt::v3::Request, _, _>(RouteOptions::new(), create_receipt)
        .mount(set_read_marker)
        .mount_as::<get_turn_server_info::v3::Request, _, _>(RouteOptions::new(), voip::get_turn_server_info)
        .mount_at(&Method::GET, &[RTC_TRANSPORTS], RouteOptions::new(), voip::rtc_transports)
        .mount_as::<typing::create_typing_event::v3::Request, _, _>(
            RouteOptions::new().refuse_suspended(),
            create_typing_event,
        )
        .mount_at(&Method::GET, &INITIAL_SYNC, RouteOptions::new(), initial_sync::initial_sync)
        .mount(search_events)
        .mount_at(&Method::POST, &[sliding_sync::PATH], RouteOptions::new(), sliding_sync::sliding_sync)
        .mount_as::<sync_events::v3::Request, _, _>(RouteOptions::new(), sync::sync_events::sync_events)
}
