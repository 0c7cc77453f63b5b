//! Where the sender learns what there is to tell: the stream's meaning, given by who knows rooms and people.

use async_trait::async_trait;
use lyceum_storage::Commit;
use ruma::{OwnedServerName, ServerName};
use std::sync::Arc;

use super::Edu;
use crate::PeerError;

/// Something to be told to some servers.
#[derive(Debug, Clone)]
pub struct Telling {
    /// To whom. This server itself and servers it does not speak with are passed over.
    pub servers: Arc<[OwnedServerName]>,
    /// What.
    pub what: What,
}

/// What is told, and how much it matters that it arrives.
#[derive(Debug, Clone)]
pub enum What {
    /// It must arrive, now or, in whatever form is then of use, later.
    Kept {
        /// Where it stands in the stream.
        position: u64,
        /// What it is about: a server that missed it will be asked about by this name ([`Source::missed`]).
        about: Arc<str>,
        /// What is sent.
        piece: Piece,
    },
    /// It is told only while it is news. Of several with one key only the last is told.
    Passing {
        /// Such as the room and person of a typing notice.
        key: String,
        /// What is sent.
        edu: Edu,
    },
}

/// One piece of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// An event, as its canonical JSON.
    Pdu(Arc<str>),
    /// An ephemeral unit.
    Edu(Arc<Edu>),
}

/// What a server missed of something.
#[derive(Debug, Clone, Default)]
pub struct Missed {
    /// The next pieces, with their positions, oldest first.
    pub pieces: Vec<(u64, Piece)>,
    /// There is more, from this position on.
    pub rest_from: Option<u64>,
}

/// Knows what commits mean to other servers.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What a commit says to other servers, in order.
    async fn tellings(&self, commit: &Commit) -> Result<Vec<Telling>, PeerError>;

    /// Waits for the next thing to tell that is in no commit: typing, presence.
    async fn passing(&self) -> Telling;

    /// What of something (named as in [`What::Kept`]) is still of use to a server that missed it from a position on: at
    /// most `pdus` events and `edus` other units.
    async fn missed(
        &self,
        server: &ServerName,
        about: &str,
        from: u64,
        pdus: usize,
        edus: usize,
    ) -> Result<Missed, PeerError>;
}
