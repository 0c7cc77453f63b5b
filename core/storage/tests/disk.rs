//! A disk that fills up under a writing process: the store says so and stops, loses nothing it acknowledged, and opens
//! again once there is room.
//!
//! The disk is a small file system in memory, mounted for one process where that is allowed (as root); everywhere, a limit
//! on the size of files, which fails the same writes.

use lyceum_storage::{Batch, StorageConfig, Store, Table};
use std::{
    io::Write,
    path::Path,
    process::{Command, ExitCode, Output, Termination},
    time::Duration,
};

/// Names the store for the processes that this test starts.
const DIR: &str = "LYCEUM_DISK_TEST_DIR";
const ROWS: Table<u64, Vec<u8>> = Table::new("d.rows", "tests");

/// What a process answers when its store failed as it should.
const FAILED: u8 = 3;

struct Exit(u8);

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self.0 {
            0 => ExitCode::SUCCESS,
            // The harness makes one code of every failure; this is told apart from it.
            code => std::process::exit(code.into()),
        }
    }
}

fn row(n: u64) -> Vec<u8> {
    (0..1500_u64).map(|at| (n.wrapping_mul(31) ^ at.wrapping_mul(at)) as u8).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn open(dir: &Path) -> Store {
    Store::open(&StorageConfig::default(), dir).await.expect("the store opens")
}

fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[test]
#[ignore = "a process that another test starts; does nothing by itself"]
fn writes_until_the_disk_is_full() -> Exit {
    let Some(dir) = std::env::var_os(DIR) else { return Exit(0) };
    runtime().block_on(async {
        let store = open(dir.as_ref()).await;
        let start = store.scan(&ROWS, ROWS.all().reversed().limit(1)).await.unwrap();
        let mut n = start.first().map_or(0, |(last, _)| *last);
        let refused = loop {
            n += 1;
            assert!(n < 1_000_000, "the disk fills up at some time");
            let pending: Vec<_> = (0..4)
                .map(|part| {
                    let mut batch = Batch::new();
                    batch.put(&ROWS, n * 4 + part, &row(n * 4 + part));
                    store.enqueue(batch)
                })
                .collect();
            let mut results = Vec::new();
            for (part, one) in (0..).zip(pending) {
                let result = one.await;
                if result.is_ok() {
                    say(&format!("ack {}", n * 4 + part));
                }
                results.push(result);
            }
            if let Some(error) = results.into_iter().find_map(Result::err) {
                break error;
            }
        };
        say(&format!("refused: {refused}"));
        let failure = tokio::time::timeout(Duration::from_secs(5), store.failed()).await.expect("the store has failed");
        say(&format!("failed: {failure}"));
        let mut batch = Batch::new();
        batch.put(&ROWS, 0, &Vec::new());
        assert!(store.commit(batch).await.is_err(), "a failed store takes nothing more");
        assert!(store.get(&ROWS, 0).await.is_ok_and(|row| row.is_none()), "what was refused is not seen");
        tokio::time::timeout(Duration::from_secs(5), store.close()).await.expect("a failed store can be closed");
    });
    Exit(FAILED)
}

#[test]
#[ignore = "a process that another test starts; does nothing by itself"]
fn tells_what_is_there() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    runtime().block_on(async {
        let store = open(dir.as_ref()).await;
        let mut after = 0;
        loop {
            let page = store.scan(&ROWS, ROWS.all().after(&ROWS, after)).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (n, value) in page {
                assert_eq!(value, row(n), "row {n} is as written");
                say(&format!("there {n}"));
            }
        }
        let mut batch = Batch::new();
        batch.put(&ROWS, after + 1, &row(after + 1));
        store.commit(batch).await.expect("the store takes commits again");
        store.close().await;
        say("opened again");
    });
}

/// Runs a script in which `$TEST name` starts one of the processes above on the store in `dir`.
fn run(shell: &[&str], script: &str, dir: &Path) -> Output {
    let test = format!("{} --ignored --nocapture --exact", std::env::current_exe().unwrap().display());
    let (program, arguments) = shell.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).args(["-c", script]).env("TEST", test).env(DIR, dir).env("RUST_BACKTRACE", "0");
    command.output().unwrap()
}

fn numbers(text: &str, word: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
}

fn check(output: &Output) {
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let (acked, there) = (numbers(&told, "ack "), numbers(&told, "there "));
    let words: Vec<_> = told.lines().filter(|line| !line.starts_with("ack") && !line.starts_with("there")).collect();
    assert!(acked.len() > 100, "some commits fit: {words:?} {errors}");
    assert!(told.contains("code 3"), "the process ended as it should: {words:?} {errors}");
    assert!(told.contains("failed: the store could not be read or written: "), "the reason is told: {words:?}");
    assert!(told.contains("opened again"), "the store opened again: {words:?} {errors}");
    let lost: Vec<_> = acked.iter().filter(|n| there.binary_search(n).is_err()).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

#[test]
fn a_full_disk_stops_the_store_which_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let allowed = run(&["unshare", "-m", "sh"], "mount -t tmpfs -o size=1m tmpfs $LYCEUM_DISK_TEST_DIR", dir.path());
    if !allowed.status.success() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a really full disk, as this user may not mount one");
        return;
    }
    let script = "mount -t tmpfs -o size=24m tmpfs $LYCEUM_DISK_TEST_DIR
        dd if=/dev/zero of=$LYCEUM_DISK_TEST_DIR/ballast bs=1M count=8 2>/dev/null
        $TEST writes_until_the_disk_is_full; echo code $?
        rm $LYCEUM_DISK_TEST_DIR/ballast
        $TEST tells_what_is_there";
    check(&run(&["unshare", "-m", "sh"], script, dir.path()));
}

#[test]
fn a_write_that_fails_stops_the_store_which_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    // Blocks of 512 bytes in a plain shell. The signal that comes with the limit is ignored, so that the write fails.
    let script = "trap '' XFSZ
        (ulimit -f 24000; $TEST writes_until_the_disk_is_full; echo code $?)
        $TEST tells_what_is_there";
    check(&run(&["sh"], script, dir.path()));
}
