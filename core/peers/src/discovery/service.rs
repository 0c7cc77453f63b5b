//! Service records of the name system.

use async_trait::async_trait;
use hickory_resolver::{TokioResolver, proto::rr::RData};
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
pub struct SystemServices(Option<TokioResolver>);

impl SystemServices {
    /// The resolvers that the system is configured with.
    pub fn new() -> Self {
        let built = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        Self(built.inspect_err(|error| tracing::warn!(%error, "service records cannot be looked up")).ok())
    }
}

impl Default for SystemServices {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl ServiceLookup for SystemServices {
    async fn lookup(&self, name: &str) -> Services {
        let Some(resolver) = &self.0 else { return Services { targets: Vec::new(), kept: KEPT_MAX } };
        // The final dot: the name is whole, the system's search list is not to be tried.
        match resolver.srv_lookup(format!("{name}.")).await {
            Ok(found) => {
                let kept = found.valid_until().saturating_duration_since(Instant::now()).clamp(KEPT_MIN, KEPT_MAX);
                let mut records: Vec<_> = found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::SRV(one) if !one.target.is_root() => Some(one),
                        _ => None,
                    })
                    .collect();
                records.sort_by_key(|one| (one.priority, u16::MAX - one.weight));
                let target = |name: String| name.trim_end_matches('.').to_owned();
                let targets = records.into_iter().take(RECORDS_MAX);
                Services { targets: targets.map(|one| (target(one.target.to_ascii()), one.port)).collect(), kept }
            }
            Err(error) if error.is_no_records_found() => Services { targets: Vec::new(), kept: KEPT_MIN },
            Err(error) => {
                tracing::debug!(%error, name, "the name system did not answer for service records");
                Services { targets: Vec::new(), kept: FAILURE_KEPT }
            }
        }
    }
}
