//! People of another server: profiles, devices, keys, who a token belongs to.

use ruma::{OwnedUserId, ServerName, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::collections::BTreeMap;

use crate::{Call, PeerError, Peers, Target};

/// Something by person and by device (or key) name.
type ByDevice<T> = BTreeMap<OwnedUserId, BTreeMap<String, T>>;

/// The devices of a person.
#[derive(Debug, Deserialize)]
pub struct DeviceList {
    /// Whose.
    pub user_id: OwnedUserId,
    /// Which change of theirs this is.
    pub stream_id: u64,
    /// The devices with their keys.
    pub devices: Vec<Map<String, Value>>,
    /// The keys that sign the others.
    pub master_key: Option<Box<RawValue>>,
    /// The key that signs the person's own devices.
    pub self_signing_key: Option<Box<RawValue>>,
}

/// Device and signing keys of people.
#[derive(Debug, Default, Deserialize)]
pub struct QueriedKeys {
    /// By person and device.
    pub device_keys: ByDevice<Box<RawValue>>,
    /// By person.
    #[serde(default)]
    pub master_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// By person.
    #[serde(default)]
    pub self_signing_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
}

/// One-time keys, claimed.
#[derive(Debug, Default, Deserialize)]
pub struct ClaimedKeys {
    /// By person and device: the key's name and the key.
    pub one_time_keys: ByDevice<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Subject {
    sub: OwnedUserId,
}

fn federation(endpoint: &str) -> Target {
    Target::at(&format!("/_matrix/federation/v1/{endpoint}"))
}

impl Peers {
    /// A person's profile, or one field of it.
    pub async fn profile(
        &self,
        server: &ServerName,
        user: &UserId,
        field: Option<&str>,
    ) -> Result<Map<String, Value>, PeerError> {
        let target = federation("query/profile").query("user_id", user).maybe("field", field);
        self.ask(server, Call::get(target)).await
    }

    /// All devices of a person.
    pub async fn user_devices(&self, server: &ServerName, user: &UserId) -> Result<DeviceList, PeerError> {
        self.ask(server, Call::get(federation("user/devices").segment(user))).await
    }

    /// Device keys of people, of the devices named or of all when none is.
    pub async fn query_keys(
        &self,
        server: &ServerName,
        wanted: &BTreeMap<OwnedUserId, Vec<String>>,
    ) -> Result<QueriedKeys, PeerError> {
        let call = Call::post(federation("user/keys/query"), &json!({ "device_keys": wanted }))?;
        self.ask(server, call).await
    }

    /// Claims one key of an algorithm for each device named.
    pub async fn claim_keys(&self, server: &ServerName, wanted: &ByDevice<String>) -> Result<ClaimedKeys, PeerError> {
        let call = Call::post(federation("user/keys/claim"), &json!({ "one_time_keys": wanted }))?;
        self.ask(server, call).await
    }

    /// Whose OpenID token this is.
    pub async fn openid_userinfo(&self, server: &ServerName, token: &str) -> Result<OwnedUserId, PeerError> {
        let call = Call::get(federation("openid/userinfo").query("access_token", token)).unsigned();
        let answer: Subject = self.ask(server, call).await?;
        Ok(answer.sub)
    }
}
