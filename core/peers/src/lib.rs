//! Other servers: discovery, keys, requests, the sender.
//!
//! The handle is [`Peers`]. It finds servers, signs what is sent to them and checks who sent what comes from them; it owns
//! every table whose name begins with `p.`. It knows nothing of what an event means.
//!
//! In reading order: `names` (whom to speak with), `discovery` (where they are), `signing` (X-Matrix), `health` (who is
//! left alone for a while), `request` (one request), `keys` (whose signatures are believed), `calls` (every endpoint),
//! `partners` (what their people are), `sender` (what happens here is told to others).
//!
//! Invariants:
//! * nothing is sent to a server that the lists leave out, and nothing from it is believed;
//! * a key is believed only if its own server or a configured key server told of it, never under the name of another key, and
//!   no longer than a week after it was fetched. Only of a room that is new here the server by whose help it is joined may tell
//!   the keys of servers that cannot be reached, for that answer alone;
//! * a server that does not answer is left alone for a growing while, and every sign of life ends that.

mod config;
mod error;
mod names;
mod path;

mod discovery;
mod signing;

mod call;
mod health;
mod peers;
mod request;

mod keys;
mod partners;
mod tables;

pub mod calls;
pub mod sender;

#[cfg(test)]
mod testing;

pub use call::{Call, Persistence};
pub use config::FederationConfig;
pub use discovery::{NoServices, ServiceLookup, Services, SystemServices};
pub use error::{AuthenticationError, PeerError, StartError, VerifyError};
pub use keys::{KeyQuery, Reading, Unverified};
pub use partners::Partners;
pub use path::Target;
pub use peers::{Peers, PeersParts};
pub use signing::{Credentials, Signed};
