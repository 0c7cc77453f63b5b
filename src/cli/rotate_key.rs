//! `lyceum federation rotate-key`: another signing key from the next start on.

use std::path::Path;

use anyhow::Context;

use super::say;
use crate::config;
use crate::signing_key;

pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let config = config::load(file)?.config;
    let (dir, name) = (&config.server.data_dir, config.server.name.clone());
    let kept = signing_key::rotate(dir, name).context("the signing key was not changed")?;
    say::line(&format!(
        "A new signing key is in place; the one before is kept as {}.\n\
         Restart the server: it then signs with the new key, and tells other servers until when the old one counted.",
        kept.display()
    ));
    Ok(())
}
