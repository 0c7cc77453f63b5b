//! Rate limits: a bucket for each user, address and server in each family of endpoints (spec, "Rate limiting").
//!
//! Buckets live in this process's memory and may be lost. Their number is bounded: past [`BUCKETS_MAX`] they are shared.

pub(crate) mod config;

use governor::{Quota, RateLimiter, clock::Clock as _, middleware::NoOpMiddleware, state::keyed::DashMapStateStore};
use lyceum_accounts::RateOverride;
use lyceum_events::Clock;
use parking_lot::{Mutex, RwLock};
use ruma::{ServerName, UserId};
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{ApiError, facts::Family};
use config::{ClientLimit, Limit, RateLimits, ServerLimit};

/// Buckets kept in each table at most; full ones are dropped first, since a full bucket is as good as none.
pub(crate) const BUCKETS_MAX: usize = 100_000;
/// Buckets that are shared while a table is full of busy ones.
const SHARED_BUCKETS: u64 = 4_096;
/// How many checks pass between two looks at a table's size.
const CHECKS_BETWEEN_SWEEPS: u32 = 4_096;
/// Different limits for single people that are kept; with more, their buckets begin anew.
const OVERRIDES_MAX: usize = 1_000;

/// Whose bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who<'a> {
    /// Somebody signed in.
    User(&'a UserId),
    /// An account that is tried, by what was typed as its name.
    Account(&'a str),
    /// An address nobody is signed in from.
    Address(IpAddr),
    /// Another server.
    Server(&'a ServerName),
}

/// The rate limits in force.
pub(crate) struct Limits {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    tables: RwLock<Arc<Tables>>,
    /// For people whom administrators gave limits of their own.
    overrides: Mutex<HashMap<RateOverride, Arc<Table>>>,
}

impl Limits {
    pub(crate) fn new(config: &RateLimits, clock: Arc<dyn Clock>) -> Self {
        let tables = RwLock::new(Arc::new(Tables::new(config, &clock)));
        Self { clock, hasher: RandomState::new(), tables, overrides: Mutex::default() }
    }

    /// Puts other limits in force. Buckets begin anew where anything changed.
    pub(crate) fn replace(&self, config: &RateLimits) {
        let mut tables = self.tables.write();
        if tables.config != *config {
            *tables = Arc::new(Tables::new(config, &self.clock));
        }
    }

    /// Takes one from `who`'s bucket.
    pub(crate) fn check(&self, family: Family, who: Who<'_>) -> Result<(), ApiError> {
        let tables = self.tables.read().clone();
        if !tables.config.enabled {
            return Ok(());
        }
        let Pair { person, address } = &tables.families[family as usize];
        let (table, bucket) = match who {
            Who::User(user) => (person, self.bucket(user.as_str())),
            Who::Account(name) => (person, self.bucket(name)),
            Who::Server(server) => (person, self.bucket(server.as_str())),
            Who::Address(ip) => (address, self.bucket(network(ip))),
        };
        table.take(bucket).map_err(|wait| refuse(family, wait))
    }

    /// Takes one from the bucket of somebody signed in: one of their own size, where administrators have given them one. That
    /// is about sending; whom they have set free of limits is free of all.
    pub(crate) fn check_user(&self, family: Family, user: &UserId, own: Option<RateOverride>) -> Result<(), ApiError> {
        match own {
            Some(own) if own.messages_per_second == 0 => Ok(()),
            Some(own) if family == Family::Send => {
                let (table, bucket) = (self.table_of(own), self.bucket(user.as_str()));
                table.take(bucket).map_err(|wait| refuse(family, wait))
            }
            _ => self.check(family, Who::User(user)),
        }
    }

    fn table_of(&self, own: RateOverride) -> Arc<Table> {
        let mut overrides = self.overrides.lock();
        if overrides.len() >= OVERRIDES_MAX && !overrides.contains_key(&own) {
            overrides.clear();
        }
        let limit = Limit { per_second: own.messages_per_second.into(), burst: own.burst_count };
        overrides.entry(own).or_insert_with(|| Arc::new(Table::new(limit, &self.clock))).clone()
    }

    fn bucket(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}

fn refuse(family: Family, wait: Duration) -> ApiError {
    metrics::counter!("lyceum_rate_limited_total", "family" => family.name()).increment(1);
    ApiError::limit_exceeded(wait)
}

/// One holder of addresses gets one bucket: a whole /64 of IPv6.
fn network(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

struct Tables {
    config: RateLimits,
    families: [Pair; 9],
}

/// A family's two tables: for people (or servers), and for addresses.
struct Pair {
    person: Table,
    address: Table,
}

impl Tables {
    fn new(config: &RateLimits, clock: &Arc<dyn Clock>) -> Self {
        let pair = |person, address| Pair { person: Table::new(person, clock), address: Table::new(address, clock) };
        let families = Family::ALL.map(|family| {
            let ClientLimit { user, address } = match family {
                Family::Login => config.login,
                Family::Registration => config.registration,
                Family::Send => config.send,
                Family::Join => config.join,
                Family::Invite => config.invite,
                Family::Keys => config.keys,
                Family::Media => config.media,
                Family::Other => config.other,
                Family::Federation => {
                    let ServerLimit { server, address } = config.federation;
                    return pair(server, address);
                }
            };
            pair(user, address)
        });
        Self { config: *config, families }
    }
}

struct Table {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, Time, NoOpMiddleware<Duration>>,
    checks: AtomicU32,
    full: AtomicBool,
}

impl Table {
    fn new(limit: Limit, clock: &Arc<dyn Clock>) -> Self {
        let burst = NonZeroU32::new(limit.burst).unwrap_or(NonZeroU32::MIN);
        let period = Duration::try_from_secs_f64(limit.per_second.recip()).unwrap_or(Duration::from_secs(1));
        let quota = Quota::with_period(period.max(Duration::from_nanos(1)))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let limiter = RateLimiter::dashmap_with_clock(quota, Time(clock.clone()));
        Self { limiter, checks: AtomicU32::new(0), full: AtomicBool::new(false) }
    }

    fn take(&self, bucket: u64) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_SWEEPS == CHECKS_BETWEEN_SWEEPS - 1 {
            self.limiter.retain_recent();
            self.full.store(self.limiter.len() >= BUCKETS_MAX, Ordering::Relaxed);
        }
        let bucket = if self.full.load(Ordering::Relaxed) { bucket % SHARED_BUCKETS } else { bucket };
        let now = self.limiter.clock().now();
        self.limiter.check_key(&bucket).map_err(|until| until.wait_time_from(now))
    }
}

/// The server's clock as governor wants it.
#[derive(Clone)]
struct Time(Arc<dyn Clock>);

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}
