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

use crate::{AccountError, error::Result};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The largest JSON of one key.
pub(crate) const KEY_BYTES_MAX: usize = 16 * 1024;

/// How deep the JSON of one key may be nested: other servers are told of it in the depth of a transaction.
const KEY_DEPTH_MAX: usize = 32;

/// The largest number in JSON that is signed (spec, appendices, "Canonical JSON").
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The uses of cross-signing keys.
pub(crate) const MASTER: &str = "master";
pub(crate) const SELF_SIGNING: &str = "self_signing";
pub(crate) const USER_SIGNING: &str = "user_signing";

/// Refuses a key that is no canonical JSON: it can be signed by nobody, nor told to other servers.
pub(crate) fn check_canonical(key: &Object) -> Result<()> {
    let canonical = key.values().all(|value| is_canonical(value, KEY_DEPTH_MAX));
    canonical
        .then_some(())
        .ok_or_else(|| AccountError::BadJson("a key must be canonical JSON, and not nested deep".into()))
}

fn is_canonical(value: &Value, depth_left: usize) -> bool {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            size.is_some_and(|size| size <= INTEGER_MAX)
        }
        Value::Array(items) => depth_left > 0 && items.iter().all(|item| is_canonical(item, depth_left - 1)),
        Value::Object(fields) => depth_left > 0 && fields.values().all(|field| is_canonical(field, depth_left - 1)),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// A stored key. What is stored was an object when it was.
pub(crate) fn object(json: &str) -> Object {
    serde_json::from_str(json).unwrap_or_default()
}
