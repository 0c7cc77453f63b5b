//! When rooms are brought into step: after a change of the roster, of accounts, or of one of the rooms by hand, and when an
//! enrolment begins or ends.

use lyceum_institution::Institution;
use lyceum_storage::{Commit, Subject, Tail};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

use super::CampusRooms;

/// How often it is looked whether an enrolment has begun or ended: ends are kept to the minute.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The pause after a pass that failed.
const PAUSE: Duration = Duration::from_secs(5);
/// How a commit says that an account changed.
const ACCOUNTS: &str = "sessions/";

impl CampusRooms {
    /// Keeps the rooms in step for as long as the server runs.
    pub async fn run(self) {
        let mut tail = self.0.parts.store.tail();
        loop {
            match self.settle().await {
                Ok(settled) if settled != Default::default() => {
                    tracing::info!(
                        made = settled.made,
                        changed = settled.changed,
                        "the institution's rooms are in step"
                    );
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the institution's rooms could not be brought into step, trying again");
                    self.0.parts.clock.sleep(PAUSE).await;
                    continue;
                }
            }
            if !self.wait(&mut tail).await {
                return;
            }
        }
    }

    /// Waits until there may be something to do; `false` when the server ends.
    async fn wait(&self, tail: &mut Tail) -> bool {
        let mut look = self.0.parts.clock.sleep(LOOK_EVERY);
        loop {
            tokio::select! {
                () = &mut look => return true,
                () = self.0.parts.store.ended() => return false,
                commit = tail.recv() => match commit {
                    Ok(commit) if !self.concerns(&commit).await => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => return false,
                },
            }
        }
    }

    async fn concerns(&self, commit: &Commit) -> bool {
        for subject in commit.subjects.iter() {
            let concerns = match subject {
                Subject::Other(name) => *subject == Institution::subject() || name.starts_with(ACCOUNTS),
                Subject::Room(room) => self.was_changed(room).await,
                Subject::User(_) | Subject::Own(..) => false,
            };
            if concerns {
                return true;
            }
        }
        false
    }

    /// Whether one of our rooms has another state than it was left with.
    async fn was_changed(&self, room: &str) -> bool {
        let Ok(room) = <&ruma::RoomId>::try_from(room) else { return false };
        let Some(left_with) = self.0.left_with.lock().get(room).copied() else { return false };
        self.0.parts.rooms.snapshot(room).await.is_ok_and(|snapshot| snapshot.group() != left_with)
    }
}
