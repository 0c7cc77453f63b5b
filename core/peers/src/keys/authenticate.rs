//! Who sent a request: the check of X-Matrix on the way in.

use ruma::OwnedServerName;

use super::{Need, RemoteKeys, document::is_signature};
use crate::{
    AuthenticationError, PeerError, Peers, Persistence,
    signing::{self, Credentials, Signed},
};

impl Peers {
    /// The server that signed this request, by any of its keys that is known (spec, "Request Authentication": a request may
    /// have a header "for each signature"). All must say the same of who sends to whom.
    pub async fn authenticate_by_any(
        &self,
        request: Signed<'_>,
        credentials: &[Credentials],
    ) -> Result<OwnedServerName, AuthenticationError> {
        let parties = |one: &Credentials| (one.origin.clone(), one.destination.clone());
        if credentials.windows(2).any(|pair| parties(&pair[0]) != parties(&pair[1])) {
            return Err(AuthenticationError::Malformed("headers of different servers"));
        }
        let mut refusal = AuthenticationError::Malformed("no header");
        for one in credentials {
            match self.authenticate(request, one).await {
                Err(error @ (AuthenticationError::NoKey { .. } | AuthenticationError::Signature)) => refusal = error,
                done => return done,
            }
        }
        Err(refusal)
    }

    /// The server that signed this request for this one, proved. It counts as a sign of life.
    pub async fn authenticate(
        &self,
        request: Signed<'_>,
        credentials: &Credentials,
    ) -> Result<OwnedServerName, AuthenticationError> {
        let Credentials { origin, destination, key, signature } = credentials;
        if let Some(other) = destination.as_ref().filter(|name| name.as_str() != self.server()) {
            return Err(AuthenticationError::WrongDestination(other.clone()));
        }
        if origin == self.server() {
            return Err(AuthenticationError::Malformed("the origin is this server"));
        }
        if !self.shared.lists.allow(origin) {
            return Err(AuthenticationError::NotAllowed(origin.clone()));
        }
        // Without a destination in the header there was none in what was signed, either.
        let signed_for = destination.as_ref().map(|_| self.server());
        let signed = signing::signed_text(request, origin.as_str(), signed_for)
            .map_err(|error| AuthenticationError::Body(error.to_string()))?;
        let public = self.key_in_use(origin, key).await?;
        if !is_signature(&public, signature, signed.as_bytes()) {
            return Err(AuthenticationError::Signature);
        }
        self.answered(origin);
        Ok(origin.clone())
    }

    /// A key with which a server signs its requests now.
    async fn key_in_use(&self, server: &OwnedServerName, id: &str) -> Result<[u8; 32], AuthenticationError> {
        let now = self.shared.ring.now_ms();
        let no_key = || AuthenticationError::NoKey { server: server.clone(), key: id.to_owned() };
        // Who sends is there: it is asked even if it did not answer lately.
        let in_use = |keys: &RemoteKeys| keys.in_use(id, now).is_some();
        match self.fetch_keys(server, Persistence::Always, in_use).await {
            Err(PeerError::Storage(error)) => return Err(error.into()),
            Err(error) => tracing::debug!(%server, %error, "the key of a request could not be had from its sender"),
            Ok(()) => {}
        }
        let need = Need { any_of: vec![id.to_owned()], at_ms: Some(now) };
        let needs = [(server.clone(), [need].into())].into();
        let found = match self.keys_for(&needs).await {
            Ok(found) => found,
            Err(PeerError::Storage(error)) => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%server, %error, "the key of a request could not be had");
                return Err(no_key());
            }
        };
        let key = found.get(server).and_then(|keys| keys.in_use(id, now));
        key.ok_or_else(no_key)
    }
}
