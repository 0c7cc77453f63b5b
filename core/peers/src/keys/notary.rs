//! Notaries: asking one for other servers' keys, and being one.

use futures_util::{StreamExt, stream};
use ruma::{CanonicalJsonObject, OwnedServerName, ServerName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

use super::{
    document::{KeyDocument, is_signed},
    remote::RemoteKeys,
    ring::Needs,
};
use crate::{Call, PeerError, Peers, Persistence, path::Target};

/// Servers asked about in one request, either way.
const SERVERS_MAX: usize = 100;

/// Servers fetched from at once for one request.
const FETCHES_MAX: usize = 20;

/// The time a notary may take: it may itself have to ask.
const TIMEOUT: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Which keys are asked for: by server and key, with the time until which they should hold. No keys: all of them; so does a
/// key without a name, with a time.
pub type KeyQuery = BTreeMap<OwnedServerName, BTreeMap<String, Option<u64>>>;

/// What a notary answers.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    server_keys: Vec<CanonicalJsonObject>,
}

impl Peers {
    /// Asks a notary for what is still needed: documents with its signature beside one of a key that they publish. They say
    /// what the notary says; whether that is believed is another question.
    pub(super) async fn ask_notary(&self, notary: &ServerName, unmet: &Needs) -> Result<Vec<KeyDocument>, PeerError> {
        let mut told = Vec::new();
        if notary == self.server() {
            return Ok(told);
        }
        let now = self.shared.ring.now_ms();
        let is_held = |keys: &RemoteKeys| keys.keys.values().any(|key| key.is_current && key.valid_until_ms >= now);
        self.fetch_keys(notary, Persistence::Gated, is_held).await?;
        let keys = self.shared.ring.known(notary).await?;
        let wanted: Vec<_> = unmet.iter().filter(|(server, _)| *server != notary).collect();
        for some in wanted.chunks(SERVERS_MAX) {
            let call = Call::post(Target::at("/_matrix/key/v2/query"), &json!({ "server_keys": criteria(some, now) }))?;
            let call = call.unsigned().timeout(TIMEOUT).answer_bytes_max(ANSWER_BYTES_MAX);
            let answer: Answer = self.ask(notary, call).await?;
            for object in answer.server_keys.into_iter().take(2 * SERVERS_MAX) {
                if !is_signed(&object, notary, |id| keys.in_use(id, now)) {
                    continue;
                }
                let document = KeyDocument::read(object).ok();
                told.extend(document.filter(|document| unmet.contains_key(&document.server)));
            }
        }
        Ok(told)
    }

    /// Answers as a notary: the documents of the servers asked about, as far as they can be had, each with this server's
    /// signature beside its own.
    pub async fn notarize(&self, query: KeyQuery) -> Result<Vec<CanonicalJsonObject>, PeerError> {
        let answers = query.into_iter().take(SERVERS_MAX).map(|(server, keys)| self.notarize_one(server, keys));
        let answers: Vec<_> = stream::iter(answers.collect::<Vec<_>>()).buffered(FETCHES_MAX).collect().await;
        answers.into_iter().filter_map(Result::transpose).collect()
    }

    async fn notarize_one(
        &self,
        server: OwnedServerName,
        keys: BTreeMap<String, Option<u64>>,
    ) -> Result<Option<CanonicalJsonObject>, PeerError> {
        let unsendable = |error: lyceum_events::EventError| PeerError::Unsendable(error.to_string());
        if server == self.server() {
            return self.shared.own.document().map(Some).map_err(unsendable);
        }
        let now = self.shared.ring.now_ms();
        let until = keys.values().map(|until| until.unwrap_or(now)).max().unwrap_or(now);
        let fetched = self
            .fetch_keys(&server, Persistence::Gated, |known| {
                known.document_valid_until_ms >= until
                    && keys.keys().all(|id| id.is_empty() || known.keys.contains_key(id))
            })
            .await;
        if let Err(error @ (PeerError::Storage(_) | PeerError::Commit(_))) = fetched {
            return Err(error);
        }
        let known = self.shared.ring.known(&server).await?;
        let Ok(mut document) = serde_json::from_str::<CanonicalJsonObject>(&known.document) else { return Ok(None) };
        self.shared.own.witness(&mut document).map_err(unsendable)?;
        Ok(Some(document))
    }
}

fn criteria(
    wanted: &[(&OwnedServerName, &std::collections::BTreeSet<super::Need>)],
    now_ms: u64,
) -> BTreeMap<OwnedServerName, BTreeMap<String, serde_json::Value>> {
    let of_server = |needs: &std::collections::BTreeSet<super::Need>| {
        let each =
            needs.iter().flat_map(|need| need.any_of.iter().map(|id| (id.clone(), need.at_ms.unwrap_or(now_ms))));
        let mut latest = BTreeMap::new();
        for (id, at) in each {
            let until = latest.entry(id).or_insert(at);
            *until = at.max(*until);
        }
        latest.into_iter().map(|(id, at)| (id, json!({ "minimum_valid_until_ts": at }))).collect()
    };
    wanted.iter().map(|(server, needs)| ((*server).clone(), of_server(needs))).collect()
}
