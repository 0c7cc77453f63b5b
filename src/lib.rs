//! The Lyceum homeserver: command line, configuration, wiring, listeners.
//!
//! [`server::Server`] builds the handles of all crates in layer order and is the only place that sees them all.
//! What Matrix means is decided below, in the core crates; nothing here knows an event from an account.

pub mod cli;
pub mod config;
pub mod server;

mod chance;
mod files;
mod listen;
mod operator;
mod signals;
mod signing_key;
mod telemetry;
