//! What every engine must do: one suite of stories, told over each of them.

use std::sync::Arc;

use crate::{Engine, Store, Table};

mod backups;
pub(crate) mod cluster;
mod commits;
mod faults;
mod followers;
mod places;
mod reads;
pub(crate) mod staged;

/// Somewhere that rows survive a closed store.
#[async_trait::async_trait]
pub(crate) trait Place: Send + Sync {
    /// Opens the engine over the rows that are there.
    async fn engine(&self) -> Arc<dyn Engine>;

    /// Whether two engines may have the rows open at once, as two nodes have.
    fn shared(&self) -> bool {
        false
    }

    /// A store over the rows that are there.
    async fn open(&self) -> Store {
        Store::over(self.engine().await).await.expect("a store over the engine")
    }
}

pub(crate) const NAMES: Table<(String, u64), String> = Table::new("t.names", "tests");
pub(crate) const COUNTS: Table<String, u64> = Table::new("t.counts", "tests");
pub(crate) const STREAM: Table<u64, String> = Table::new("t.stream", "tests");

macro_rules! stories {
    ($place:expr; $($family:ident: $($story:ident)*;)*) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            if let Some(place) = $place.await {
                super::$family::$story(&place).await;
            }
        }
    )*)*};
}

macro_rules! conformance {
    ($engine:ident, $place:expr) => {
        mod $engine {
            use super::places;
            stories! { $place;
                commits:
                    a_batch_is_whole_across_tables
                    batches_count_in_the_order_queued
                    positions_are_disjoint_and_only_grow
                    a_conflict_leaves_nothing
                    of_writers_in_one_group_one_wins
                    counting_by_expectation_loses_nothing
                    rows_know_the_position_they_get
                    a_batch_that_panics_harms_nobody_else
                    a_key_too_long_harms_nobody_else
                    callbacks_run_in_order_before_anybody_is_told
                    nobody_is_told_before_it_is_durable
                    a_closed_store_refuses
                    two_nodes_share_one_stream;
                reads:
                    rows_come_back_as_they_were
                    pages_are_as_an_ordered_map_has_them
                    a_page_is_of_one_moment;
                backups:
                    a_backup_is_of_one_moment
                    a_backup_restores_into_any_engine
                    a_damaged_backup_changes_nothing
                    everything_can_be_surveyed;
                faults:
                    a_failed_commit_closes_the_store
                    a_cache_that_panics_closes_the_store;
                followers:
                    the_log_tells_what_was_touched
                    a_follower_resumes_where_it_left_off
                    a_follower_fails_and_is_given_the_page_again
                    one_follower_of_two_moves_the_cursor
                    a_pruned_log_says_that_it_is;
            }
        }
    };
}

conformance!(memory, places::memory());
conformance!(sled, places::sled());
conformance!(postgres, places::postgres());
