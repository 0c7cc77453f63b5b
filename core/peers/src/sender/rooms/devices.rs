//! What other servers are told of the devices and keys of people here
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#device-management)).

use lyceum_accounts::{DeviceChange, UserDevices};
use lyceum_rooms::{Known, Snapshot};
use lyceum_storage::Commit;
use ruma::{OwnedServerName, ServerName, UserId};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

use super::{RoomsSource, failed};
use crate::{
    PeerError,
    sender::{Edu, Missed, Piece, Telling, What, member::membership},
};

/// How a commit says that a person's devices or keys changed; also what a device list is called when it was missed.
const DEVICES: &str = "devices:";

/// The device that stands for all of them when there is none.
const NO_DEVICE: &str = "NONE";

/// Whose devices a subject is about.
pub(super) fn device_owner(subject: &str) -> Option<&UserId> {
    <&UserId>::try_from(subject.strip_prefix(DEVICES)?).ok()
}

impl RoomsSource {
    /// What a commit changed of a person's devices, for all servers that share a room with them.
    pub(super) async fn device_tellings(
        &self,
        user: &UserId,
        about: &Arc<str>,
        commit: &Commit,
    ) -> Result<Vec<Telling>, PeerError> {
        let servers: Arc<[OwnedServerName]> = self.servers_of(user).await?.into_iter().collect();
        if servers.is_empty() {
            return Ok(Vec::new());
        }
        let changes = self.accounts.device_changes_of(user, commit.first.0).await.map_err(failed)?;
        let changes: Vec<_> = changes.into_iter().filter(|change| change.stream_id <= commit.last.0).collect();
        let now = self.accounts.user_devices(user).await.map_err(failed)?;
        let units = match &*changes {
            // So many came after it that it is no longer known: only what somebody follows who reads the stream late.
            [] => vec![anew(user, &now)],
            changes => units(user, &now, changes),
        };
        let telling = |edu| {
            let what = What::Kept { position: commit.first.0, about: about.clone(), piece: Piece::Edu(Arc::new(edu)) };
            Telling { servers: servers.clone(), what }
        };
        Ok(units.into_iter().map(telling).collect())
    }

    /// The devices of somebody who came into a room, for the servers there that were not told of them so far.
    pub(super) async fn devices_for_newly_met(
        &self,
        known: &Known,
        others: &BTreeSet<OwnedServerName>,
    ) -> Result<Option<Telling>, PeerError> {
        let (Some((user, _)), Some(order)) = (membership(known.event()), known.order()) else { return Ok(None) };
        let mut newly_met = others.clone();
        for room in self.rooms.joined_rooms(user).await.map_err(failed)? {
            if room != *known.event().room()
                && let Some(snapshot) = self.snapshot(&room).await?
            {
                newly_met.retain(|server| !snapshot.has_server(server));
            }
        }
        if newly_met.is_empty() {
            return Ok(None);
        }
        let position = order.cast_unsigned();
        let now = self.accounts.user_devices(user).await.map_err(failed)?;
        if !has_keys(&now) && self.is_in_part(known).await? {
            // Nobody can encrypt to them; and who is there to know it is not certain yet.
            return Ok(None);
        }
        let about = format!("{DEVICES}{user}").as_str().into();
        let piece = Piece::Edu(Arc::new(introduction(user, &now, position)));
        let what = What::Kept { position, about, piece };
        Ok(Some(Telling { servers: newly_met.into_iter().collect(), what }))
    }

    /// What servers have missed that prove to have been in a room: once the commit is there with which its state is whole.
    pub(super) async fn devices_missed_in_part(
        &self,
        snapshot: &Snapshot,
        commit: &Commit,
    ) -> Result<Vec<Telling>, PeerError> {
        let Some((from, until)) =
            snapshot.part_time().filter(|(_, until)| (commit.first..=commit.last).contains(until))
        else {
            return Ok(Vec::new());
        };
        let servers: Arc<[OwnedServerName]> = snapshot.missed_servers().into();
        let mut tellings = Vec::new();
        if servers.is_empty() {
            return Ok(tellings);
        }
        for (user, _) in self.accounts.device_changes(from, until).await.map_err(failed)? {
            if self.rooms.is_local(&user) && snapshot.is_joined(&user) {
                let now = self.accounts.user_devices(&user).await.map_err(failed)?;
                let piece = Piece::Edu(Arc::new(anew(&user, &now)));
                let about = format!("{DEVICES}{user}").as_str().into();
                tellings
                    .push(Telling { servers: servers.clone(), what: What::Kept { position: until.0, about, piece } });
            }
        }
        Ok(tellings)
    }

    /// What a server that missed changes is told: that it is to ask for all devices, and the signing keys.
    pub(super) async fn missed_devices(
        &self,
        server: &ServerName,
        user: &UserId,
        from: u64,
        most: usize,
    ) -> Result<Missed, PeerError> {
        if !self.servers_of(user).await?.contains(server) {
            return Ok(Missed::default());
        }
        let now = self.accounts.user_devices(user).await.map_err(failed)?;
        let units = [Some(anew(user, &now)), signing_keys(user, &now)];
        let pieces: Vec<_> = units.into_iter().flatten().map(|edu| (from, Piece::Edu(Arc::new(edu)))).collect();
        if pieces.len() > most {
            return Ok(Missed { pieces: Vec::new(), rest_from: Some(from) });
        }
        Ok(Missed { pieces, rest_from: None })
    }
}

/// The units that tell changes, oldest first.
fn units(user: &UserId, now: &UserDevices, changes: &[DeviceChange]) -> Vec<Edu> {
    let at_once = changes.chunk_by(|one, other| one.stream_id == other.stream_id);
    let mut units = Vec::new();
    for changes in at_once {
        let devices: Vec<_> = changes.iter().filter_map(|change| change.device.as_deref()).collect();
        match (&*devices, changes) {
            ([], _) => {}
            // Without one before it there is nothing that others could have heard of.
            ([device], [DeviceChange { stream_id, before: Some(before), .. }, ..]) => {
                units.push(update(user, now, device, *stream_id, &[*before]));
            }
            (_, [change, ..]) => units.push(update(user, now, some_device(now), change.stream_id, &[change.stream_id])),
            (_, []) => {}
        }
        if devices.len() < changes.len() {
            units.extend(signing_keys(user, now));
        }
    }
    units
}

/// Makes other servers ask for all devices: it follows itself, which nobody can have heard of before.
fn anew(user: &UserId, now: &UserDevices) -> Edu {
    update(user, now, some_device(now), now.stream_id, &[now.stream_id])
}

/// The first unit of a series, which follows nothing. Of somebody who never had a device it stands at `position`.
fn introduction(user: &UserId, now: &UserDevices, position: u64) -> Edu {
    let stream_id = if now.stream_id == 0 { position } else { now.stream_id };
    update(user, now, some_device(now), stream_id, &[])
}

fn has_keys(now: &UserDevices) -> bool {
    now.master_key.is_some() || now.devices.iter().any(|(_, keys, _)| keys.is_some())
}

fn some_device(now: &UserDevices) -> &str {
    now.devices.first().map_or(NO_DEVICE, |(device, ..)| device)
}

fn update(user: &UserId, now: &UserDevices, device: &str, stream_id: u64, prev: &[u64]) -> Edu {
    let mut content = json!({ "user_id": user, "device_id": device, "stream_id": stream_id, "prev_id": prev });
    match now.devices.iter().find(|(id, ..)| id == device) {
        Some((_, keys, name)) => {
            if let Some(keys) = keys {
                content["keys"] = Value::Object(keys.clone());
            }
            if let Some(name) = name {
                content["device_display_name"] = name.as_str().into();
            }
        }
        None => content["deleted"] = true.into(),
    }
    Edu::new("m.device_list_update", content)
}

fn signing_keys(user: &UserId, now: &UserDevices) -> Option<Edu> {
    let mut content = json!({ "user_id": user });
    for (name, key) in [("master_key", &now.master_key), ("self_signing_key", &now.self_signing_key)] {
        if let Some(key) = key {
            content[name] = Value::Object(key.clone());
        }
    }
    now.master_key.as_ref().map(|_| Edu::new("m.signing_key_update", content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    fn ann() -> &'static UserId {
        user_id!("@ann:alpha")
    }

    fn change(stream_id: u64, before: Option<u64>, device: Option<&str>) -> DeviceChange {
        DeviceChange { stream_id, before, device: device.map(ToOwned::to_owned) }
    }

    #[test]
    fn a_change_of_one_device_says_what_it_follows_and_others_make_the_list_be_asked_for() {
        let key = json!({ "keys": {} }).as_object().cloned();
        let now = UserDevices {
            stream_id: 9,
            devices: vec![("A".into(), key.clone(), Some("phone".into()))],
            master_key: key.clone(),
            self_signing_key: None,
        };
        let changes = [
            change(3, None, Some("A")),
            change(5, Some(3), Some("A")),
            change(6, Some(5), None),
            change(7, Some(5), Some("A")),
            change(7, Some(5), Some("B")),
            change(9, Some(7), Some("B")),
        ];
        let device = |stream_id: u64, prev: u64| {
            json!({
                "user_id": ann(), "device_id": "A", "stream_id": stream_id, "prev_id": [prev], "keys": { "keys": {} },
                "device_display_name": "phone",
            })
        };
        let gone = json!({ "user_id": ann(), "device_id": "B", "stream_id": 9, "prev_id": [7], "deleted": true });
        let contents: Vec<_> = units(ann(), &now, &changes).into_iter().map(|edu| edu.content).collect();
        let signing = json!({ "user_id": ann(), "master_key": { "keys": {} } });
        assert_eq!(contents, [device(3, 3), device(5, 3), signing, device(7, 7), gone]);
        assert_eq!(introduction(ann(), &now, 20).content["prev_id"], json!([]));
    }
}
