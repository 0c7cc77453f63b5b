//! The handle.

use lyceum_accounts::Accounts;
use lyceum_events::Clock;
use lyceum_outbound::Outbound;
use lyceum_rooms::{Membership, Rooms, Unreads};
use lyceum_storage::Store;
use ruma::UserId;
use std::sync::Arc;

use crate::error::Result;

/// What the handle is built from.
pub struct PushParts {
    /// Where everything is kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// People.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// How much is unread, and what events are to people.
    pub unreads: Unreads,
    /// The way to gateways.
    pub outbound: Outbound,
}

/// Notifications. Cheap to clone.
#[derive(Clone)]
pub struct Push(Arc<PushParts>);

impl Push {
    /// A handle made of these.
    pub fn new(parts: PushParts) -> Self {
        Self(Arc::new(parts))
    }

    /// How much a person has not read, in all their rooms together, and how many invites wait.
    pub(crate) async fn badge(&self, user: &UserId) -> Result<u64> {
        let mut badge = 0;
        for (room, row) in self.rooms().memberships(user).await? {
            badge += match row.membership {
                Membership::Join => self.unreads().unread(user, &room).await?.total().notification_count,
                Membership::Invite => 1,
                _ => 0,
            };
        }
        Ok(badge)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now().get().into()
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    pub(crate) fn rooms(&self) -> &Rooms {
        &self.0.rooms
    }

    pub(crate) fn unreads(&self) -> &Unreads {
        &self.0.unreads
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }
}
