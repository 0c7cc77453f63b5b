//! Ordered keys: four verbs, three engines, one committer.
//!
//! This crate owns how facts reach the disk and nothing about what they mean. A caller reads with [`Store::get`] and
//! [`Store::scan`], decides, and writes one [`Batch`]; [`Store::commit`] answers when the batch is durable. Who wants to
//! know of commits waits on [`Store::watch`] or reads [`Store::tail`]; who must not miss one runs a follower.
//!
//! Invariants:
//! * a batch is applied whole or not at all, across all tables;
//! * positions are given in commit order and readers never see past [`Store::committed`];
//! * nobody is woken and nothing is answered before the batch is durable;
//! * after an engine failed on commit the store refuses every further batch: memory never runs ahead of the disk.

mod key;
mod table;

mod batch;
mod store;
mod watch;

mod committer;
mod follower;
mod group;
mod lease;
mod log;
mod upkeep;

mod embedded;
mod engine;
mod memory;
mod postgres;

#[cfg(test)]
mod conformance;

mod config;
mod error;
mod meta;
mod open;

mod backup;
mod survey;

pub use backup::{BackupError, BackupReport, check as check_backup, restore};
pub use batch::{Batch, Position, Writes};
pub use config::{EngineKind, StorageConfig};
pub use engine::{Applied, Engine, Op, RawRange, Snapshot};
pub use error::{CommitError, OpenError, StorageError};
pub use follower::Follower;
pub use key::{Key, ToKey};
pub use lease::Lease;
pub use log::CommitPage;
pub use open::{Migration, SCHEMA_VERSION};
pub use store::{Pending, Store};
pub use survey::{TableSize, Verified};
pub use table::{Scan, Table};
pub use watch::{Commit, Subject, Tail, Watch};
