//! Chance from the operating system: the only place that takes it. Everything else is handed a generator or a seed, so
//! that tests can repeat what happened.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A cryptographic generator, seeded by the operating system.
#[expect(clippy::disallowed_methods, reason = "the one place where chance comes from")]
pub(crate) fn generator() -> StdRng {
    StdRng::from_seed(rand::rng().random())
}
