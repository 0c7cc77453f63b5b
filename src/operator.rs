//! What the operator can order from this machine: the commands that need the store.
//!
//! The embedded store belongs to one process, so while the server runs a command is handed to it through a socket in the
//! data directory; otherwise the command opens the store itself. Both ways end in [`Operator::carry_out`].

pub(crate) mod backup;
pub(crate) mod socket;

pub(crate) mod cases;
mod check;
mod federation;
pub(crate) mod institution;
mod restraints;
mod sample;
mod search;
mod table;
pub(crate) mod tokens;
mod users;

use std::path::PathBuf;

use lyceum_accounts::Accounts;
use lyceum_institution::Institution;
use lyceum_peers::Peers;
use lyceum_peers::sender::Sender;
use lyceum_rooms::Rooms;
use lyceum_search::Search;
use lyceum_storage::Store;
use lyceum_workers::moderation::Moderation;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

/// One order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Make an account.
    UserCreate { name: String, password: Option<String>, admin: bool },
    /// Give an account a password.
    UserPassword { name: String, password: Option<String> },
    /// Make an account an administrator, or no longer one.
    UserSetAdmin { name: String, admin: bool },
    /// Close an account and take it out of its rooms.
    UserDeactivate { name: String, erase: bool },
    /// List the accounts.
    UserList,
    /// Say how it stands with other servers.
    FederationStatus,
    /// Try a server again now.
    FederationRetry { server: String },
    /// Make the search index anew.
    SearchRebuild,
    /// Look through everything that is stored.
    Check,
    /// Something about the institution.
    Institution(institution::InstitutionOrder),
    /// Something about cases.
    Case(cases::CaseOrder),
    /// Something about the tokens of programs.
    Token(tokens::TokenOrder),
    /// Make a backup in this directory.
    Backup { directory: PathBuf },
}

impl Order {
    /// Whether it makes sense before there is any data. All others are about something that is stored already: where nothing
    /// is, they make nothing either.
    pub(crate) fn may_come_first(&self) -> bool {
        match self {
            Self::UserCreate { .. } => true,
            Self::Institution(order) => order.may_come_first(),
            Self::Token(order) => matches!(order, tokens::TokenOrder::Make { .. }),
            Self::UserPassword { .. }
            | Self::UserSetAdmin { .. }
            | Self::UserDeactivate { .. }
            | Self::UserList
            | Self::FederationStatus
            | Self::FederationRetry { .. }
            | Self::SearchRebuild
            | Self::Check
            | Self::Case(_)
            | Self::Backup { .. } => false,
        }
    }
}

/// Carries out orders. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) rooms: Rooms,
    pub(crate) search: Search,
    pub(crate) institution: Institution,
    /// Only where campus rules are in force.
    pub(crate) moderation: Option<Moderation>,
    pub(crate) peers: Peers,
    /// Only while the server runs and federates.
    pub(crate) sender: Option<Sender>,
    pub(crate) data_dir: PathBuf,
    /// The bucket that media are kept in, if they are not in the data directory.
    pub(crate) bucket: Option<String>,
}

/// Takes what an order has to say, line by line.
pub(crate) struct Report(UnboundedSender<String>);

impl Report {
    pub(crate) fn new(lines: UnboundedSender<String>) -> Self {
        Self(lines)
    }

    /// Says one line. Nobody listening is no failure: the order is carried out all the same.
    pub(crate) fn say(&self, line: impl Into<String>) {
        let _ = self.0.send(line.into());
    }
}

impl Operator {
    /// Does what is ordered and says how it went.
    pub(crate) async fn carry_out(&self, order: Order, report: &Report) -> anyhow::Result<()> {
        match order {
            Order::UserCreate { name, password, admin } => self.create(&name, password, admin, report).await,
            Order::UserPassword { name, password } => self.set_password(&name, password, report).await,
            Order::UserSetAdmin { name, admin } => self.set_admin(&name, admin, report).await,
            Order::UserDeactivate { name, erase } => self.deactivate(&name, erase, report).await,
            Order::Backup { directory } => self.back_up(&directory, report).await,
            Order::FederationStatus => self.federation_status(report),
            Order::FederationRetry { server } => self.federation_retry(&server, report),
            Order::SearchRebuild => self.rebuild_search(report).await,
            Order::Institution(order) => self.institution(order, report).await,
            Order::Case(order) => self.cases(order, report).await,
            Order::Token(order) => self.tokens(order, report).await,
            Order::Check => self.check(report).await,
            Order::UserList => self.list(report).await,
        }
    }
}
