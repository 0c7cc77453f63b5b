//! The server-server door: routes and translation. What comes in is another server's word: proved to be its own by the
//! extractor, and bounded before it is believed.
//!
//! One endpoint family a file, under the specification's noun; a handler bears the name of ruma's module for its endpoint.
//! [`routes`] mounts them all; [`Api`] is their state. What others send of their own accord goes through [`Intake`].

mod api;
mod directory;
mod discovery;
mod edu;
mod given;
mod graph;
mod intake;
mod invite;
mod keys;
mod media;
mod membership;
mod openid;
mod pdus;
mod policy;
mod query;
mod routes;
mod third_party;
mod transactions;

pub use api::Api;
pub use intake::Intake;
pub use routes::routes;
