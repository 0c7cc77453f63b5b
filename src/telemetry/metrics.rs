//! Figures for Prometheus: counted by `metrics` macros all over the server, rendered here, with the process's own.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of what takes time, in seconds: from a warm read to a long poll.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Upper bounds of the buckets of what is counted.
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// How often old samples are folded together.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Starts counting. Must be called within a runtime.
pub(super) fn start() -> anyhow::Result<PrometheusHandle> {
    let figures = PrometheusBuilder::new()
        .set_buckets(&COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    let kept = figures.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            kept.run_upkeep();
        }
    });
    Ok(figures)
}

/// `/metrics`.
pub(super) fn routes(figures: PrometheusHandle) -> Router {
    Router::new().route(
        "/metrics",
        get(async move || {
            of_the_process();
            ([("content-type", "text/plain; version=0.0.4")], figures.render())
        }),
    )
}

/// What the system knows of this process, where it says so.
fn of_the_process() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    if let Some(resident) = kibibytes("VmRSS") {
        metrics::gauge!("process_resident_memory_bytes").set(resident * 1024.0);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(f64::from(u32::try_from(open.count()).unwrap_or(u32::MAX)));
    }
    metrics::gauge!("lyceum_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
