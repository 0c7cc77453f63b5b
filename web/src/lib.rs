//! What HTTP and Matrix share: extractors, routes, errors, limits. Nothing here knows what an endpoint means.
//!
//! A handler names its endpoint by the extractor it takes last, and the extractor's type is the endpoint's auth scheme:
//! [`Authed<R>`], [`MaybeAuthed<R>`], [`Public<R>`], [`Appservice<R>`], [`MaybeAppservice<R>`], [`FromServer<R>`], where `R` is ruma's
//! request. A scheme that does not fit `R` does not compile. [`Routes::mount`] reads method and paths (all spellings of
//! the endpoint's history) from `R`, so nobody writes a path down twice.
//!
//! ```
//! use lyceum_web::{Answer, Authed, Routes, Ruma, WebState};
//! use ruma::api::client::account::whoami::v3;
//!
//! async fn whoami(Authed { session, .. }: Authed<v3::Request>) -> Answer<v3::Response> {
//!     Ok(Ruma(v3::Response::new(session.user_id.clone(), session.is_guest())))
//! }
//! let routes: Routes<WebState> = Routes::new().mount(whoami);
//! ```
//!
//! ```compile_fail
//! # use lyceum_web::{Answer, Public, Routes, Ruma, WebState};
//! # use ruma::api::client::account::whoami::v3;
//! async fn whoami(_: Public<v3::Request>) -> Answer<v3::Response> {
//!     # unreachable!()
//!     // …
//! }
//! let routes: Routes<WebState> = Routes::new().mount(whoami); // `whoami` is for those who are signed in
//! ```
//!
//! Invariants:
//! * a token, a body or a query string is never logged;
//! * every error answer is an [`ApiError`], and `error.rs` with `error/domain.rs` is the only place that picks a Matrix
//!   status and errcode;
//! * no body is read past its limit, and none deeper than [`body::DEPTH_MAX`] reaches a parser.

mod authenticate;
pub mod body;
mod by_path;
mod config;
mod error;
mod extract;
mod facts;
mod layer;
mod limits;
mod reply;
mod routes;
mod scheme;
mod servers;
mod state;

pub use authenticate::{
    AppserviceFacts, Appservices, Authenticator, Call, Caller, NoAppservices, SessionAuthenticator,
};
pub use config::WebConfig;
pub use error::{Answer, ApiError};
pub use extract::{
    Appservice, Authed, FromServer, MaybeAppservice, MaybeAuthed, Public,
    raw::{AuthedRaw, AuthedStream, FromServerRaw, MaybeAppserviceRaw, MaybeAuthedRaw, PublicRaw},
};
pub use facts::{Family, RouteOptions};
pub use layer::finish;
pub use limits::{
    Who,
    config::{ClientLimit, Limit, RateLimits, ServerLimit},
};
pub use lyceum_accounts::Session;
pub use reply::{RawJson, Ruma};
pub use routes::{Mounted, Routes};
pub use servers::{ServerVerifier, SignedRequest};
pub use state::WebState;
