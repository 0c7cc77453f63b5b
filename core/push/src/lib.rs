//! What is told to others than clients and servers: notifications to push gateways, transactions to application services.
//!
//! * `pushers`: where a person wants to be notified.
//! * `notification`: what a gateway is told, put together purely.
//! * `notifier`: follows the stream and tells gateways, each in its own pace.
//! * `services`: application services: who they are, asking them, telling them what happens.
//! * `listing`: what would have notified a person, for clients that ask.
//!
//! Invariants: nobody waits for any of this. Nothing is written for each person and message: what an event is to somebody is
//! asked of their rules when it comes, and only what a gateway has not taken for a while is noted, in one row a pusher.

mod error;
mod tables;

mod gateway;
mod notification;
mod pushers;

mod listing;
mod notifier;
mod push;
mod services;

pub use error::PushError;
pub use listing::{Notified, NotifiedPage};
pub use notifier::Notifier;
pub use push::{Push, PushParts};
pub use pushers::{NewPusher, Pusher, PusherKey};
pub use services::{Feeds, PingError, Registration, RegistrationError, Service, Services};
