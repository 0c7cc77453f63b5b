//! What the operating system asks of a running server: SIGTERM and Ctrl-C stop it, SIGHUP reads settings again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Loaded};
use crate::listen::Running;
use crate::server::Server;
use crate::telemetry::{self, Telemetry};

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

/// Takes up what can change while running: log level, rate limits, certificates. All of it is read before any of it counts: a
/// mistake leaves everything as it was.
fn reload(loaded: &Loaded, telemetry: &Telemetry, running: &Running, server: &Server) {
    let read = || -> anyhow::Result<_> {
        let fresh = config::load(loaded.file.as_deref())?.config;
        Ok((telemetry::level(&fresh.log)?, running.read_certificates(&fresh)?, fresh))
    };
    let (level, certificates, fresh) = match read() {
        Ok(read) => read,
        Err(error) => {
            let error = format!("{error:#}");
            return tracing::error!(error, "the configuration was not reloaded; everything is as it was");
        }
    };
    if let Err(error) = telemetry.set_level(level) {
        tracing::error!(%error, "the log level was not reloaded");
    }
    server.reload(&fresh);
    certificates.take_effect();
    tracing::info!("log level, rate limits and certificates reloaded");
    let waiting = loaded.config.changed_until_restart(&fresh);
    if !waiting.is_empty() {
        tracing::warn!(sections = waiting.join(", "), "other settings changed that count only after a restart");
    }
}
