//! The server-server door: routes and translation. What comes in is another server's word: proved to be its own by the
//! extractor, and bounded before it is believed.
//!
//! One endpoint family a file, under the specification's noun; a handler bears the name of ruma's module for its endpoint.
//! [`routes`] mounts them all; [`Api`] is their state.

mod api;
mod discovery;
mod media;
mod openid;
mod query;
mod routes;

pub use api::Api;
pub use routes::routes;
