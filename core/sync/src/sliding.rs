//! Simplified sliding sync (MSC4186): the rooms a client looks at, and no others.
//!
//! A connection remembers, per room, up to where the client was told and with which wishes. It lives in memory only: a
//! client whose connection is gone is told so (`M_UNKNOWN_POS`) and begins anew. Each answer is a new state of the
//! connection beside the one it was made from, so that a client whose answer was lost asks again with its old `pos` and
//! misses nothing.

mod connection;
mod extensions;
mod lists;
pub mod message;
mod rooms;
pub mod threads;

use lyceum_storage::Position;
use ruma::UserId;
use std::{sync::atomic::AtomicBool, time::Duration};
use tokio::time::Instant;

use crate::{
    Result, Sync, SyncError,
    activity::Changes,
    filter::SyncFilter,
    request::{StateForm, SyncRequest, TIMEOUT_MAX, Wanted},
    token::SyncToken,
    v2::Turn,
};
pub(crate) use connection::Connections;
use connection::{Connection, Key};
use message::{SlidingRequest, SlidingResponse};

/// Commits looked through for what changed; with more, every room of the person counts as changed.
const COMMITS_LOOKED_AT_MAX: usize = 5_000;

/// Who asks, and where they stand.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The person.
    pub user: &'a UserId,
    /// Their device.
    pub device: Option<&'a str>,
    /// The answer they have; `None`: they begin.
    pub pos: Option<&'a str>,
    /// How long to wait if there is nothing new.
    pub timeout: Duration,
}

/// One answer in the making.
pub(crate) struct Look<'a> {
    pub(crate) turn: &'a Turn<'a>,
    pub(crate) request: &'a SlidingRequest,
    /// What the client was told before.
    pub(crate) before: &'a Connection,
}

impl Sync {
    /// Answers a sliding sync request, waiting for news as long as the client allows.
    pub async fn sliding(&self, asker: Asker<'_>, request: &SlidingRequest) -> Result<SlidingResponse> {
        let key = Key::new(asker.user, asker.device, request.conn_id.as_deref());
        let before = match asker.pos {
            None => self.connections().begin(&key),
            Some(pos) => self.connections().at(&key, pos).ok_or(SyncError::UnknownPos)?,
        };
        let deadline = Instant::now() + asker.timeout.min(TIMEOUT_MAX);
        let bell = self.wakes().of(asker.user.as_str());
        loop {
            // The bell is listened to before looking, so that what happens in between is not slept through.
            let rung = bell.rung();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let (response, after) = self.look(asker, request, &before).await?;
            let waits = asker.pos.is_some() && !response.has_news() && Instant::now() < deadline;
            if !waits {
                let pos = self.connections().advance(&key, after);
                return Ok(SlidingResponse { pos, txn_id: request.txn_id.clone(), ..response });
            }
            tokio::select! {
                () = &mut rung => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = self.closing() => {}
            }
        }
    }

    async fn look(
        &self,
        asker: Asker<'_>,
        request: &SlidingRequest,
        before: &Connection,
    ) -> Result<(SlidingResponse, Connection)> {
        let to = self.token();
        let since = before.token;
        let position = since.map_or(Position::default(), |since| since.position);
        let changes = match since {
            None => Changes::Anything,
            Some(_) => self.activity().between(position, to.position, COMMITS_LOOKED_AT_MAX),
        };
        let filter = SyncFilter::default();
        let as_sync = SyncRequest {
            user: asker.user,
            device: asker.device,
            since,
            filter: &filter,
            full_state: false,
            state_form: StateForm::After,
            timeout: Duration::ZERO,
        };
        let wanted = Wanted::of(&filter);
        let paused = AtomicBool::default();
        let turn = Turn { request: &as_sync, wanted: &wanted, since, to, changes: &changes, paused: &paused };
        let look = Look { turn: &turn, request, before };

        let mut after = before.at(to);
        let (lists, watched) = self.lists(&look, &mut after).await?;
        let rooms = self.watched_rooms(&look, &watched, &mut after).await?;
        let extensions = self.extensions(&look, &watched, rooms.keys()).await?;
        let lists_changed = after.counts_differ(before, &lists);
        Ok((SlidingResponse { lists, rooms, extensions, lists_changed, ..SlidingResponse::default() }, after))
    }
}

/// Where the stream stood when a connection was last answered.
pub(crate) fn position_of(token: Option<SyncToken>) -> Position {
    token.map_or(Position::default(), |token| token.position)
}
