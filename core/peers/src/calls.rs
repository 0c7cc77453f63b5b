//! Every endpoint of other servers that this one calls: one method each, with what it is asked and what it answers.
//! Events are handed on as the JSON that came, unchecked.

mod directory;
mod graph;
mod media;
mod membership;
mod multipart;
mod people;
mod policy;

pub use directory::{Alias, HierarchyPart, RoomFilter};
pub use graph::{Nearest, StateIds, WholeState};
pub use media::{RemoteMedia, Thumbnail};
pub use membership::{Invitation, JoinAnswer, KnockAnswer, OmitMembers, Template};
pub use people::{ClaimedKeys, DeviceList, QueriedKeys};

use serde_json::value::RawValue;

/// An event as another server sent it, not yet checked in any way.
pub type RawEvent = Box<RawValue>;

/// The answer whose content nobody looks at.
#[derive(serde::Deserialize)]
struct Done {}

#[cfg(test)]
mod tests;
