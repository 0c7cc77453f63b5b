//! What a route says about itself to the extractors and layers: who may come, how often, how much they may bring.

use http::Method;
use std::{net::IpAddr, sync::Arc};

use crate::by_path;

/// Endpoints that share a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Signing in, and everything else that tries a password or a token.
    Login,
    /// Making accounts.
    Registration,
    /// Sending events and changing state.
    Send,
    /// Joining and knocking.
    Join,
    /// Inviting.
    Invite,
    /// Keys and messages to devices.
    Keys,
    /// Uploading, downloading and previewing.
    Media,
    /// What other servers send.
    Federation,
    /// Every other endpoint the specification says is rate limited.
    Other,
}

impl Family {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Login,
        Self::Registration,
        Self::Send,
        Self::Join,
        Self::Invite,
        Self::Keys,
        Self::Media,
        Self::Federation,
        Self::Other,
    ];

    /// Its name in metrics and settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Registration => "registration",
            Self::Send => "send",
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Keys => "keys",
            Self::Media => "media",
            Self::Federation => "federation",
            Self::Other => "other",
        }
    }
}

/// What a route may ask for when it is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteOptions {
    pub(crate) guests: bool,
    pub(crate) even_locked: bool,
    pub(crate) refuse_suspended: bool,
    pub(crate) body_bytes_max: Option<usize>,
    pub(crate) family: Option<Family>,
}

impl RouteOptions {
    /// Nothing out of the ordinary: guests and rate limits as the specification has them for the path.
    pub const fn new() -> Self {
        Self { guests: false, even_locked: false, refuse_suspended: false, body_bytes_max: None, family: None }
    }

    /// Guests may call this although the specification's list has it not.
    pub const fn guests(mut self) -> Self {
        self.guests = true;
        self
    }

    /// A locked account may call this. Logging out is known to be so.
    pub const fn even_locked(mut self) -> Self {
        self.even_locked = true;
        self
    }

    /// A suspended account may not call this.
    pub const fn refuse_suspended(mut self) -> Self {
        self.refuse_suspended = true;
        self
    }

    /// Another limit on the body than the usual one.
    pub const fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// The rate limit to count against, where the path does not tell.
    pub const fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }
}

impl RouteOptions {
    /// The options completed by what the specification says about the path.
    pub(crate) fn completed(mut self, method: &Method, path: &str, limited: bool) -> Self {
        self.guests |= by_path::open_to_guests(method, path);
        self.even_locked |= by_path::open_to_locked(path);
        self.family = self.family.or_else(|| by_path::family(method, path, limited));
        self
    }
}

/// The route as the extractors see it: put into each request by [`crate::Routes`].
#[derive(Debug, Clone)]
pub(crate) struct Route(pub(crate) Arc<RouteOptions>);

/// Who is on the other end of the line, as far as addresses tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The options of a request's route; the plain ones when it was not mounted by us.
pub(crate) fn options(extensions: &http::Extensions) -> RouteOptions {
    extensions.get::<Route>().map_or(RouteOptions::new(), |route| *route.0)
}
