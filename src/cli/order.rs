//! Gives an order to the running server, or carries it out here when none runs.

use std::path::Path;

use anyhow::Context;
use lyceum_events::ServerKey;
use lyceum_storage::Store;
use tokio::sync::mpsc;

use super::say;
use crate::config::{self, Config};
use crate::operator::{Order, Report, socket};
use crate::server::{Parts, Server};
use crate::signing_key;

/// Carries out `order` and prints what it says.
pub(super) fn run(file: Option<&Path>, order: Order) -> anyhow::Result<()> {
    let config = config::load(file)?.config;
    super::block_on(async move {
        match socket::find(&config.server.data_dir).await? {
            Some(way) => way.order(&order, say::line).await,
            None => here(&config, order).await,
        }
    })
}

async fn here(config: &Config, order: Order) -> anyhow::Result<()> {
    let dir = &config.server.data_dir;
    let is_there = Store::is_there(&config.storage, dir).await?;
    if !dir.exists() || !(is_there || order.may_come_first()) {
        anyhow::bail!(
            "no server runs here and there is no data in {}; start the server once, or name its configuration with \
             --config",
            dir.display()
        );
    }
    let name = config.server.name.clone();
    let key = if is_there { signing_key::load(dir, name)? } else { signing_key::load_or_make(dir, name)? };
    let store = Store::open(&config.storage, dir).await.context("no server runs here, and")?;
    let result = carried_out(config, &store, key, order).await;
    store.close().await;
    result
}

async fn carried_out(config: &Config, store: &Store, key: ServerKey, order: Order) -> anyhow::Result<()> {
    let server = Server::build(config, Parts::real(config, store.clone(), key)?).await?;
    let (lines, mut said) = mpsc::unbounded_channel();
    let report = Report::new(lines);
    let work = async move { server.operator().carry_out(order, &report).await };
    let print = async {
        while let Some(line) = said.recv().await {
            say::line(&line);
        }
    };
    tokio::join!(work, print).0
}
