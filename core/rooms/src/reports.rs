//! Reports: what people tell the moderators about events, rooms and people. Kept here as they came; who handles them
//! follows the stream.

use lyceum_storage::{Batch, Position, Subject};
use ruma::{EventId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{Result, RoomError, Rooms, tables::REPORTS};

/// The bytes of a reason.
const REASON_BYTES_MAX: usize = 10_000;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who reports.
    pub reporter: String,
    /// The room it is about.
    pub room_id: Option<String>,
    /// The event it is about.
    pub event_id: Option<String>,
    /// The person it is about.
    pub user_id: Option<String>,
    /// What they say.
    pub reason: String,
    /// When.
    pub at_ms: u64,
}

impl Rooms {
    /// Reports an event that the person may see.
    pub async fn report_event(&self, reporter: &UserId, room: &RoomId, event: &EventId, reason: &str) -> Result<()> {
        let (known, _) = self.event_for(reporter, room, event).await?;
        let about = known.event().sender().to_string();
        self.report(reporter, (Some(room), Some(event), Some(about)), reason).await
    }

    /// Reports a room.
    pub async fn report_room(&self, reporter: &UserId, room: &RoomId, reason: &str) -> Result<()> {
        self.snapshot(room).await?;
        self.report(reporter, (Some(room), None, None), reason).await
    }

    /// Reports a person.
    pub async fn report_user(&self, reporter: &UserId, user: &UserId, reason: &str) -> Result<()> {
        self.report(reporter, (None, None, Some(user.to_string())), reason).await
    }

    async fn report(
        &self,
        reporter: &UserId,
        (room, event, user): (Option<&RoomId>, Option<&EventId>, Option<String>),
        reason: &str,
    ) -> Result<()> {
        if reason.len() > REASON_BYTES_MAX {
            return Err(RoomError::InvalidParam(format!("a reason has at most {REASON_BYTES_MAX} bytes")));
        }
        let report = Report {
            reporter: reporter.to_string(),
            room_id: room.map(ToString::to_string),
            event_id: event.map(ToString::to_string),
            user_id: user,
            reason: reason.to_owned(),
            at_ms: self.0.clock.now().get().into(),
        };
        let mut batch = Batch::new();
        batch.at_position(move |position, writes| writes.put(&REPORTS, position.0, &report));
        batch.touch(Subject::other("reports"));
        self.store().commit(batch).await?;
        Ok(())
    }

    /// The report that was made at a position.
    pub async fn report_at(&self, at: Position) -> Result<Option<Report>> {
        Ok(self.store().get(&REPORTS, at.0).await?)
    }

    /// Removes a report.
    pub async fn remove_report(&self, at: Position) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(&REPORTS, at.0).touch(Subject::other("reports"));
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Reports after a position, the oldest first.
    pub async fn reports_since(&self, since: Position, limit: usize) -> Result<Vec<(Position, Report)>> {
        let scan = REPORTS.all().after(&REPORTS, since.0).limit(limit);
        let rows = self.store().scan(&REPORTS, scan).await?;
        Ok(rows.into_iter().map(|(at, report)| (Position(at), report)).collect())
    }
}
