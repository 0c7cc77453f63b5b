//! Service records of the name system.

use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    proto::rr::{RData, rdata::SRV},
};
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};
use std::time::{Duration, Instant};

/// How long an answer is kept at least and at most, whatever its time to live.
const KEPT_MIN: Duration = Duration::from_secs(60);
const KEPT_MAX: Duration = Duration::from_secs(3600);

/// How long it is remembered that the name system did not answer.
const FAILURE_KEPT: Duration = Duration::from_secs(10);

/// Records of one name that are looked at.
const RECORDS_MAX: usize = 10;

/// What the name system says of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// Hosts and ports in the order to try; empty if there is no such service.
    pub targets: Vec<(String, u16)>,
    /// How long this holds.
    pub kept: Duration,
}

/// Looks service records up. Tests replace it.
#[async_trait]
pub trait ServiceLookup: Send + Sync + 'static {
    /// The records of a name such as `_matrix-fed._tcp.campus.example`.
    async fn lookup(&self, name: &str) -> Services;
}

/// No name has service records.
pub struct NoServices;

#[async_trait]
impl ServiceLookup for NoServices {
    async fn lookup(&self, _name: &str) -> Services {
        Services { targets: Vec::new(), kept: KEPT_MAX }
    }
}

/// The system's resolvers. Without a usable configuration of the system no name has service records.
pub struct SystemServices {
    resolver: Option<TokioResolver>,
    /// What draws the order of records by their weights.
    chance: Mutex<StdRng>,
}

impl SystemServices {
    /// The resolvers that the system is configured with.
    pub fn new(chance: StdRng) -> Self {
        let built = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        let resolver = built.inspect_err(|error| tracing::warn!(%error, "service records cannot be looked up")).ok();
        Self { resolver, chance: chance.into() }
    }
}

#[async_trait]
impl ServiceLookup for SystemServices {
    async fn lookup(&self, name: &str) -> Services {
        let Some(resolver) = &self.resolver else { return Services { targets: Vec::new(), kept: KEPT_MAX } };
        // The final dot: the name is whole, the system's search list is not to be tried.
        match resolver.srv_lookup(format!("{name}.")).await {
            Ok(found) => {
                let kept = found.valid_until().saturating_duration_since(Instant::now()).clamp(KEPT_MIN, KEPT_MAX);
                let records = found.answers().iter().filter_map(|record| match &record.data {
                    RData::SRV(one) if !one.target.is_root() => Some(one.clone()),
                    _ => None,
                });
                let drawn = drawn(records.collect(), &mut *self.chance.lock());
                let target = |name: String| name.trim_end_matches('.').to_owned();
                let targets = drawn.into_iter().map(|one| (target(one.target.to_ascii()), one.port));
                Services { targets: targets.collect(), kept }
            }
            Err(error) if error.is_no_records_found() => Services { targets: Vec::new(), kept: KEPT_MIN },
            Err(error) => {
                tracing::debug!(%error, name, "the name system did not answer for service records");
                Services { targets: Vec::new(), kept: FAILURE_KEPT }
            }
        }
    }
}

/// Records in the order to try: by priority, and among those of one priority drawn by weight (RFC 2782).
fn drawn(mut records: Vec<SRV>, chance: &mut impl Rng) -> Vec<SRV> {
    // "… those with weight 0 are placed at the beginning": so they are drawn, though seldom, beside others.
    records.sort_by_key(|one| (one.priority, one.weight));
    let mut order = Vec::new();
    while order.len() < RECORDS_MAX
        && let Some(first) = records.first()
    {
        let alike = records.iter().take_while(|one| one.priority == first.priority);
        let number = chance.random_range(0..=alike.map(|one| u32::from(one.weight)).sum());
        let mut running = 0;
        let reaches = |one: &SRV| {
            running += u32::from(one.weight);
            running >= number
        };
        let next = records.iter().position(reaches).unwrap_or_default();
        order.push(records.remove(next));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::Name;
    use rand::SeedableRng;

    fn record(priority: u16, weight: u16, port: u16) -> SRV {
        SRV::new(priority, weight, port, Name::root())
    }

    fn ports(records: &[SRV], chance: &mut StdRng) -> Vec<u16> {
        drawn(records.to_vec(), chance).iter().map(|one| one.port).collect()
    }

    #[test]
    fn records_of_one_priority_share_the_load_by_weight() {
        let records = [record(10, 30, 2), record(10, 0, 3), record(10, 70, 1)];
        let mut chance = StdRng::seed_from_u64(1);
        let mut first = [0; 4];
        for _ in 0..1_000 {
            let ports = ports(&records, &mut chance);
            assert_eq!(ports.len(), 3, "each is tried once: {ports:?}");
            first[usize::from(ports[0])] += 1;
        }
        assert!((630..770).contains(&first[1]), "seven in ten should go to the heavy one, not {first:?}");
        assert!((230..370).contains(&first[2]), "three in ten should go to the light one, not {first:?}");
        assert!(first[3] < 50, "without weight it should be first very seldom, not {first:?}");
    }

    #[test]
    fn a_lower_priority_goes_first_whatever_its_weight() {
        let records = [record(20, 65_535, 2), record(10, 0, 1), record(30, 65_535, 3)];
        let mut chance = StdRng::seed_from_u64(1);
        for _ in 0..100 {
            assert_eq!(ports(&records, &mut chance), [1, 2, 3]);
        }
    }

    #[test]
    fn only_so_many_records_are_looked_at() {
        let records: Vec<_> = (0..50).map(|port| record(10, port, port)).collect();
        assert_eq!(ports(&records, &mut StdRng::seed_from_u64(1)).len(), RECORDS_MAX);
    }
}
