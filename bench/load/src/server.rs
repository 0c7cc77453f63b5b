//! The server under test as a process: started on a free port with a fresh store, watched, stopped, killed.

use std::fs;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper::Method;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Failure;
use crate::authority::Authority;
use crate::http::Connection;
use crate::options::Options;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a server that starts is asked whether it has.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// `/proc/PID/stat` counts processor time in these parts of a second.
const TICKS_PER_SECOND: f64 = 100.0;

pub struct Server {
    pub name: String,
    pub address: SocketAddr,
    pub as_token: String,
    pid: Option<u32>,
    data: Option<PathBuf>,
    own: Option<Own>,
    /// How long it took from the start of the process until it answered; nothing for a server that ran already.
    pub started_in: Duration,
}

/// A process that this tool started.
struct Own {
    child: Child,
    folder: TempDir,
    binary: PathBuf,
}

impl Server {
    /// Starts the binary with a fresh store, or takes the server that was named.
    pub async fn start(options: &Options) -> Result<Self, Failure> {
        if let Some(url) = &options.url {
            let host = url.trim_start_matches("http://").trim_end_matches('/');
            let address = host.to_socket_addrs()?.next().ok_or("the address cannot be resolved")?;
            return Ok(Self {
                name: String::new(),
                address,
                as_token: options.as_token.clone(),
                pid: options.pid,
                data: options.data.clone(),
                own: None,
                started_in: Duration::ZERO,
            });
        }
        Self::start_own(options, None).await
    }

    /// Starts the binary with a fresh store, so that other servers whose certificates this authority signed reach it.
    pub async fn start_with(options: &Options, authority: &Authority) -> Result<Self, Failure> {
        Self::start_own(options, Some(authority)).await
    }

    async fn start_own(options: &Options, authority: Option<&Authority>) -> Result<Self, Failure> {
        let binary = options.binary.clone().ok_or("--bin is needed")?;
        let folder = tempfile::Builder::new().prefix("lyceum-load-").tempdir()?;
        let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let (address, between) = (free()?, free()?);
        let name = authority.map_or_else(|| "load.test".to_owned(), |_| format!("localhost:{}", between.port()));
        let federation = authority.map_or_else(String::new, |authority| federation_configuration(between, authority));
        write_configuration(folder.path(), (&name, address), &options.as_token, &federation)?;
        let begun = Instant::now();
        let child = spawn(&binary, folder.path())?;
        let (pid, data) = (child.id(), Some(folder.path().join("data")));
        let own = Some(Own { child, folder, binary });
        let as_token = options.as_token.clone();
        let mut server = Self { name, address, as_token, pid, data, own, started_in: Duration::ZERO };
        server.answers().await?;
        server.started_in = begun.elapsed();
        Ok(server)
    }

    /// Ends the process at once, as a power cut would, and starts it again on the same store and port.
    pub async fn crash_and_restart(&mut self) -> Result<Duration, Failure> {
        let own = self.own.as_mut().ok_or("only a server started here can be killed")?;
        own.child.start_kill()?;
        own.child.wait().await?;
        self.start_again().await
    }

    /// Ends the process as an administrator does, and starts it again on the same store and port.
    pub async fn restart(&mut self) -> Result<Duration, Failure> {
        self.end().await;
        self.start_again().await
    }

    /// Answers how long it took until it answered.
    async fn start_again(&mut self) -> Result<Duration, Failure> {
        let own = self.own.as_mut().ok_or("only a server started here can be started again")?;
        let begun = Instant::now();
        own.child = spawn(&own.binary, own.folder.path())?;
        self.pid = own.child.id();
        self.answers().await?;
        Ok(begun.elapsed())
    }

    pub async fn stop(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        let Some(own) = self.own.as_mut() else { return };
        if let Some(pid) = own.child.id() {
            // SIGTERM by the system's own program: the tool needs no unsafe code for it.
            let _ = Command::new("kill").arg(pid.to_string()).status().await;
        }
        if tokio::time::timeout(STOP_TIMEOUT, own.child.wait()).await.is_err() {
            eprintln!("# the server did not stop within {STOP_TIMEOUT:?} and was killed");
            let _ = own.child.kill().await;
        }
    }

    async fn answers(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            let answer = Connection::to(self.address).call(Method::GET, "/_matrix/client/versions", "", None).await;
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Err("the server did not answer in time".into())
    }

    /// Processor time the server has used, in milliseconds.
    pub fn cpu_ms(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid?)).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some(ticks * 1000.0 / TICKS_PER_SECOND)
    }

    /// Resident memory, in MiB.
    pub fn memory_mib(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
    }

    /// What the store takes on disk, in MB.
    pub fn disk_mb(&self) -> Option<f64> {
        Some(bytes_on_disk(self.data.as_ref()?) as f64 / 1e6)
    }
}

fn bytes_on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_on_disk(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

fn spawn(binary: &Path, folder: &Path) -> Result<Child, Failure> {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log"))?;
    let child = Command::new(binary)
        .args(["serve", "--config"])
        .arg(folder.join("config.toml"))
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|why| format!("{} cannot be started: {why}", binary.display()))?;
    Ok(child)
}

/// How other servers on this machine are reached and reach the server.
fn federation_configuration(address: SocketAddr, authority: &Authority) -> String {
    format!(
        "\n[[listeners]]\naddress = \"{address}\"\napis = [\"federation\"]\ntls = {{ certificate = {:?}, key = {:?} }}\n\n\
         [federation]\nallow_private_networks = true\ntrusted_ca_files = [{:?}]\n",
        authority.certificate.display().to_string(),
        authority.key.display().to_string(),
        authority.ca.display().to_string(),
    )
}

fn write_configuration(
    folder: &Path,
    (name, address): (&str, SocketAddr),
    as_token: &str,
    federation: &str,
) -> Result<(), Failure> {
    let registration = folder.join("load.yaml");
    fs::write(
        &registration,
        format!(
            "id: load\nurl: null\nas_token: {as_token}\nhs_token: unused-{as_token}\nsender_localpart: load_tool\nrate_limited: false\n\
             namespaces:\n  users:\n  - exclusive: true\n    regex: '@load_.*'\n  aliases: []\n  rooms: []\n"
        ),
    )?;
    fs::write(
        folder.join("config.toml"),
        format!(
            "[server]\nname = \"{name}\"\ndata_dir = {data:?}\n\n[[listeners]]\naddress = \"{address}\"\napis = [\"client\", \"admin\"]\n\n\
             [registration]\nmode = \"open\"\n\n[rate_limits]\nenabled = false\n\n[appservices]\nfiles = [{registration:?}]\n{federation}",
            data = folder.join("data").display().to_string(),
            registration = registration.display().to_string(),
        ),
    )?;
    Ok(())
}
