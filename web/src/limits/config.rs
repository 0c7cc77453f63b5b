//! How much may be asked how often. `[rate_limits]` in the configuration; reloaded on SIGHUP.

use serde::Deserialize;

/// How often something may happen: so many at once, and so many a second in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Limit {
    /// How many a second in the long run; 0.1 is one in ten seconds.
    pub per_second: f64,
    /// How many at once.
    pub burst: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    per_second: f64,
    burst: u32,
}

impl TryFrom<Written> for Limit {
    type Error = &'static str;

    fn try_from(Written { per_second, burst }: Written) -> Result<Self, Self::Error> {
        if !(0.0001..=1_000_000.0).contains(&per_second) {
            return Err("per_second must lie between 0.0001 and 1000000");
        }
        if burst == 0 {
            return Err("burst must be at least 1");
        }
        Ok(Self { per_second, burst })
    }
}

const fn limit(per_second: f64, burst: u32) -> Limit {
    Limit { per_second, burst }
}

/// The two limits of a family of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientLimit {
    /// For each person: who is signed in, or whose account is tried.
    pub user: Limit,
    /// For each address, where nobody is signed in. A whole campus may share one: keep it wide.
    pub address: Limit,
}

/// The limits for other servers.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerLimit {
    /// For each server.
    pub server: Limit,
    /// For each address, before it has proved which server it is.
    pub address: Limit,
}

/// Rate limits by family of endpoints. Application services are exempt unless their registration says `rate_limited`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// Whether limits are held at all.
    pub enabled: bool,
    /// Signing in, refreshing tokens, changing passwords.
    pub login: ClientLimit,
    /// Making accounts, and mails that prove an address.
    pub registration: ClientLimit,
    /// Sending events, changing state, making rooms, leaving, kicking, banning.
    pub send: ClientLimit,
    /// Joining and knocking.
    pub join: ClientLimit,
    /// Inviting.
    pub invite: ClientLimit,
    /// Keys, key backups, messages to devices.
    pub keys: ClientLimit,
    /// Uploads, downloads, thumbnails, previews.
    pub media: ClientLimit,
    /// What other servers ask and send.
    pub federation: ServerLimit,
    /// Everything else that the specification says is limited.
    pub other: ClientLimit,
}

impl Default for RateLimits {
    fn default() -> Self {
        let client = |user, address| ClientLimit { user, address };
        Self {
            enabled: true,
            // A computer room signs in at once from one address; one account is tried by one person.
            login: client(limit(0.2, 10), limit(10.0, 300)),
            registration: client(limit(0.2, 10), limit(2.0, 100)),
            send: client(limit(5.0, 100), limit(5.0, 100)),
            join: client(limit(1.0, 40), limit(1.0, 40)),
            invite: client(limit(2.0, 100), limit(2.0, 100)),
            keys: client(limit(10.0, 300), limit(10.0, 300)),
            media: client(limit(30.0, 500), limit(100.0, 2_000)),
            federation: ServerLimit { server: limit(100.0, 1_000), address: limit(500.0, 5_000) },
            other: client(limit(20.0, 300), limit(100.0, 2_000)),
        }
    }
}
