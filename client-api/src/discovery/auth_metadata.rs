//! `/auth_metadata`: this server signs people in itself. Clients that find nothing here use `/login`.

use lyceum_web::{Answer, ApiError, Public};
use ruma::api::client::discovery::get_authorization_server_metadata::v1;

/// `GET /_matrix/client/v1/auth_metadata`
pub(crate) async fn get_authorization_server_metadata(_: Public<v1::Request>) -> Answer<v1::Response> {
    Err(ApiError::unrecognized("This server has no OAuth 2.0 authorization server"))
}
