//! Keys of end-to-end encryption: what devices publish, what they sign, what they use up.
//!
//! Keys are stored as the JSON that was uploaded, without signatures of other people, which stand in a table of their own:
//! whoever asks sees a person's own signatures and those they made themselves, never anybody else's.

mod cross_signing;
pub(crate) mod device;
pub(crate) mod one_time;
mod query;
mod remote;
mod signatures;
mod signing;

pub use cross_signing::CrossSigningKeys;
pub use device::KeysUpload;
pub use one_time::{Claimed, KeyCounts};
pub use query::{QueriedKeys, UserDevices};
pub use remote::{RemoteChange, RemoteDevice, RemoteDevices};
pub use signatures::{SignatureFailure, SignedKeys};

use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The largest JSON of one key.
pub(crate) const KEY_BYTES_MAX: usize = 16 * 1024;

/// The uses of cross-signing keys.
pub(crate) const MASTER: &str = "master";
pub(crate) const SELF_SIGNING: &str = "self_signing";
pub(crate) const USER_SIGNING: &str = "user_signing";

/// A stored key. What is stored was an object when it was.
pub(crate) fn object(json: &str) -> Object {
    serde_json::from_str(json).unwrap_or_default()
}
