//! `lyceum check-config`: everything that is wrong, each with its place and what to change. Changes nothing.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::bail;

use super::say;
use super::store::{self, Found};
use crate::config::{self, Finding};
use crate::listen::tls;

pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load(file)?;
    let config = &loaded.config;
    let mut found = config.check_surroundings();
    for (index, listener) in config.listeners.iter().enumerate() {
        let path = format!("listeners.{index}");
        if let Err(text) = free(listener.address) {
            found.push(Finding::new(&format!("{path}.address"), text));
        }
        let named =
            |finding: &Finding| finding.path.starts_with(&["listeners".into(), index.to_string(), "tls".into()]);
        if let (Some(files), false) = (&listener.tls, found.iter().any(named))
            && let Err(error) = tls::read(files)
        {
            found.push(Finding::new(&format!("{path}.tls"), format!("{error:#}")));
        }
    }
    if let Some(Err(text)) = config.metrics.address.map(free) {
        found.push(Finding::new("metrics.address", text));
    }
    // That the database is out of reach, or the files are damaged, is nothing that the configuration can help.
    if let Ok(Found::Mistake(text)) = super::block_on(async { Ok(store::look(config).await?) }) {
        found.push(Finding::new("server.name", text));
    }
    if !found.is_empty() {
        bail!("{}", loaded.describe(found));
    }
    match &loaded.file {
        Some(file) => say::line(&format!("{} is in order.", file.display())),
        None => say::line("There is no configuration; the built-in trial configuration is in order."),
    }
    Ok(())
}

fn free(address: SocketAddr) -> Result<(), String> {
    TcpListener::bind(address).map(drop).map_err(|error| format!("{address}: {}", config::in_words(&error)))
}
