//! Signing keys: this server's own, those of others, and the checks made with them.

mod authenticate;
mod document;
mod kept;
mod notary;
mod own;
mod remote;
mod ring;
mod verify;

pub use notary::KeyQuery;
pub(crate) use own::{OwnKey, OwnKeys};
pub(crate) use remote::RemoteKeys;
pub(crate) use ring::{KeyRing, Need};
pub use verify::{Reading, Unverified};

#[cfg(test)]
mod tests;
