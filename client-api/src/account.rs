//! The account: making it, knowing it, changing its password, closing it.

pub(crate) mod deactivate;
pub(crate) mod openid;
pub(crate) mod password;
pub(crate) mod register;
pub(crate) mod shared_secret;
pub(crate) mod threepids;
pub(crate) mod whoami;
