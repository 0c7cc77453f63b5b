//! Figures of the store over files: commits by one writer and by many, warm reads, opening a large store.
//!
//! `cargo bench -p lyceum-storage` runs all of them in a temporary directory; `LYCEUM_BENCH_DIR` names another place and
//! `LYCEUM_BENCH_EVENTS` another size for the large store. With `LYCEUM_BENCH_URL` the commits and reads are measured on that
//! (empty) PostgreSQL database instead. docs/benchmarks.md keeps the figures.
#![expect(clippy::print_stdout, reason = "a benchmark is read on the terminal")]

use lyceum_storage::{Batch, EngineKind, Position, StorageConfig, Store, Subject, Table};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const TIMELINE: Table<(String, i64), (String, String)> = Table::new("b.timeline", "room and order -> event id, JSON");
const EVENTS: Table<String, (String, i64)> = Table::new("b.events", "event id -> room and order");
const TRANSACTIONS: Table<(String, String), String> = Table::new("b.txn", "user and transaction -> event id");
const HEADS: Table<String, (u64, String)> = Table::new("b.heads", "room -> version and newest event");

const ROOMS: u64 = 100;
/// One writer and many take turns, so that what else the machine does meanwhile meets both.
const ROUNDS: u64 = 5;
const MEASURED: Duration = Duration::from_secs(2);

fn main() {
    // The heap as the server has it.
    lyceum_heap::settle();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let dir = std::env::var_os("LYCEUM_BENCH_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    let dir = dir.expect("a directory");
    runtime.block_on(async {
        if let Ok(url) = std::env::var("LYCEUM_BENCH_URL") {
            let config = StorageConfig { engine: EngineKind::Postgres, url: Some(url), ..StorageConfig::default() };
            return commits(Store::open(&config, dir.path()).await.expect("a database")).await;
        }
        let store = open(dir.path(), "commits").await;
        println!("empty store open: memory {} MiB", memory_mib());
        commits(store).await;
        overwrite(dir.path()).await;
        large(dir.path()).await;
    });
}

async fn open(dir: &Path, name: &str) -> Store {
    Store::open(&StorageConfig::default(), &dir.join(name)).await.expect("a store")
}

/// What sending a message writes: the event in its place, where it is, its transaction, the room's head.
fn send(n: u64) -> Batch {
    let (room, id) = (format!("!room{}:campus.example", n % ROOMS), event_id(n));
    let json = format!("{{\"content\":{{\"body\":\"{}\"}},\"n\":{n}}}", "words ".repeat(100));
    let user = format!("@user{}:campus.example", n % 2000);
    let mut batch = Batch::new();
    batch.add(&TRANSACTIONS, (&user, &format!("DEVICE/m{n}")), &id);
    batch.put(&HEADS, &room, &(n, id.clone()));
    batch.touch(Subject::room(&room));
    batch.at_position(move |first, writes| {
        let order = first.0.cast_signed();
        writes.add(&TIMELINE, (&room, order), &(id.clone(), json));
        writes.add(&EVENTS, &id, &(room, order));
    });
    batch
}

/// The smallest commit: one row, as a setting or a receipt writes it.
fn note(n: u64) -> Batch {
    let user = format!("@user{}:campus.example", n % 2000);
    let mut batch = Batch::new();
    batch.put(&HEADS, &user, &(n, event_id(n)));
    batch.touch(Subject::user(&user));
    batch
}

/// Spread like the hashes that real event ids are.
fn event_id(n: u64) -> String {
    format!("${:016x}{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15), n.wrapping_mul(0xD1B5_4A32_D192_ED03))
}

async fn commits(store: Store) {
    one_and_many(&store, "one row", note).await;
    one_and_many(&store, "a message", send).await;

    let ids: Vec<_> = (0..1000).map(event_id).collect();
    let rounds = 200;
    let start = Instant::now();
    for _ in 0..rounds {
        for id in &ids {
            store.get(&EVENTS, id).await.expect("a read");
        }
    }
    println!("warm point read: {:.2} µs", micros(start.elapsed()) / f64::from(rounds) / 1000.0);
    let start = Instant::now();
    for _ in 0..rounds {
        let page = TIMELINE.prefix(("!room7:campus.example",)).reversed().limit(20);
        store.scan(&TIMELINE, page).await.expect("a page");
    }
    println!("warm page of 20 rows: {:.1} µs", micros(start.elapsed()) / f64::from(rounds));
    store.close().await;
}

async fn one_and_many(store: &Store, what: &str, batch: fn(u64) -> Batch) {
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let one = rate(store, 1, (2 * round) << 32, batch).await;
        let many = rate(store, 64, (2 * round + 1) << 32, batch).await;
        println!("commits of {what} per second: 1 writer {one:.0}, 64 writers {many:.0}, ratio {:.1}", many / one);
        ratios.push(many / one);
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio for {what}, median: {:.1}", ratios[ratios.len() / 2]);
}

/// Commits per second of so many writers, who send what is numbered from `first` on.
async fn rate(store: &Store, writers: u64, first: u64, batch: fn(u64) -> Batch) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = 0_u64;
                while start.elapsed() < MEASURED {
                    store.commit(batch(first + done * writers + writer)).await.expect("a commit");
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut total = 0;
    for task in tasks {
        total += task.await.expect("a writer");
    }
    count(total) / start.elapsed().as_secs_f64()
}

/// The same rows written again and again, scattered over a store that also holds rows that never change: what the files
/// grow to although the store does not.
async fn overwrite(dir: &Path) {
    let store = open(dir, "overwrite").await;
    for base in (0..40_000_u64).step_by(1000) {
        let mut batch = Batch::new();
        for n in base..base + 1000 {
            batch.put(&EVENTS, &event_id(n), &("still ".repeat(50), 0));
        }
        store.commit(batch).await.expect("a commit");
    }
    println!("40000 rows of 300 bytes: disk {} MiB", disk_mib(&dir.join("overwrite")));
    for round in 1..=5_u64 {
        for base in (0..80_000_u64).step_by(100) {
            let mut batch = Batch::new();
            for n in base..base + 100 {
                batch.put(&EVENTS, &event_id(n % 4000 * 10), &("moved ".repeat(50), round.cast_signed()));
            }
            store.commit(batch).await.expect("a commit");
        }
        println!("  {} overwritten: disk {} MiB", round * 80_000, disk_mib(&dir.join("overwrite")));
    }
    store.close().await;
}

async fn large(dir: &Path) {
    let events = std::env::var("LYCEUM_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let store = open(dir, "large").await;
    let start = Instant::now();
    let mut pending = std::collections::VecDeque::new();
    for n in 0..events {
        pending.push_back(store.enqueue(send(n)));
        if pending.len() > 512 {
            pending.pop_front().expect("one").await.expect("a commit");
        }
    }
    for one in pending {
        one.await.expect("a commit");
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{events} events written: {seconds:.1} s, {:.0} per second", count(events) / seconds);
    println!("  memory {} MiB, disk {} MiB", memory_mib(), disk_mib(&dir.join("large")));
    let start = Instant::now();
    store.close().await;
    println!("  closed in {:.2} s", start.elapsed().as_secs_f64());
    for opening in ["first opening", "second opening"] {
        let start = Instant::now();
        let store = open(dir, "large").await;
        let took = start.elapsed().as_secs_f64();
        assert!(store.committed() >= Position(events), "all events are there");
        println!("  {opening}: {took:.2} s, memory {} MiB, disk {} MiB", memory_mib(), disk_mib(&dir.join("large")));
        let start = Instant::now();
        for n in 0..2000 {
            store.get(&EVENTS, &event_id(n * 487 % events)).await.expect("a read").expect("an event");
        }
        println!("  cold point read: {:.1} µs", micros(start.elapsed()) / 2000.0);
        let start = Instant::now();
        store.close().await;
        println!("  closed in {:.2} s, memory {} MiB", start.elapsed().as_secs_f64(), memory_mib());
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn count(n: u64) -> f64 {
    n as f64
}

/// Resident memory of this process, where the system tells.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn disk_mib(dir: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let data = entry.metadata().expect("a file");
        bytes += if data.is_dir() { disk_mib(&entry.path()) << 20 } else { data.len() };
    }
    bytes >> 20
}
