//! The log of commits: which positions touched what, kept for followers that come back after a restart.

use serde::{Deserialize, Serialize};

use crate::{Batch, Commit, CommitError, Engine, Position, StorageError, Store, Subject, Table, follower::FOLLOWERS};

/// The commits of one group, under the last position of the group.
pub(crate) const COMMITS: Table<u64, Vec<LoggedCommit>> = Table::new(
    "_commits",
    "Written with every group that touches a subject, read by followers. Pruned behind the slowest follower, and never \
     longer than LOG_POSITIONS_MAX.",
);

/// The last position that the log no longer tells about.
pub(crate) const LOG_FLOOR: Table<(), u64> =
    Table::new("_log_floor", "Written when the log is pruned, read by followers. One row.");

/// Positions the log keeps although every follower has seen them.
pub(crate) const LOG_POSITIONS_KEPT: u64 = 100_000;

/// Positions the log keeps for a follower that does not move.
pub(crate) const LOG_POSITIONS_MAX: u64 = 2_000_000;

/// After how many positions the log is pruned again.
pub(crate) const LOG_PRUNE_EVERY: u64 = 10_000;

/// Log rows (each a group of commits) removed in one batch.
const PRUNE_ROWS: usize = 1000;

/// Log rows read at once to catch up with other nodes.
const CATCH_UP_ROWS: usize = 500;

/// One commit as the log keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoggedCommit {
    pub(crate) first: Position,
    pub(crate) last: Position,
    pub(crate) subjects: Vec<Subject>,
}

impl From<LoggedCommit> for Commit {
    fn from(logged: LoggedCommit) -> Self {
        Self { first: logged.first, last: logged.last, subjects: logged.subjects.into() }
    }
}

/// The commits after `after` up to `through` that touched something, all of them.
pub(crate) async fn between(
    engine: &dyn Engine,
    after: Position,
    through: Position,
) -> Result<Vec<Commit>, StorageError> {
    let floor = engine.get(&[LOG_FLOOR.encode_key(&())]).await?.pop().flatten();
    if floor.map(|bytes| LOG_FLOOR.decode_value(&bytes)).transpose()?.is_some_and(|floor| floor > after.0) {
        return Err(StorageError::engine("this node was cut off for so long that it must be started again"));
    }
    let mut commits = Vec::new();
    let mut from = after.0;
    loop {
        let range = COMMITS.all().after(&COMMITS, from).through(&COMMITS, through.0).limit(CATCH_UP_ROWS).range;
        let rows = engine.scan(range).await?;
        for (key, value) in &rows {
            let (last, logged) = COMMITS.decode_row(key, value)?;
            from = last;
            commits.extend(logged.into_iter().filter(|commit| commit.first > after).map(Commit::from));
        }
        if rows.len() < CATCH_UP_ROWS {
            return Ok(commits);
        }
    }
}

/// What happened after a position.
#[derive(Debug, Clone)]
pub struct CommitPage {
    /// The commits that touched something, oldest first.
    pub commits: Vec<Commit>,
    /// Everything up to here has been told.
    pub through: Position,
    /// The log no longer reaches back to the position asked about: commits are missing before the first one told, and
    /// the reader must look at what it follows as a whole.
    pub missed: bool,
}

impl Store {
    /// The durable commits after `after` that touched a subject: those of at most `groups` groups.
    pub async fn commits_since(&self, after: Position, groups: usize) -> Result<CommitPage, StorageError> {
        let committed = self.committed();
        let mut page = CommitPage { commits: Vec::new(), through: after.max(committed), missed: false };
        if after >= committed {
            return Ok(page);
        }
        // Not only through `committed`: that moves commit by commit, and may stand within a group, whose row is under its end.
        let rows = self.scan(&COMMITS, COMMITS.all().after(&COMMITS, after.0).limit(groups)).await?;
        if rows.len() == groups {
            page.through = rows.last().map_or(committed, |(last, _)| committed.min(Position(*last)));
        }
        let commits = rows.into_iter().flat_map(|(_, commits)| commits);
        let told = commits.filter(|commit| commit.first > after && commit.last <= committed);
        page.commits = told.map(Commit::from).collect();
        // Looked at last: whatever is pruned meanwhile is noticed.
        page.missed = self.get(&LOG_FLOOR, ()).await?.is_some_and(|floor| floor > after.0);
        Ok(page)
    }

    /// Removes what nobody needs any more from the log of commits.
    pub(crate) async fn prune_log(&self) -> Result<(), CommitError> {
        self.prune_log_to(LOG_POSITIONS_KEPT, LOG_POSITIONS_MAX).await
    }

    pub(crate) async fn prune_log_to(&self, kept: u64, max: u64) -> Result<(), CommitError> {
        let committed = self.committed().0;
        let followers = self.scan(&FOLLOWERS, FOLLOWERS.all()).await?;
        let slowest = followers.into_iter().map(|(_, row)| row.cursor.0).min().unwrap_or(committed);
        let floor = slowest.min(committed.saturating_sub(kept)).max(committed.saturating_sub(max));
        loop {
            let rows = self.scan(&COMMITS, COMMITS.all().through(&COMMITS, floor).limit(PRUNE_ROWS)).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            let mut batch = Batch::new();
            batch.put(&LOG_FLOOR, (), last);
            for (key, _) in &rows {
                batch.delete(&COMMITS, *key);
            }
            self.commit(batch).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: Table<u64, u64> = Table::new("t.log", "tests");

    #[tokio::test]
    async fn who_reads_while_a_group_becomes_visible_misses_none_of_it() {
        let store = Store::memory().await.unwrap();
        let start = store.committed();
        let commits = (0..3).map(|row| {
            let mut batch = Batch::new();
            batch.put(&ROWS, row, &row).touch(Subject::room("!a"));
            store.commit(batch)
        });
        // Queued before the committer runs, and so one group.
        let positions = futures_util::future::try_join_all(commits).await.unwrap();
        assert_eq!(store.scan(&COMMITS, COMMITS.all().after(&COMMITS, start.0)).await.unwrap().len(), 1);

        let committed = store.committed();
        store.stand_at(positions[0]);
        let page = store.commits_since(start, 100).await.unwrap();
        assert_eq!((page.through, page.commits.len(), page.commits[0].first), (positions[0], 1, positions[0]));
        assert_eq!(store.commits_since(start, 1).await.unwrap().through, positions[0]);

        store.stand_at(committed);
        let rest = store.commits_since(page.through, 100).await.unwrap();
        let rest: Vec<_> = rest.commits.iter().map(|commit| commit.first).collect();
        assert_eq!(rest, positions[1..]);
    }
}
