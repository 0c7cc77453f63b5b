//! A process that writes is killed, again and again, at random moments: what it was told is durable is there, and every
//! batch is whole or absent.
//!
//! The ordinary form kills 10 times, the long one 100: `cargo test -p lyceum-storage --test kill -- --ignored`.

#[path = "../src/conformance/cluster.rs"]
mod cluster;

use lyceum_storage::{Batch, EngineKind, Position, StorageConfig, Store, Subject, Table};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Names the store for the process that writes until it is killed.
const DIR: &str = "LYCEUM_KILL_TEST_DIR";

/// Puts that store into PostgreSQL.
const URL: &str = "LYCEUM_KILL_TEST_URL";

const WRITERS: u64 = 8;

/// Steps of each writer looked at after each kill; after the last one, all are.
const RECENT: u64 = 150;

/// How far each writer has come.
const REACHED: Table<u64, u64> = Table::new("k.reached", "tests");
/// The parts of each batch: writer, step, part.
const PARTS: Table<(u64, u64, u64), Vec<u8>> = Table::new("k.parts", "tests");
/// The same parts in another order, so that they lie on other pages.
const SPREAD: Table<(u64, u64, u64), u64> = Table::new("k.spread", "tests");
/// Writer and step by position.
const STREAM: Table<u64, (u64, u64)> = Table::new("k.stream", "tests");

/// Parts of a batch, and their size: mostly small, now and then larger than what sled keeps in its main file.
fn shape(writer: u64, step: u64) -> (u64, usize) {
    let mixed = (writer * 31 + step * 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let bytes = if mixed.is_multiple_of(97) { 300_000 } else { (mixed % 2000) as usize };
    (1 + mixed % 6, bytes)
}

fn step_batch(writer: u64, step: u64) -> Batch {
    let (parts, bytes) = shape(writer, step);
    let mut batch = Batch::new();
    batch.expect(&REACHED, writer, (step > 1).then_some(&(step - 1))).put(&REACHED, writer, &step);
    for part in 0..parts {
        batch.put(&PARTS, (writer, step, part), &vec![step as u8; bytes]);
        batch.put(&SPREAD, (part, step, writer), &step);
    }
    // Something to delete, so that killing meets pages that shrink.
    if step > 20 {
        for part in 0..shape(writer, step - 20).0 {
            batch.delete(&SPREAD, (part, step - 20, writer));
        }
    }
    batch.touch(Subject::other(format!("{writer}:{step}")));
    batch.at_position(move |first, writes| writes.put(&STREAM, first.0, &(writer, step)));
    batch
}

/// The store in `dir`, or the one in PostgreSQL if there is a URL.
async fn open(dir: &Path, url: Option<String>) -> Store {
    let engine = if url.is_some() { EngineKind::Postgres } else { EngineKind::Sled };
    let config = StorageConfig { engine, url, ..StorageConfig::default() };
    Store::open(&config, dir).await.expect("the store opens")
}

/// Writes and tells what was acknowledged until it is killed.
#[test]
#[ignore = "the process that the other tests kill; does nothing by itself"]
fn writes_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(dir.as_ref(), std::env::var(URL).ok()).await;
        let writers = (0..WRITERS).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut step = store.get(&REACHED, writer).await.unwrap().unwrap_or(0);
                loop {
                    step += 1;
                    let position = store.commit(step_batch(writer, step)).await.unwrap();
                    let line = format!("ack {writer} {step} {}\n", position.0);
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            })
        });
        futures_util::future::join_all(writers).await;
    });
}

/// Lets the process write until the moment comes; answers with what it was told: writer and step to position.
fn write_and_kill(dir: &Path, url: Option<&str>, random: &mut Random) -> HashMap<(u64, u64), Position> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_killed", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .envs(url.map(|url| (URL, url)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acked = HashMap::new();
    let mut remember = |line: &str| {
        let mut words = line.split_whitespace().skip(1).map(|word| word.parse::<u64>().unwrap());
        if let (Some(writer), Some(step), Some(position)) = (words.next(), words.next(), words.next()) {
            acked.insert((writer, step), Position(position));
        }
    };
    // Sometimes while it opens, mostly after some commits.
    let commits = random.below(1200);
    let by_time = random.below(5) == 0;
    if by_time {
        std::thread::sleep(Duration::from_millis(random.below(400)));
    } else {
        lines
            .by_ref()
            .map_while(Result::ok)
            .filter(|line| line.starts_with("ack"))
            .take(commits as usize)
            .for_each(|line| remember(&line));
        std::thread::sleep(Duration::from_micros(random.below(5000)));
    }
    child.kill().unwrap();
    // Whole lines only: one that was cut by the kill was not told to anybody.
    let rest: Vec<_> = lines.map_while(Result::ok).filter(|line| line.starts_with("ack")).collect();
    rest.iter().for_each(|line| remember(line));
    child.wait().unwrap();
    acked
}

async fn check(store: &Store, acked: &HashMap<(u64, u64), Position>, steps_checked: u64) {
    let mut at = HashMap::new();
    let mut from = 0;
    loop {
        let page = store.scan(&STREAM, STREAM.all().after(&STREAM, from)).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        from = *last;
        at.extend(page.into_iter().map(|(position, who)| (who, Position(position))));
    }
    assert!(from <= store.committed().0, "no row is past the last position");
    for (who, position) in acked {
        assert_eq!(at.get(who), Some(position), "acknowledged batch {who:?} is where it was said to be");
    }
    let mut steps = 0;
    for writer in 0..WRITERS {
        let reached = store.get(&REACHED, writer).await.unwrap().unwrap_or(0);
        for step in (1..=reached).rev().take(steps_checked as usize) {
            check_whole(store, writer, step, step + 20 > reached).await;
        }
        steps += reached;
        let beyond = PARTS.prefix((writer,)).after(&PARTS, (writer, reached, u64::MAX));
        assert_eq!(store.scan(&PARTS, beyond).await.unwrap(), [], "writer {writer}: nothing of a batch that is absent");
    }
    assert_eq!(at.len() as u64, steps, "one position for every batch");
}

async fn check_whole(store: &Store, writer: u64, step: u64, recent: bool) {
    let (parts, bytes) = shape(writer, step);
    let rows = store.scan(&PARTS, PARTS.prefix((writer, step))).await.unwrap();
    assert_eq!(rows.len() as u64, parts, "batch {writer}:{step} is whole");
    assert!(rows.iter().all(|(_, value)| *value == vec![step as u8; bytes]), "batch {writer}:{step} is as written");
    for part in 0..parts {
        let spread = store.get(&SPREAD, (part, step, writer)).await.unwrap();
        assert_eq!(spread, recent.then_some(step), "batch {writer}:{step} is whole in its other table");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn kill_times(times: u32, url: Option<&str>) {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(RandomState::new().hash_one(times));
    let (mut acked, seed) = (HashMap::new(), random.0);
    let runtime = runtime();
    for round in 1..=times {
        let told = write_and_kill(dir.path(), url, &mut random);
        let line = format!("kill {round} of {times} (seed {seed}): {} batches were acknowledged\n", told.len());
        std::io::stderr().lock().write_all(line.as_bytes()).unwrap();
        acked.extend(told);
        runtime.block_on(async {
            let store = open(dir.path(), url.map(str::to_owned)).await;
            check(&store, &acked, if round == times { u64::MAX } else { RECENT }).await;
            store.close().await;
        });
    }
    assert!(!acked.is_empty(), "the process wrote");
}

#[test]
fn nothing_acknowledged_is_lost_in_10_kills() {
    kill_times(10, None);
}

#[test]
#[ignore = "the long form, some minutes: for CI and before releases"]
fn nothing_acknowledged_is_lost_in_100_kills() {
    kill_times(100, None);
}

#[test]
fn nothing_acknowledged_is_lost_in_postgres() {
    let runtime = runtime();
    if let Some(url) = runtime.block_on(cluster::database()) {
        kill_times(5, Some(&url));
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
