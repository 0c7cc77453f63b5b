//! Quiet hours: some people write nothing in some rooms then.

use serde::Deserialize;

use super::{Act, Answer, Facts};
use crate::{Group, Role, Someone, hours::Hours, settings::Finding};

const RULE: &str = "quiet_hours";

/// One of `institution.quiet_hours`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietConfig {
    /// When, such as "22:00-06:00" or "sat,sun".
    pub hours: String,
    /// For whom.
    pub roles: Vec<String>,
    /// In rooms of which kinds; all, if none is named.
    #[serde(default)]
    pub kinds: Vec<String>,
}

/// Quiet hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    hours: Hours,
    roles: Group,
    kinds: Vec<String>,
}

impl Quiet {
    pub(crate) fn read(config: &[QuietConfig], roles: &[Role], found: &mut Vec<Finding>) -> Vec<Self> {
        let mut rules = Vec::new();
        for (at, one) in config.iter().enumerate() {
            let mut wrong = |field: &str, text: String| found.push((format!("quiet_hours.{at}.{field}"), text));
            match (Hours::parse(&one.hours), Group::read(&one.roles, roles)) {
                (Some(hours), Ok(roles)) => rules.push(Self { hours, roles, kinds: one.kinds.clone() }),
                (None, _) => wrong("hours", format!("{:?}: write hours such as \"mon-fri 22:00-06:00\"", one.hours)),
                (_, Err(name)) => wrong("roles", format!("there is no role {name:?}")),
            }
        }
        rules
    }
}

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    let Act::Say { place, .. } = act else { return None };
    if facts.settings.quiet.is_empty() || !place.is_ours {
        return None;
    }
    let now = facts.settings.calendar.minute_of_week(facts.now_ms)?;
    let is_quiet = |rule: &Quiet| {
        rule.hours.contain(now)
            && rule.roles.has(who)
            && (rule.kinds.is_empty() || rule.kinds.contains(&place.kind.name))
    };
    facts.settings.quiet.iter().any(is_quiet).then(|| (RULE, "These are quiet hours: please write later".to_owned()))
}
