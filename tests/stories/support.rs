//! What stories are told with: a [`Campus`] of whole servers without sockets, and people who act in them.
//!
//! Time stands still unless a story moves it, randomness is seeded, stores are in memory. Nothing sleeps: who waits for
//! something waits on the server's own wake-ups, bounded by a real-time limit that only a hanging test meets.

pub(crate) mod campus;
pub(crate) mod gateway;
pub(crate) mod named;
pub(crate) mod peer;
pub(crate) mod person;
mod wires;

pub(crate) use campus::Campus;
pub(crate) use person::{Person, encoded};
