//! Routes of what is new and what was read, and of calls.

use http::Method;
use lyceum_web::{RouteOptions, Routes};
use ruma::api::client::{sync::sync_events, voip::get_turn_server_info};

use crate::{
    Api,
    receipt::{create_receipt::create_receipt, set_read_marker::set_read_marker},
    sync::{self, sliding_sync},
    typing::create_typing_event,
    voip,
};

const RTC_TRANSPORTS: &str = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports";

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount(create_receipt)
        .mount(set_read_marker)
        .mount(create_typing_event)
        .mount_as::<get_turn_server_info::v3::Request, _, _>(RouteOptions::new(), voip::get_turn_server_info)
        .mount_at(&Method::GET, &[RTC_TRANSPORTS], RouteOptions::new(), voip::rtc_transports)
        .mount_at(&Method::POST, &[sliding_sync::PATH], RouteOptions::new(), sliding_sync::sliding_sync)
        .mount_as::<sync_events::v3::Request, _, _>(RouteOptions::new(), sync::sync_events::sync_events)
}
