//! How clients and servers find out where the server is and what it speaks.

pub(crate) mod auth_metadata;
pub(crate) mod versions;
pub(crate) mod well_known;
