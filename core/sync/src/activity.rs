//! What changed lately, kept in memory: so that an answer costs what changed and not how much there is.
//!
//! Fed by the store before a commit becomes visible, so it is never behind [`Store::committed`]. It remembers a bounded
//! number of commits; who asks about an older time is told that everything may have changed.

use lyceum_storage::{Commit, Position, Store, Subject};
use parking_lot::RwLock;
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

/// How many commits are remembered. About 200 bytes each.
const COMMITS_REMEMBERED: usize = 20_000;

/// The recent commits. Cheap to clone.
#[derive(Clone)]
pub struct Activity {
    recent: Arc<RwLock<Recent>>,
}

struct Recent {
    /// Commits after this position are remembered.
    floor: Position,
    commits: VecDeque<Commit>,
}

/// What changed since a position, as far as it is remembered.
#[derive(Debug, PartialEq, Eq)]
pub enum Changes {
    /// Exactly these subjects.
    Subjects(HashSet<Subject>),
    /// It was too long ago, or too much: anything may have changed.
    Anything,
}

impl Changes {
    /// Whether a subject may have changed.
    pub fn may_include(&self, subject: &Subject) -> bool {
        match self {
            Self::Subjects(subjects) => subjects.contains(subject),
            Self::Anything => true,
        }
    }
}

impl Activity {
    /// Begins to remember the commits of a store.
    pub fn of(store: &Store) -> Self {
        let recent = Arc::new(RwLock::new(Recent { floor: store.committed(), commits: VecDeque::new() }));
        let activity = Self { recent: recent.clone() };
        store.observe(move |commit| recent.write().remember(commit.clone()));
        activity
    }

    /// What changed in `(since, to]`, given up when it takes looking at more than `commits_max` commits.
    pub fn between(&self, since: Position, to: Position, commits_max: usize) -> Changes {
        let recent = self.recent.read();
        if since < recent.floor {
            return Changes::Anything;
        }
        let start = recent.commits.partition_point(|commit| commit.last <= since);
        let end = recent.commits.partition_point(|commit| commit.first <= to);
        if end.saturating_sub(start) > commits_max {
            return Changes::Anything;
        }
        let commits = recent.commits.range(start..end.max(start));
        Changes::Subjects(commits.flat_map(|commit| commit.subjects.iter().cloned()).collect())
    }
}

impl Recent {
    fn remember(&mut self, commit: Commit) {
        if commit.subjects.is_empty() {
            return;
        }
        if self.commits.len() == COMMITS_REMEMBERED
            && let Some(oldest) = self.commits.pop_front()
        {
            self.floor = oldest.last;
        }
        self.commits.push_back(commit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lyceum_storage::{Batch, Table};

    const ROWS: Table<u64, u64> = Table::new("t.activity", "tests");

    async fn touch(store: &Store, subject: Subject) -> Position {
        let mut batch = Batch::new();
        batch.put(&ROWS, 1, &1).touch(subject);
        store.commit(batch).await.unwrap()
    }

    #[tokio::test]
    async fn it_tells_what_changed_in_between() {
        let store = Store::memory().await.unwrap();
        let activity = Activity::of(&store);
        let first = touch(&store, Subject::room("!a")).await;
        let second = touch(&store, Subject::room("!b")).await;
        let third = touch(&store, Subject::user("@c")).await;

        let only = |subject| Changes::Subjects(HashSet::from([subject]));
        assert_eq!(activity.between(first, second, 10), only(Subject::room("!b")));
        assert_eq!(activity.between(second, third, 10), only(Subject::user("@c")));
        assert_eq!(activity.between(third, third, 10), Changes::Subjects(HashSet::new()));
        assert_eq!(activity.between(Position(0), third, 2), Changes::Anything, "three commits are more than two");
    }
}
