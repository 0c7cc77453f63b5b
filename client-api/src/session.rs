//! Sessions: signing in, keeping signed in, signing out.

pub(crate) mod get_login_token;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod refresh_token;
