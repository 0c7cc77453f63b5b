//! What is new: `/sync`, sliding sync, and what came before them.

pub(crate) mod initial_sync;
pub(crate) mod sliding_sync;
pub(crate) mod sync_events;

use lyceum_accounts::{Accounts, Session};
use ruma::presence::PresenceState;

/// Syncing is being there, in the way the client says.
fn note_presence(accounts: &Accounts, session: &Session, wish: PresenceState) {
    if !session.is_guest() {
        accounts.presence().note_sync(&session.user_id, &wish);
    }
}
