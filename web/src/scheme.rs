//! Which extractor fits which of ruma's authentication schemes. A mismatch does not compile.

use ruma::api::{
    auth_scheme::{
        AccessToken, AccessTokenOptional, AppserviceToken, AppserviceTokenOptional, NoAccessToken, NoAuthentication,
    },
    federation::authentication::ServerSignatures,
};

/// Schemes of [`Authed`](crate::Authed).
pub trait ByToken {}
/// Schemes of [`MaybeAuthed`](crate::MaybeAuthed).
pub trait ByTokenOrNot {}
/// Schemes of [`Public`](crate::Public): an endpoint with an optional token may treat everybody alike.
pub trait ByNothing {}
/// Schemes of [`Appservice`](crate::Appservice).
pub trait ByAppservice {}
/// Schemes of [`MaybeAppservice`](crate::MaybeAppservice).
pub trait ByAppserviceOrNot {}
/// Schemes of [`FromServer`](crate::FromServer).
pub trait ByServer {}

impl ByToken for AccessToken {}
impl ByTokenOrNot for AccessTokenOptional {}
impl ByNothing for NoAuthentication {}
impl ByNothing for NoAccessToken {}
impl ByNothing for AccessTokenOptional {}
impl ByAppservice for AppserviceToken {}
impl ByAppserviceOrNot for AppserviceTokenOptional {}
impl ByServer for ServerSignatures {}

/// Says that an extractor may serve an endpoint of scheme `A`: how raw handlers are checked against ruma's metadata.
pub trait Serves<A> {}

impl<A: ByToken, P, Q> Serves<A> for crate::AuthedRaw<P, Q> {}
impl<A: ByToken, P, Q> Serves<A> for crate::AuthedStream<P, Q> {}
impl<A: ByTokenOrNot, P, Q> Serves<A> for crate::MaybeAuthedRaw<P, Q> {}
impl<A: ByAppserviceOrNot, P, Q> Serves<A> for crate::MaybeAppserviceRaw<P, Q> {}
impl<A: ByNothing, P, Q> Serves<A> for crate::PublicRaw<P, Q> {}
impl<A: ByServer, P, Q> Serves<A> for crate::FromServerRaw<P, Q> {}
