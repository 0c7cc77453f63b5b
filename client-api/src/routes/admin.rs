//! The endpoints of those who administer the server, as the specification has them.

use lyceum_web::{RouteOptions, Routes};
use ruma::api::client::admin::get_user_info;

use crate::{
    Api,
    admin::{restrictions, whois},
};

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_as::<get_user_info::v3::Request, _, _>(RouteOptions::new(), whois::get_user_info)
        .mount(restrictions::is_user_locked)
        .mount(restrictions::lock_user)
        .mount(restrictions::is_user_suspended)
        .mount(restrictions::suspend_user)
}
