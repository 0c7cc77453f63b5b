//! Logs and metrics. Logs are lines for people or JSON for machines, at a level that SIGHUP can change. No token, password or message body
//! is ever logged: request targets are logged without their query, and bodies not at all.

mod metrics;

use anyhow::Context;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// Changes what is logged while the server runs.
pub(crate) struct Telemetry {
    level: reload::Handle<Targets, Registry>,
    figures: PrometheusHandle,
}

/// Starts logging to standard error, and counting.
pub(crate) fn start(log: &Log) -> anyhow::Result<Telemetry> {
    let (filter, level) = reload::Layer::new(self::level(log)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Human => lines.with_target(false).with_ansi(is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let _ = Registry::default().with(filter).with(lines).try_init();
    Ok(Telemetry { level, figures: metrics::start()? })
}

impl Telemetry {
    /// The routes of the metrics' listener.
    pub(crate) fn metrics(&self) -> Router {
        metrics::routes(self.figures.clone())
    }

    /// Logs at this level from now on.
    pub(crate) fn set_level(&self, level: Targets) -> anyhow::Result<()> {
        self.level.reload(level).context("the log level cannot be changed")
    }
}

/// The level that the configuration names.
pub(crate) fn level(log: &Log) -> anyhow::Result<Targets> {
    // ruma tells of every rule it looks at, for every event, at the level of ours.
    let levels = format!("ruma_state_res=warn,{}", log.level);
    let targets: Targets = levels.parse().with_context(|| format!("log.level {:?}", log.level))?;
    Ok(targets)
}

fn is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}
