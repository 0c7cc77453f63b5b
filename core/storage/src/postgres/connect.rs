//! Connections: from a URL, with time limits that notice a dead peer, and errors in words.

use std::{str::FromStr, sync::Arc, time::Duration};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket, error::SqlState, tls::NoTlsStream};

use crate::{OpenError, StorageError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// Where the database is.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    /// For people, without the password.
    place: Arc<str>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let mut config = understood(url).map_err(|why| OpenError::Config(format!("url: {why}").into()))?;
        config.application_name("lyceum").keepalives_idle(KEEPALIVE_IDLE);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let place = format!("database {:?} on {:?}", config.get_dbname().unwrap_or("(default)"), config.get_hosts());
        Ok(Self { config, place: place.into() })
    }

    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, NoTlsStream>), tokio_postgres::Error> {
        self.config.connect(NoTls).await
    }

    pub(super) fn failed(&self, error: &dyn std::fmt::Display) -> OpenError {
        OpenError::Engine { place: self.place.clone(), detail: error.to_string().into() }
    }
}

/// What a URL says.
fn understood(url: &str) -> Result<Config, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("not a PostgreSQL address; it starts with postgres://".to_owned());
    }
    Config::from_str(url).map_err(|error| format!("not a PostgreSQL address ({})", with_causes(&error)))
}

/// Why a URL is not a database's, in words.
pub(crate) fn wrong_url(url: &str) -> Option<String> {
    understood(url).err()
}

/// What the server said, not only that it said something.
pub(super) fn explained(error: &tokio_postgres::Error) -> StorageError {
    StorageError::Engine(with_causes(error).into())
}

fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether the connection, not the statement, is at fault: the same may succeed on a new one.
pub(super) fn is_broken(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else { return true };
    let passing = [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::TOO_MANY_CONNECTIONS,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
    ];
    passing.contains(&state) || state.code().starts_with("08")
}
