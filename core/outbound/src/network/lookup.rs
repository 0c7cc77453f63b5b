//! The name lookup that every connection goes through, and where addresses are judged.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{net::SocketAddr, sync::Arc};

use crate::{OutboundError, guard::Guard, request::Via};

/// Looks names up and lets only permitted addresses through. With a `via`, every name leads there.
pub(super) struct Lookup {
    pub(super) guard: Option<Arc<Guard>>,
    pub(super) via: Option<Via>,
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, port) = match &self.via {
            Some(via) => (via.host.clone(), via.port),
            None => (name.as_str().to_owned(), 0),
        };
        let guard = self.guard.clone();
        Box::pin(async move {
            let found = addresses(&host, port, guard.as_deref()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The addresses of `host` that may be connected to; an error when there are none, or none that may.
async fn addresses(host: &str, port: u16, guard: Option<&Guard>) -> Result<Vec<SocketAddr>, OutboundError> {
    let unbracketed = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((unbracketed, port)).await;
    let found = found.map_err(|_| OutboundError::NoAddress(host.to_owned()))?;
    let mut refusal = OutboundError::NoAddress(host.to_owned());
    let mut permitted = Vec::new();
    for address in found {
        match guard.map_or(Ok(()), |guard| guard.check(address.ip())) {
            Ok(()) => permitted.push(address),
            Err(error) => refusal = error,
        }
    }
    if permitted.is_empty() { Err(refusal) } else { Ok(permitted) }
}
