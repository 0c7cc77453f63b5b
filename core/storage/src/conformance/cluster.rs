//! A private PostgreSQL for tests: started from the machine's own programs, in a temporary directory, gone with the tests.
//!
//! Without those programs the tests that need it say that they are skipped. With `LYCEUM_TEST_POSTGRES=required` in the
//! environment they fail instead.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::sync::OnceCell;

/// PostgreSQL refuses to run as root; this is the user Debian's package makes.
const USER: &str = "postgres";

struct Cluster {
    dir: PathBuf,
    /// The server is stopped, and the directory removed, when this end closes: with this process, however it ends.
    _alive: (Child, ChildStdin),
}

static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database.
pub(crate) async fn database() -> Option<String> {
    let cluster = CLUSTER.get_or_init(start).await.as_ref()?;
    let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let (client, connection) = connect(&cluster.dir).await.expect("the cluster answers");
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
    Some(url(&cluster.dir, &name))
}

fn url(dir: &Path, database: &str) -> String {
    format!("postgres:///{database}?host={}&user={USER}", dir.display())
}

type Connection = tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>;

async fn connect(dir: &Path) -> Result<(tokio_postgres::Client, Connection), tokio_postgres::Error> {
    tokio_postgres::connect(&url(dir, "postgres"), tokio_postgres::NoTls).await
}

async fn start() -> Option<Cluster> {
    let Some(programs) = programs() else {
        let required = std::env::var("LYCEUM_TEST_POSTGRES").is_ok_and(|value| value == "required");
        assert!(!required, "LYCEUM_TEST_POSTGRES=required, but there is no initdb (install Debian's postgresql)");
        // Not by a macro, whose words the test harness keeps to itself.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: the PostgreSQL tests, as PostgreSQL's programs are not installed");
        return None;
    };
    let dir = PathBuf::from(format!("/tmp/lyceum-test-postgres-{}", std::process::id()));
    let script = format!(
        "mkdir -m 700 {dir} && {bin}/initdb -D {dir}/data -U {USER} -A trust -N >{dir}/log 2>&1 && \
         {{ {bin}/postgres -D {dir}/data -k {dir} -c listen_addresses= -c fsync=off -c shared_buffers=16MB \
         -c max_connections=300 >>{dir}/log 2>&1 & read end; kill -INT $!; wait; rm -rf {dir}; }}",
        dir = dir.display(),
        bin = programs.display(),
    );
    let mut command = as_user(&script);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("a shell");
    let stdin = child.stdin.take().expect("its input");
    for _ in 0..600 {
        if connect(&dir).await.is_ok() {
            return Some(Cluster { dir, _alive: (child, stdin) });
        }
        assert!(child.try_wait().expect("its state").is_none(), "PostgreSQL did not start; see {}/log", dir.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("PostgreSQL did not answer within 30 s; see {}/log", dir.display());
}

/// The newest of the installed versions.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    let mut found: Vec<_> = versions.filter(|bin| bin.join("initdb").exists()).collect();
    found.sort_by_key(|bin| bin.parent().and_then(|version| version.file_name()?.to_str()?.parse::<u32>().ok()));
    found.pop()
}

fn as_user(script: &str) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let mut command = if root {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", script]).current_dir("/");
    command
}
