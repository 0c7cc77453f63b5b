//! The institution's own door: administration over HTTP.
