//! How much one event of another server may make this one ask for, and the counting of what is refused.

/// Pages of events between those that are here and one that came.
pub(super) const GAP_PAGES_MAX: usize = 25;
/// Events of one such page. Synapse hands out no more, and a page that is not full is the last.
pub(super) const GAP_PAGE_EVENTS: usize = 20;
/// States asked for to fill the gaps before one event that came, its own included.
pub(super) const STATES_MAX: usize = 6;
/// Auth chains asked for while one event that came is taken in.
pub(super) const CHAINS_MAX: usize = 20;
/// Events of one auth chain that is taken from another server.
pub(super) const CHAIN_EVENTS_MAX: usize = 20_000;
/// Events of a state, its auth chain included, that is taken from another server.
pub(super) const STATE_EVENTS_MAX: usize = 250_000;
/// When so many events of a state are not here, it is asked for whole.
pub(super) const WHOLE_STATE_FROM: usize = 100;
/// Rounds of asking for single events that permit others.
pub(super) const SINGLE_ROUNDS_MAX: usize = 8;
/// Single events asked for in one round.
pub(super) const SINGLE_EVENTS_MAX: usize = 200;
/// Single events asked for at once.
pub(super) const SINGLE_AT_ONCE: usize = 8;
/// Servers that are asked for the same thing, one after the other.
pub(super) const SERVERS_MAX: usize = 3;

/// Counts an event of another server by what became of it.
pub(super) fn count(outcome: &'static str) {
    metrics::counter!("lyceum_federation_received_pdus_total", "outcome" => outcome).increment(1);
}
