//! Following: at least once, in order, over restarts.

use super::{COUNTS, Place, STREAM};
use crate::{Batch, CommitError, Follower, Position, Store, Subject};

async fn touch(store: &Store, room: &str) -> Position {
    let mut batch = Batch::new();
    batch.put(&COUNTS, room, &1).touch(Subject::room(room));
    store.commit(batch).await.unwrap()
}

async fn write_only(store: &Store) -> Position {
    let mut batch = Batch::new();
    batch.put(&COUNTS, "quiet", &1).positions(3);
    store.commit(batch).await.unwrap()
}

pub(super) async fn the_log_tells_what_was_touched(place: &impl Place) {
    let store = place.open().await;
    let start = store.committed();
    let first = touch(&store, "!a").await;
    write_only(&store).await;
    let mut batch = Batch::new();
    batch.put(&COUNTS, "x", &1).touch(Subject::room("!b")).touch(Subject::user("@u")).touch(Subject::room("!b"));
    batch.positions(4);
    let second = store.commit(batch).await.unwrap();
    store.close().await;

    let store = place.open().await;
    let page = store.commits_since(start, 100).await.unwrap();
    let told: Vec<_> =
        page.commits.iter().map(|commit| (commit.first, commit.last, commit.subjects.to_vec())).collect();
    let expected = [
        (first, first, vec![Subject::room("!a")]),
        (second, second.plus(3), vec![Subject::room("!b"), Subject::user("@u")]),
    ];
    assert_eq!(told, expected);
    assert_eq!((page.through, page.missed), (second.plus(3), false));
    assert_eq!(store.commits_since(first, 100).await.unwrap().commits.len(), 1);
    let page = store.commits_since(start, 1).await.unwrap();
    assert_eq!((page.commits.len(), page.through), (1, first), "a full page says how far it reaches");
    assert!(store.commits_since(page.through.plus(100), 1).await.unwrap().commits.is_empty());
}

pub(super) async fn a_follower_resumes_where_it_left_off(place: &impl Place) {
    let store = place.open().await;
    let first = touch(&store, "!a").await;
    let mut follower = Follower::new(&store, "mail").await.unwrap();
    let page = follower.next().await.unwrap();
    assert_eq!(page.commits[0].first, first);
    assert_eq!(follower.next().await.unwrap().commits.len(), 1, "a page not worked through comes again");
    let mut batch = Batch::new();
    batch.put(&STREAM, first.0, &"mailed".to_owned());
    follower.advance(&mut batch, page.through);
    store.commit(batch).await.unwrap();
    let second = touch(&store, "!b").await;
    store.close().await;

    let store = place.open().await;
    assert_eq!(store.get(&STREAM, first.0).await.unwrap().as_deref(), Some("mailed"));
    let mut follower = Follower::new(&store, "mail").await.unwrap();
    let page = follower.next().await.unwrap();
    assert_eq!(page.commits.iter().map(|commit| commit.first).collect::<Vec<_>>(), [second]);
    // Waits while there is nothing, and wakes for what comes.
    let mut batch = Batch::new();
    follower.advance(&mut batch, page.through);
    store.commit(batch).await.unwrap();
    let waiting = tokio::spawn(async move { follower.next().await.unwrap() });
    write_only(&store).await;
    let third = touch(&store, "!c").await;
    assert_eq!(waiting.await.unwrap().commits[0].first, third);
}

pub(super) async fn a_follower_fails_and_is_given_the_page_again(place: &impl Place) {
    let store = place.open().await;
    let position = touch(&store, "!a").await;
    let (told, mut tries) = (store.watch(&[Subject::other("told")]), 0);
    let follower = Follower::new(&store, "push").await.unwrap();
    let running = tokio::spawn(follower.run(async move |page| {
        tries += 1;
        if tries < 3 {
            return Err("not yet");
        }
        let mut batch = Batch::new();
        for commit in page.commits.iter().filter(|commit| commit.subjects.contains(&Subject::room("!a"))) {
            batch.put(&STREAM, commit.first.0, &format!("after {tries}")).touch(Subject::other("told"));
        }
        Ok(batch)
    }));
    told.changed().await;
    assert_eq!(store.get(&STREAM, position.0).await.unwrap().as_deref(), Some("after 3"));
    store.close().await;
    running.await.expect("a follower ends with its store");
}

pub(super) async fn one_follower_of_two_moves_the_cursor(place: &impl Place) {
    let store = place.open().await;
    touch(&store, "!a").await;
    let mut one = Follower::new(&store, "search").await.unwrap();
    let mut two = Follower::new(&store, "search").await.unwrap();
    let (page, same) = (one.next().await.unwrap(), two.next().await.unwrap());
    let step = |follower: &Follower, through| {
        let mut batch = Batch::new();
        follower.advance(&mut batch, through);
        store.commit(batch)
    };
    step(&one, page.through).await.unwrap();
    assert!(matches!(step(&two, same.through).await, Err(CommitError::Conflict("_followers"))));
    two.reload().await.unwrap();
    assert_eq!(two.cursor(), page.through);
}

pub(super) async fn a_pruned_log_says_that_it_is(place: &impl Place) {
    let store = place.open().await;
    let start = touch(&store, "!start").await;
    let slow = Follower::new(&store, "slow").await.unwrap();
    let mut batch = Batch::new();
    slow.advance(&mut batch, start);
    store.commit(batch).await.unwrap();
    let mut newest = start;
    for n in 0..30 {
        newest = touch(&store, &format!("!{n}")).await;
    }
    store.prune_log_to(5, 1000).await.unwrap();
    let page = store.commits_since(start, 100).await.unwrap();
    assert_eq!((page.commits.len(), page.missed), (30, false), "kept for the follower that is behind");

    // The pruning before took a position itself.
    assert_eq!(store.committed(), newest.plus(1));
    store.prune_log_to(5, 11).await.unwrap();
    let page = store.commits_since(start, 100).await.unwrap();
    assert_eq!((page.commits.len(), page.missed), (10, true), "no longer than allowed, and says so");
    assert_eq!(page.commits.last().unwrap().last, newest);
    let page = store.commits_since(page.commits[0].first, 100).await.unwrap();
    assert_eq!((page.commits.len(), page.missed), (9, false));
}
