//! This machine: files, disk, clock, ports.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lyceum_events::{Clock, SystemClock};
use lyceum_storage::EngineKind;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::super::store::{self, Found};
use super::Finding;
use crate::config::{Config, Loaded, Tls, in_words};
use crate::listen::tls;
use crate::operator::socket;
use crate::signing_key;

/// Free space below which the store will soon have none.
const FREE_MIB_MIN: u64 = 1024;

/// How far the clock may be off: other servers refuse what seems to come from far in the future.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(5);

/// Who is asked for the time (RFC 5905; one packet, nothing about us in it).
const TIME_SERVER: &str = "pool.ntp.org:123";

/// From NTP's epoch (1900) to Unix's (1970), in seconds.
const NTP_TO_UNIX: u64 = 2_208_988_800;

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn configuration(loaded: &Loaded) -> Finding {
    let found = loaded.config.check_surroundings();
    match (&loaded.file, found.is_empty()) {
        (_, false) => Finding::Wrong(loaded.describe(found).to_string().trim_end().to_owned()),
        (Some(file), true) => Finding::Well(format!("{} is in order", file.display())),
        (None, true) => Finding::Note("there is none: this is a trial; `lyceum init` writes one".to_owned()),
    }
}

pub(super) fn data(config: &Config) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let dir = &config.server.data_dir;
    let Ok(meta) = std::fs::metadata(dir) else {
        return Finding::Note(format!("{} is not there yet; the first start makes it", dir.display()));
    };
    if meta.permissions().mode() & 0o077 != 0 {
        let shown = dir.display();
        return Finding::Wrong(format!(
            "others on this machine can look into {shown}, keys included: chmod 700 {shown}"
        ));
    }
    if let Some(wrong) = signing_key::mistake(dir, config.server.name.clone()) {
        return Finding::Wrong(wrong);
    }
    match signing_key::path(dir).exists() {
        true => Finding::Well(format!("{} holds the signing key; keep a copy of it elsewhere", dir.display())),
        false => Finding::Note(format!("{} holds no signing key yet; the first start makes it", dir.display())),
    }
}

/// Asks `df`, which every Unix has, rather than link a library for one number.
pub(super) fn disk(config: &Config) -> Finding {
    let dir = config.server.data_dir.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let output = Command::new("df").arg("-Pk").arg(dir).output();
    let free_kib = output.ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    match free_kib.map(|kib| kib / 1024) {
        None => Finding::Note("the free space could not be found out".to_owned()),
        Some(free) if free < FREE_MIB_MIN => {
            Finding::Wrong(format!("{free} MiB are free for {}; a full disk stops the server", dir.display()))
        }
        Some(free) => Finding::Well(format!("{} GiB are free for {}", free / 1024, dir.display())),
    }
}

pub(super) async fn clock() -> Finding {
    let unknown = |why: String| Finding::Note(format!("{TIME_SERVER} could not be asked for the time ({why})"));
    let off = match timeout(PATIENCE, clock_off()).await {
        Ok(Ok(off)) => off,
        Ok(Err(error)) => return unknown(in_words(&error)),
        Err(_) => return unknown("no answer".to_owned()),
    };
    match off > CLOCK_OFF_MAX {
        true => Finding::Wrong(format!("{} s off; let the system keep it right by NTP", off.as_secs())),
        false => Finding::Well("right to within a few seconds".to_owned()),
    }
}

/// How far this machine's clock is from a time server's.
async fn clock_off() -> std::io::Result<Duration> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect(TIME_SERVER).await?;
    let mut packet = [0_u8; 48];
    packet[0] = 0b00_100_011; // version 4, client
    socket.send(&packet).await?;
    if socket.recv(&mut packet).await? < packet.len() {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    // The transmit timestamp's whole seconds.
    let seconds = u32::from_be_bytes([packet[40], packet[41], packet[42], packet[43]]);
    let theirs = u64::from(seconds).saturating_sub(NTP_TO_UNIX);
    let ours = u64::from(SystemClock::default().now().get()) / 1000;
    Ok(Duration::from_secs(theirs.abs_diff(ours)))
}

/// Whether the store opens, and whose it is.
pub(super) async fn store(config: &Config) -> Finding {
    let place = match config.storage.engine {
        EngineKind::Postgres => "the database",
        EngineKind::Sled | EngineKind::Memory => "the data directory",
    };
    match store::look(config).await {
        Ok(Found::Nothing) => Finding::Note(format!("there is none yet in {place}; the first start makes it")),
        Ok(Found::InUse) => Finding::Well("the running server has it open".to_owned()),
        Ok(Found::AnotherUsers) => Finding::Note(
            "not looked into: its files belong to another user; ask as the one that runs the server".to_owned(),
        ),
        Ok(Found::Well) => Finding::Well(format!("the one in {place} opens, and is that of {}", config.server.name)),
        Ok(Found::Mistake(text)) => Finding::Wrong(text),
        Err(error) => Finding::Wrong(error.to_string()),
    }
}

pub(super) async fn port(address: SocketAddr, data_dir: &Path) -> Finding {
    if matches!(socket::find(data_dir).await, Ok(Some(_))) {
        return match timeout(PATIENCE, TcpStream::connect(reachable(address))).await {
            Ok(Ok(_)) => Finding::Well(format!("the running server answers on {address}")),
            _ => Finding::Wrong(format!(
                "the server runs and does not answer on {address}; was it started with this file?"
            )),
        };
    }
    match std::net::TcpListener::bind(address) {
        Ok(_) => Finding::Well(format!("{address} is free for the server, which does not run now")),
        Err(error) => Finding::Wrong(format!("{address}: {}", in_words(&error))),
    }
}

/// An address to connect to, for one to listen on.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}

pub(super) fn certificate(files: &Tls, config: &Config) -> Finding {
    if let Err(error) = tls::read(files) {
        return Finding::Wrong(format!("{error:#}"));
    }
    let concerns = tls::concerns(files, &config.hosts(), SystemClock::default().now());
    match concerns.is_empty() {
        true => Finding::Well(format!("{} and its key fit, its time and names too", files.certificate.display())),
        false => Finding::Wrong(concerns.join("; ")),
    }
}
