//! The client-server door: routes and translation. A handler reads its request, makes one call on a domain handle and
//! writes the answer; what Matrix means is decided below.
//!
//! One endpoint family a file, under the specification's noun; a handler bears the name of ruma's module for its endpoint.
//! [`routes`] mounts them all; [`Api`] is their state.

mod account;
mod account_data;
mod admin;
mod answers;
mod api;
mod appservice;
mod backup;
mod config;
mod dehydrated_device;
mod device;
mod discovery;
mod keys;
mod media;
mod pages;
mod presence;
mod profile;
mod push;
mod push_rules;
mod receipt;
mod remote;
mod rooms;
mod routes;
mod search;
mod session;
mod synapse;
mod sync;
mod thirdparty;
mod threads;
mod to_device;
mod typing;
mod user_directory;
mod voip;

pub use api::{Api, ServedRooms};
pub use config::{CallsConfig, SupportConfig, UserDirectoryConfig, WellKnownConfig};
pub use remote::RemoteMemory;
pub use routes::{admin_routes, routes};
