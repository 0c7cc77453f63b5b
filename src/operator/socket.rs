//! The socket in the data directory through which a command reaches the running server: one order as a line of JSON,
//! answered by lines of JSON. Whoever may enter the data directory may give orders; nobody else can.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{Operator, Order, Report};

const NAME: &str = "operator.sock";

/// An order in bytes, at most.
const ORDER_BYTES_MAX: u64 = 64 * 1024;

/// What a socket's path may be long, on every system.
const PATH_BYTES_MAX: usize = 100;

/// One line of an answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Line(String),
    Failed(String),
    Done,
}

/// The socket while it is served; gone when dropped.
pub(crate) struct Served {
    task: AbortHandle,
    path: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves orders. The store must be open: then a socket that lies there is left from a crash.
pub(crate) fn serve(data_dir: &Path, operator: Operator) -> anyhow::Result<Served> {
    let path = data_dir.join(NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    let listener = short(data_dir, |path| UnixListener::bind(path))
        .with_context(|| format!("cannot make the socket {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let operator = operator.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &operator).await {
                            tracing::debug!(%error, "an order's asker went away");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an order could not be taken");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(Served { task: task.abort_handle(), path })
}

async fn answer(stream: UnixStream, operator: &Operator) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(ORDER_BYTES_MAX)).read_line(&mut line).await?;
    let (lines, mut said) = mpsc::unbounded_channel();
    let operator = operator.clone();
    // A task of its own: an order is carried out to its end even when the asker goes away.
    let work = tokio::spawn(async move {
        let order: Order = serde_json::from_str(&line).context("not an order this version knows")?;
        operator.carry_out(order, &Report::new(lines)).await
    });
    while let Some(line) = said.recv().await {
        send(&mut write, &Answer::Line(line)).await?;
    }
    let last = match work.await {
        Ok(Ok(())) => Answer::Done,
        Ok(Err(error)) => Answer::Failed(format!("{error:#}")),
        Err(_) => Answer::Failed("the order failed inside the server; its log says more".to_owned()),
    };
    send(&mut write, &last).await
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    Ok(())
}

/// A way to the running server.
pub(crate) struct Way(UnixStream);

/// Whether a server runs on this data directory.
pub(crate) fn answers(data_dir: &Path) -> bool {
    short(data_dir, |path| std::os::unix::net::UnixStream::connect(path)).is_ok()
}

/// The way to the server that runs on this data directory; `None` when none does.
pub(crate) async fn find(data_dir: &Path) -> anyhow::Result<Option<Way>> {
    match short(data_dir, |path| std::os::unix::net::UnixStream::connect(path)) {
        Ok(stream) => {
            stream.set_nonblocking(true)?;
            Ok(Some(Way(UnixStream::from_std(stream)?)))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => {
            Err(anyhow!("cannot reach the running server through {}: {error}", data_dir.join(NAME).display()))
        }
    }
}

impl Way {
    /// Has the running server carry out an order; each line it says is given to `say`.
    pub(crate) async fn order(self, order: &Order, say: impl Fn(&str)) -> anyhow::Result<()> {
        let (read, mut write) = self.0.into_split();
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        let mut answers = BufReader::new(read).lines();
        while let Some(line) = answers.next_line().await? {
            match serde_json::from_str(&line)? {
                Answer::Line(line) => say(&line),
                Answer::Failed(why) => bail!(why),
                Answer::Done => return Ok(()),
            }
        }
        bail!("the server went away before it had finished; its log says more")
    }
}

/// Reaches the socket by a path short enough for the system, through the directory's descriptor when need be.
fn short<T>(data_dir: &Path, reach: impl Fn(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let path = data_dir.join(NAME);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return reach(&path);
    }
    let directory = fs::File::open(data_dir)?;
    reach(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd())))
}
