//! `lyceum doctor`: looks at the machine and the network as clients and other servers will find them, and says in plain
//! words what is well and what is not. Changes nothing.

mod machine;
mod network;

use std::path::Path;

use anyhow::bail;
use lyceum_outbound::{Outbound, OutboundConfig};

use super::say;
use crate::config::{self, Loaded};

/// What was found about one thing.
pub(super) enum Finding {
    Well(String),
    /// Not wrong, and worth knowing.
    Note(String),
    /// Wrong: what is, and what to do.
    Wrong(String),
}

pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    // What is wrong in the file is said by this already, each mistake with its line.
    let loaded = config::load(file)?;
    super::block_on(examine(loaded))
}

async fn examine(loaded: Loaded) -> anyhow::Result<()> {
    let config = &loaded.config;
    let mut wrong = 0;
    let mut tell = |about: &str, finding: Finding| {
        let (mark, text) = match finding {
            Finding::Well(text) => ("well ", text),
            Finding::Note(text) => ("note ", text),
            Finding::Wrong(text) => {
                wrong += 1;
                ("WRONG", text)
            }
        };
        say::line(&format!("{mark}  {about:<15} {text}"));
    };

    tell("configuration", machine::configuration(&loaded));
    // What is wrong with its files was just told.
    let outbound =
        Outbound::new(&config.federation.outbound()).or_else(|_| Outbound::new(&OutboundConfig::default()))?;
    tell("data", machine::data(config));
    tell("disk", machine::disk(config));
    tell("store", machine::store(config).await);
    if let Some(bucket) = config.media.bucket() {
        tell("media", network::bucket(config, bucket, &outbound).await);
    }
    tell("clock", machine::clock().await);
    for listener in &config.listeners {
        let about = format!("port {}", listener.address.port());
        tell(&about, machine::port(listener.address, &config.server.data_dir).await);
        if let Some(tls) = &listener.tls {
            tell("certificate", machine::certificate(tls, config));
        }
    }
    if let Some(address) = config.metrics.address {
        tell("metrics", machine::port(address, &config.server.data_dir).await);
    }
    if config.server.name.as_str() == "localhost" {
        tell(
            "name",
            Finding::Note("\"localhost\" is for a trial: neither DNS nor other servers are looked at".to_owned()),
        );
    } else {
        tell("DNS", network::name(&config.server.name).await);
        tell("clients", network::clients(config, &outbound).await);
        if config.federation.enabled {
            tell("other servers", network::servers(config, &outbound).await);
        }
    }
    match wrong {
        0 => Ok(()),
        1 => bail!("one thing is wrong"),
        n => bail!("{n} things are wrong"),
    }
}
