//! `lyceum check-config`: everything that is wrong, each with its place and what to change. Changes nothing.

use std::path::Path;

use anyhow::bail;
use lyceum_events::{Clock, SystemClock};

use super::say;
use crate::config;
use crate::listen::{Listeners, tls};
use crate::operator::socket;

pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load(file)?;
    let config = &loaded.config;
    let mut found = config.check_surroundings();
    let runs = socket::answers(&config.server.data_dir);
    // A running server holds its addresses itself. All are held at once: two may be free only one at a time.
    if !runs && let Err(unbound) = Listeners::bind(config) {
        let is_new = |path: &[String]| !found.iter().any(|known| known.path.starts_with(path));
        let fresh: Vec<_> = unbound.into_iter().filter(|finding| is_new(&finding.path)).collect();
        found.extend(fresh);
    }
    if !found.is_empty() {
        bail!("{}", loaded.describe(found));
    }
    for files in config.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        for concern in tls::concerns(files, &config.hosts(), SystemClock::default().now()) {
            say::line(&format!("Warning: {concern}."));
        }
    }
    for name in &loaded.strangers {
        say::line(&format!("Warning: the environment variable {name} looks like a setting and is none."));
    }
    match &loaded.file {
        Some(file) => say::line(&format!("{} is in order.", file.display())),
        None => say::line("There is no configuration; the built-in trial configuration is in order."),
    }
    if runs {
        say::line("The server is running, so whether its addresses are free was not looked at.");
    }
    Ok(())
}
