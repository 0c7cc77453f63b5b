//! `lyceum backup` and `lyceum restore`.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::store::{self, Found};
use super::{order, say};
use crate::config;
use crate::operator::{Order, backup, socket};

pub(super) fn back_up(file: Option<&Path>, directory: &Path) -> anyhow::Result<()> {
    // The running server has a working directory of its own.
    let directory = std::path::absolute(directory)?;
    order::run(file, Order::Backup { directory })
}

pub(super) fn restore(file: Option<&Path>, directory: PathBuf) -> anyhow::Result<()> {
    let config = config::load(file)?.config;
    super::block_on(async move {
        let data_dir = &config.server.data_dir;
        if socket::find(data_dir).await?.is_some() {
            bail!("the server is running; stop it, and restore into an empty data directory");
        }
        let backup::Held { rows, files } = backup::restore_from(&directory, &config).await?;
        let place = data_dir.display();
        say::line(&format!("Restored {rows} rows, the signing key and {files} uploaded files into {place}."));
        if let Found::Mistake(text) = store::look(&config).await? {
            bail!("what was restored cannot be used like this: {text}");
        }
        if let Some(bucket) = config.media.bucket() {
            say::line(&format!("The server looks for uploaded files in the bucket {bucket}, which was left as it is."));
        }
        Ok(())
    })
}
