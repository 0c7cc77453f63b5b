//! Hearing of other nodes' commits.

use futures_util::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_postgres::{AsyncMessage, Client};

use super::{
    CHANNEL,
    connect::{Address, explained},
};
use crate::{OpenError, StorageError};

/// The pause before connecting again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Listens until aborted. Resolves once it hears, so that no commit falls between this and the first read.
pub(super) async fn start(address: Address, others: Arc<Notify>) -> Result<JoinHandle<()>, OpenError> {
    let mut ear = Ear::open(&address, &others).await.map_err(|error| address.failed(&error))?;
    Ok(tokio::spawn(async move {
        loop {
            ear.lost().await;
            tracing::warn!("the connection that listens to PostgreSQL is lost; connecting again");
            ear = open_again(&address, &others).await;
            // Whatever was missed meanwhile is in the log of commits.
            others.notify_one();
        }
    }))
}

async fn open_again(address: &Address, others: &Arc<Notify>) -> Ear {
    loop {
        tokio::time::sleep(RECONNECT_PAUSE).await;
        match Ear::open(address, others).await {
            Ok(ear) => return ear,
            Err(error) => tracing::warn!(%error, "PostgreSQL cannot be reached"),
        }
    }
}

/// A connection that listens.
struct Ear {
    _client: Client,
    connection: JoinHandle<()>,
}

impl Ear {
    async fn open(address: &Address, others: &Arc<Notify>) -> Result<Self, StorageError> {
        let (client, mut connection) = address.connect().await.map_err(|error| explained(&error))?;
        let others = others.clone();
        let connection = tokio::spawn(async move {
            let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(_) = message {
                    others.notify_one();
                }
            }
        });
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await.map_err(|error| explained(&error))?;
        Ok(Self { _client: client, connection })
    }

    async fn lost(&mut self) {
        // However it ended, it has to be opened again.
        let _ = (&mut self.connection).await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
