//! The server as the network sees it: its name, what clients are told, what other servers find.

use std::time::Duration;

use http::Method;
use lyceum_outbound::{Outbound, OutboundError, Request};
use rand::Rng;
use ruma::ServerName;
use serde_json::Value;
use tokio::net::lookup_host;

use super::Finding;
use crate::chance;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(15);

/// Where other servers look when nothing tells them otherwise (server-server API, "Resolving server names").
const FEDERATION_PORT: u16 = 8448;

pub(super) async fn name(name: &ServerName) -> Finding {
    match lookup_host((name.host(), name.port().unwrap_or(443))).await {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            Finding::Well(format!("{} is {}", name.host(), addresses.join(", ")))
        }
        Err(_) => Finding::Wrong(format!(
            "{} has no address: clients and servers ask https://{name}/.well-known/matrix/ first; make a DNS record for it",
            name.host()
        )),
    }
}

/// Whether media can be kept. What is put into the bucket for that is taken out again.
pub(super) async fn bucket(config: &Config, bucket: &str, outbound: &Outbound) -> Finding {
    let seed = chance::generator().random();
    match lyceum_media::check_bucket(&config.media.s3, &config.server.name, outbound, seed).await {
        Ok(()) => Finding::Well(format!("the bucket {bucket} can be written and read")),
        Err(error) => Finding::Wrong(error.to_string()),
    }
}

/// What a client finds that is only told the server's name.
pub(super) async fn clients(config: &Config, outbound: &Outbound) -> Finding {
    let url = format!("https://{}/.well-known/matrix/client", config.server.name);
    let base = match json(outbound, &url).await {
        Ok(document) => match document["m.homeserver"]["base_url"].as_str() {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None => return Finding::Wrong(format!("{url} does not name m.homeserver's base_url")),
        },
        Err(why) => {
            return Finding::Wrong(format!(
                "{url}: {why}. It should tell clients where the server is: set well_known.client_base_url and let the \
                 web server of {} pass /.well-known/matrix/ on",
                config.server.name
            ));
        }
    };
    let versions = format!("{base}/_matrix/client/versions");
    match json(outbound, &versions).await {
        Ok(answer) if answer["versions"].is_array() => Finding::Well(format!("find the server at {base}")),
        Ok(_) => Finding::Wrong(format!("{versions} answers, and not as a Matrix server does")),
        Err(why) => Finding::Wrong(format!("{versions}: {why}; clients are sent there by {url}")),
    }
}

/// What other servers find.
pub(super) async fn servers(config: &Config, outbound: &Outbound) -> Finding {
    let name = &config.server.name;
    let told = json(outbound, &format!("https://{name}/.well-known/matrix/server")).await;
    let place = match told.as_ref().ok().and_then(|document| document["m.server"].as_str()) {
        Some(place) if place.contains(':') => place.to_owned(),
        Some(place) => format!("{place}:{FEDERATION_PORT}"),
        None if name.port().is_some() => name.to_string(),
        None => format!("{name}:{FEDERATION_PORT}"),
    };
    let keys = format!("https://{place}/_matrix/key/v2/server");
    match json(outbound, &keys).await {
        Ok(document) if document["server_name"] == name.as_str() => {
            Finding::Well(format!("find the server at {place}, with a certificate they trust"))
        }
        Ok(document) => Finding::Wrong(format!(
            "{keys} answers for {} instead of {name}",
            document["server_name"].as_str().unwrap_or("no server")
        )),
        Err(why) => Finding::Wrong(format!(
            "{keys}: {why}. Open port {FEDERATION_PORT} with a certificate for {name}, or set well_known.server (for \
             example \"matrix.campus.example:443\")"
        )),
    }
}

/// A JSON document, or why there is none, in words.
async fn json(outbound: &Outbound, url: &str) -> Result<Value, String> {
    let fetch = async {
        let request = Request::new(Method::GET, url)?.configured().timeout(PATIENCE);
        let response = outbound.send(request).await?;
        let status = response.status();
        match status.is_success() {
            true => response.json::<Value>().await.map(Ok),
            false => Ok(Err(format!("the answer is {status}"))),
        }
    };
    fetch.await.map_err(|error: OutboundError| error.to_string())?
}
