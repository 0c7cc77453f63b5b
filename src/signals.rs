//! What the operating system asks of a running server: SIGTERM and Ctrl-C stop it, SIGHUP reads settings again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Loaded};
use crate::listen::Running;
use crate::server::Server;
use crate::telemetry::Telemetry;

/// What is listened for. From when this is made, a signal waits until it is looked at and no longer ends the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Does `work`, unless the server is asked to stop before it is done (`None`).
    pub(crate) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.stop() => None,
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until asked to stop (`Ok`) or until a listener breaks (`Err`).
pub(crate) async fn until_stopped(
    mut signals: Signals,
    loaded: &Loaded,
    telemetry: &Telemetry,
    running: &mut Running,
    server: &Server,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            broken = running.broken() => return Err(broken),
            _ = signals.hang_up.recv() => reload(loaded, telemetry, running, server),
        }
    }
}

/// Takes up what can change while running: log level, rate limits, certificates. A mistake leaves everything as it was.
fn reload(loaded: &Loaded, telemetry: &Telemetry, running: &Running, server: &Server) {
    let fresh = match config::load(loaded.file.as_deref()) {
        Ok(fresh) => fresh,
        Err(problems) => return tracing::error!(%problems, "the configuration was not reloaded"),
    };
    if let Err(error) = telemetry.reload(&fresh.config.log) {
        tracing::error!(%error, "the log level was not reloaded");
    }
    server.reload(&fresh.config);
    match running.reload_certificates(&fresh.config) {
        Ok(()) => tracing::info!("log level, rate limits and certificates reloaded"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "certificates were not reloaded"),
    }
}
