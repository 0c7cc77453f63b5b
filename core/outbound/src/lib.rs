//! The one guarded HTTP client for everything that leaves the server: other servers, push gateways, application
//! services, link previews. Nothing else in the server opens a connection to the outside over HTTP.
//!
//! [`Outbound`] takes a [`Request`] and answers with a [`Response`] whose body is read under a named limit.
//!
//! Invariants:
//! * no connection is opened to an address that [`OutboundConfig`] refuses, whether it was written in the URL, came from
//!   the name system, or from a redirect. The check is on the address that is then connected to, so a name that answers
//!   differently the second time gains nothing. Only [`Request::configured`] lifts it, for URLs the operator wrote;
//! * a redirect is followed only as the request allows, and never carries credentials to another origin;
//! * no body is read past its limit, compressed or not;
//! * every request ends: connecting, waiting and reading have time limits.
//!
//! Tests replace the network by a [`Wire`], a function from request to response; every rule but the sockets stays.

mod config;
mod error;
mod guard;
mod redirect;
mod request;
mod response;

mod network;
mod outbound;
mod wire;

pub use config::OutboundConfig;
pub use error::{ConfigError, OutboundError};
pub use outbound::Outbound;
pub use request::{Redirects, Request};
pub use response::Response;
pub use wire::Wire;
