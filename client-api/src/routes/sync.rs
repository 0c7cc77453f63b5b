//! Routes of what is new and what was read.

use http::Method;
use lyceum_web::{RouteOptions, Routes};
use ruma::api::client::sync::sync_events;

use crate::{
    Api,
    receipt::{create_receipt::create_receipt, set_read_marker::set_read_marker},
    sync::{self, sliding_sync},
    typing::create_typing_event,
};

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount(create_receipt)
        .mount(set_read_marker)
        .mount(create_typing_event)
        .mount_at(&Method::POST, &[sliding_sync::PATH], RouteOptions::new(), sliding_sync::sliding_sync)
        .mount_as::<sync_events::v3::Request, _, _>(RouteOptions::new(), sync::sync_events::sync_events)
}
