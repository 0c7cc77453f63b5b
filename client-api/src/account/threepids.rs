//! `/account/3pid`: nobody has an e-mail address or telephone number on this server, and clients are told so.

use lyceum_web::{Answer, Authed, Ruma};
use ruma::api::client::account::get_3pids;

/// `GET /_matrix/client/v3/account/3pid`
pub(crate) async fn get_3pids(_: Authed<get_3pids::v3::Request>) -> Answer<get_3pids::v3::Response> {
    Ok(Ruma(get_3pids::v3::Response::new(Vec::new())))
}
