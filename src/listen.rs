//! Listeners: sockets bound, HTTP/1.1 and HTTP/2 spoken with or without TLS, slow and silent peers let go, an orderly end.

mod patience;
pub(crate) mod tls;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use tokio::task::JoinSet;

use crate::config::{self, Api, Config, Finding};
use patience::Patient;

/// How long a peer may take to send a request's head, and to stay silent between requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an idle HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Streams at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 250;

/// A request's head in bytes, at most.
const HEADER_BYTES_MAX: u32 = 64 * 1024;

/// How long requests in flight may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(8);

/// Sockets that are bound and not yet served.
pub(crate) struct Listeners(Vec<Bound>);

/// What a listener is for.
pub(crate) enum Serves {
    Apis(Vec<Api>),
    Metrics,
}

struct Bound {
    /// The address as the configuration names it.
    configured: SocketAddr,
    socket: TcpListener,
    serves: Serves,
    tls: Option<RustlsConfig>,
}

impl Listeners {
    /// Binds every address and reads every certificate, so that mistakes are told, all of them, before anything starts.
    pub(crate) fn bind(config: &Config) -> Result<Self, Vec<Finding>> {
        let (mut bound, mut found) = (Vec::new(), Vec::new());
        for (index, listener) in config.listeners.iter().enumerate() {
            let tls = match listener.tls.as_ref().map(tls::read).transpose() {
                Ok(tls) => tls.map(RustlsConfig::from_config),
                Err(error) => {
                    found.push(Finding::new(&format!("listeners.{index}.tls"), format!("{error:#}")));
                    None
                }
            };
            match bind(listener.address) {
                Ok(socket) => bound.push(Bound {
                    configured: listener.address,
                    socket,
                    serves: Serves::Apis(listener.apis.clone()),
                    tls,
                }),
                Err(text) => found.push(Finding::new(&format!("listeners.{index}.address"), text)),
            }
        }
        if let Some(configured) = config.metrics.address {
            match bind(configured) {
                Ok(socket) => bound.push(Bound { configured, socket, serves: Serves::Metrics, tls: None }),
                Err(text) => found.push(Finding::new("metrics.address", text)),
            }
        }
        if found.is_empty() { Ok(Self(bound)) } else { Err(found) }
    }

    /// Starts serving on all of them. `routes` gives each its router.
    pub(crate) fn serve(self, routes: impl Fn(&Serves) -> Router) -> Running {
        let (mut tasks, mut listeners) = (JoinSet::new(), Vec::new());
        for Bound { configured, socket, serves, tls } in self.0 {
            let address = socket.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
            let handle = Handle::new();
            let routes = routes(&serves).into_make_service_with_connect_info::<SocketAddr>();
            let http = http(socket, handle.clone());
            match tls.clone() {
                None => tasks.spawn(async move {
                    let ended = async { http?.acceptor(Patient).serve(routes).await };
                    (address, ended.await)
                }),
                Some(tls) => {
                    let acceptor = RustlsAcceptor::new(tls).acceptor(Patient);
                    tasks.spawn(async move {
                        let ended = async { http?.acceptor(acceptor).serve(routes).await };
                        (address, ended.await)
                    })
                }
            };
            listeners.push(Served { configured, address, serves, handle, tls });
        }
        Running { tasks, listeners }
    }
}

fn http(socket: TcpListener, handle: Handle<SocketAddr>) -> std::io::Result<axum_server::Server<SocketAddr>> {
    let mut server = axum_server::from_tcp(socket)?.handle(handle);
    let builder = server.http_builder();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX);
    Ok(server)
}

fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let socket = TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is already in use, perhaps by a Lyceum that is still running")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "{address} is not allowed; ports below 1024 need a privilege: listen on a higher one behind a proxy, or \
                 give the program CAP_NET_BIND_SERVICE"
            )
        }
        _ => format!("{address}: {}", config::in_words(&error)),
    })?;
    socket.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(socket)
}

/// Listeners at work.
pub(crate) struct Running {
    tasks: JoinSet<(SocketAddr, std::io::Result<()>)>,
    listeners: Vec<Served>,
}

/// Certificates that were read again, each for a listener.
pub(crate) struct Certificates(Vec<(RustlsConfig, Arc<ServerConfig>)>);

impl Certificates {
    /// Shows them to whoever connects from now on. Connections that are open keep the old ones.
    pub(crate) fn take_effect(self) {
        for (held, certificate) in self.0 {
            held.reload_from_config(certificate);
        }
    }
}

struct Served {
    configured: SocketAddr,
    address: SocketAddr,
    serves: Serves,
    handle: Handle<SocketAddr>,
    tls: Option<RustlsConfig>,
}

impl Running {
    /// Where the server really listens, for the log.
    pub(crate) fn addresses(&self) -> String {
        let shown = |served: &Served| match (&served.serves, &served.tls) {
            (Serves::Metrics, _) => format!("http://{}/metrics", served.address),
            (Serves::Apis(_), Some(_)) => format!("https://{}", served.address),
            (Serves::Apis(_), None) => format!("http://{}", served.address),
        };
        self.listeners.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    /// Reads every certificate again, and changes nothing yet. Which listener a certificate is for is told by its address: the
    /// configuration may name more listeners now, or name them in another order.
    pub(crate) fn read_certificates(&self, fresh: &Config) -> anyhow::Result<Certificates> {
        let mut read = Vec::new();
        for (index, listener) in fresh.listeners.iter().enumerate() {
            let Some(files) = &listener.tls else { continue };
            let certificate = tls::read(files).with_context(|| format!("listeners[{index}].tls"))?;
            let mut served = self.listeners.iter().filter(|served| served.configured == listener.address);
            if let Some(held) = served.find_map(|served| served.tls.clone()) {
                read.push((held, certificate));
            }
        }
        Ok(Certificates(read))
    }

    /// Resolves when a listener has ended though nobody asked it to; the server must then stop.
    pub(crate) async fn broken(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((address, Ok(())))) => anyhow!("the listener on {address} ended by itself, so the server stops"),
            Some(Ok((address, Err(error)))) => {
                anyhow!("the listener on {address} broke, so the server stops: {}", config::in_words(&error))
            }
            Some(Err(error)) => anyhow!("a listener broke, so the server stops: {error}"),
            None => std::future::pending().await,
        }
    }

    /// Accepts nothing more, lets what is in flight finish, and returns within the grace.
    pub(crate) async fn stop(&mut self) {
        for served in &self.listeners {
            served.handle.graceful_shutdown(Some(GRACE));
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(lines: &str) -> Config {
        let text = format!("[server]\nname = \"campus.example\"\n{lines}");
        config::parse("the test's configuration", &text, []).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn running(config: &Config) -> Running {
        Listeners::bind(config).expect("a port is free").serve(|_| Router::new())
    }

    #[tokio::test]
    async fn a_listener_that_ends_by_itself_is_named() {
        let mut running = running(&with("[[listeners]]\naddress = \"127.0.0.1:0\"\n"));
        running.listeners[0].handle.shutdown();
        let told = running.broken().await.to_string();
        assert!(told.contains(&running.listeners[0].address.to_string()), "{told}");
    }

    #[tokio::test]
    async fn a_certificate_reaches_its_listener_wherever_that_is_named() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        let issue = || {
            let issued = rcgen::generate_simple_self_signed(vec!["campus.example".to_owned()]).expect("a certificate");
            std::fs::write(&certificate, issued.cert.pem()).expect("it can be written");
            std::fs::write(&key, issued.key_pair.serialize_pem()).expect("it can be written");
        };
        issue();
        let secure = format!(
            "[[listeners]]\naddress = \"127.0.0.1:0\"\ntls = {{ certificate = {certificate:?}, key = {key:?} }}\n"
        );
        let running = running(&with(&secure));
        let shown = || running.listeners[0].tls.as_ref().expect("it speaks TLS").get_inner();
        let first = shown();
        issue();
        let fresh = with(&format!("[[listeners]]\naddress = \"127.0.0.1:1\"\n{secure}"));
        let read = running.read_certificates(&fresh).expect("it can be read");
        assert!(Arc::ptr_eq(&first, &shown()), "what is read does not count yet");
        read.take_effect();
        assert!(!Arc::ptr_eq(&first, &shown()), "the new certificate should be shown");
        std::fs::write(&certificate, "no certificate").expect("it can be written");
        assert!(running.read_certificates(&fresh).is_err());
    }
}
