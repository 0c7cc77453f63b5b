//! `/admin`: what the specification gives those who administer the server.

pub(crate) mod restrictions;
pub(crate) mod whois;
