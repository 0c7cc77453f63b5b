//! What only the engine over PostgreSQL can get wrong: connections that break.

use std::time::Duration;
use tokio_postgres::NoTls;

use super::Postgres;
use crate::{Batch, CommitError, Store, Subject, Table, conformance::cluster};

const STEPS: Table<(u64, u64), u64> = Table::new("t.steps", "tests");

async fn open(url: &str) -> Store {
    Store::over(std::sync::Arc::new(Postgres::open(url, 3).await.unwrap())).await.unwrap()
}

/// Breaks every connection to this database but its own, again and again.
async fn break_connections(url: String, times: u32) {
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..times {
        client.batch_execute(sql).await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

/// Commits steps until told to stop; answers with the acknowledged and the refused ones.
async fn write(store: Store, writer: u64, stop: tokio::sync::watch::Receiver<bool>) -> (Vec<u64>, Vec<u64>) {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for step in 0.. {
        if *stop.borrow() {
            break;
        }
        let mut batch = Batch::new();
        batch.put(&STEPS, (writer, step), &step).touch(Subject::other("step"));
        match store.commit(batch).await {
            Ok(_) => done.push(step),
            Err(CommitError::Storage(_)) => refused.push(step),
            Err(error) => panic!("{error}"),
        }
        assert!(store.get(&STEPS, (writer, step)).await.is_ok(), "reads go on over new connections");
    }
    (done, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_lose_and_invent_nothing() {
    let Some(url) = cluster::database().await else { return };
    let (one, two) = (open(&url).await, open(&url).await);
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = [&one, &one, &two, &two]
        .into_iter()
        .zip(0..)
        .map(|(store, writer)| tokio::spawn(write(store.clone(), writer, stopping.clone())))
        .collect();
    break_connections(url.clone(), 25).await;
    stop.send_replace(true);
    let mut written = 0;
    for (writer, task) in (0_u64..).zip(writers) {
        let (done, refused) = task.await.unwrap();
        written += done.len();
        let there = one.scan(&STEPS, STEPS.prefix((writer,)).limit(1_000_000)).await.unwrap();
        let there: Vec<u64> = there.into_iter().map(|((_, step), _)| step).collect();
        assert_eq!(there, done, "writer {writer}: what is there is what was acknowledged ({} refused)", refused.len());
    }
    assert!(written > 20, "{written} commits came through");

    // Both nodes still hear of each other.
    let watch = two.watch(&[Subject::room("!r")]);
    let mut batch = Batch::new();
    batch.put(&STEPS, (9, 9), &9).touch(Subject::room("!r"));
    let position = one.commit(batch).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.expect("the other node is told");
    assert!(two.committed() >= position);
}

#[tokio::test]
async fn a_database_out_of_reach_is_named() {
    let refused = Postgres::open("postgres://someone:secret@127.0.0.1:1/campus", 1).await.err().unwrap().to_string();
    assert!(refused.contains("campus") && refused.contains("127.0.0.1"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
    let refused = Postgres::open("mysql:what?", 1).await.err().unwrap().to_string();
    assert!(refused.contains("postgres://"), "{refused}");
}

#[tokio::test]
async fn what_accepts_and_says_nothing_is_not_waited_for_without_end() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://someone:secret@{}/campus", silent.local_addr().unwrap());
    let opening = Postgres::open_within(Duration::from_millis(50), &url, 1);
    let refused = opening.await.err().unwrap().to_string();
    assert!(refused.contains("campus") && refused.contains("accepts and says nothing"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn whether_the_table_is_there_is_known_without_making_it() {
    let Some(url) = cluster::database().await else { return };
    assert!(!Postgres::is_there(&url).await.unwrap() && !Postgres::is_there(&url).await.unwrap());
    let _store = open(&url).await;
    assert!(Postgres::is_there(&url).await.unwrap());
}
