//! What other servers tell beside events (EDUs): each by its type, and each only of the sender's own people
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#edus)).

mod device_list;
mod presence;
mod receipt;
mod signing_keys;
mod to_device;
mod typing;

use lyceum_accounts::Accounts;
use lyceum_peers::Peers;
use lyceum_rooms::{RoomError, Rooms, Snapshot};
use lyceum_web::ApiError;
use ruma::{RoomId, ServerName, UserId};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::sync::Arc;

use crate::intake::Trouble;

/// The types that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Typing,
    Receipt,
    Presence,
    ToDevice,
    DeviceList,
    SigningKeys,
    /// Those of other proposals are no fault: they are passed over.
    Other,
}

impl Kind {
    fn named(name: &str) -> Self {
        match name {
            "m.typing" => Self::Typing,
            "m.receipt" => Self::Receipt,
            "m.presence" => Self::Presence,
            "m.direct_to_device" => Self::ToDevice,
            "m.device_list_update" => Self::DeviceList,
            "m.signing_key_update" | "org.matrix.signing_key_update" => Self::SigningKeys,
            _ => Self::Other,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Typing => "m.typing",
            Self::Receipt => "m.receipt",
            Self::Presence => "m.presence",
            Self::ToDevice => "m.direct_to_device",
            Self::DeviceList => "m.device_list_update",
            Self::SigningKeys => "m.signing_key_update",
            Self::Other => "other",
        }
    }
}

#[derive(Deserialize)]
struct Unit<'a> {
    edu_type: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl Unit<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        parse(self.content)
    }
}

fn parse<T: DeserializeOwned>(said: &RawValue) -> Result<T, Trouble> {
    Ok(serde_json::from_str(said.get())?)
}

/// Hearing what one server tells.
#[derive(Clone, Copy)]
pub(crate) struct Hearing<'a> {
    pub(crate) rooms: &'a Rooms,
    pub(crate) accounts: &'a Accounts,
    pub(crate) peers: &'a Peers,
    pub(crate) origin: &'a ServerName,
}

impl Hearing<'_> {
    /// Takes a unit in. What is wrong with it is counted; an error is this server's own.
    pub(crate) async fn hear(self, unit: &RawValue) -> Result<(), ApiError> {
        let Ok(unit) = serde_json::from_str::<Unit<'_>>(unit.get()) else {
            count("other", "malformed");
            return Ok(());
        };
        let kind = Kind::named(&unit.edu_type);
        let taken = match kind {
            Kind::Typing => self.typing(unit.read()).await,
            Kind::Receipt => self.receipts(unit.read()).await,
            Kind::Presence => self.presence(unit.read()).await,
            Kind::ToDevice => self.to_device(unit.read()).await,
            Kind::DeviceList => self.device_list(unit.read()).await,
            Kind::SigningKeys => self.signing_keys(unit.read()).await,
            Kind::Other => Ok(()),
        };
        match taken {
            Ok(()) => count(kind.label(), "taken"),
            Err(Trouble::Here(error)) => return Err(*error),
            Err(Trouble::There(why) | Trouble::Never(why)) => {
                tracing::debug!(origin = %self.origin, kind = kind.label(), why, "a unit is refused");
                count(kind.label(), "refused");
            }
        }
        Ok(())
    }

    /// Refuses to hear of somebody from another server than theirs.
    fn check_own(&self, user: &UserId) -> Result<(), Trouble> {
        let own = user.server_name() == self.origin;
        own.then_some(()).ok_or_else(|| Trouble::there("it speaks of somebody of another server"))
    }

    /// A room that this server is in and that does not keep the sender out.
    async fn room(&self, room: &RoomId) -> Result<Arc<Snapshot>, Trouble> {
        let snapshot = self.rooms.snapshot(room).await?;
        if !snapshot.is_local() {
            return Err(RoomError::UnknownRoom(room.to_owned()).into());
        }
        if !self.rooms.server_allowed(room, self.origin).await? {
            return Err(Trouble::there("the room's server ACL keeps the sender out"));
        }
        Ok(snapshot)
    }

    /// Refuses to hear of people whom nobody here shares a room with: it would be of no use, and without end.
    async fn check_company(&self, user: &UserId) -> Result<(), Trouble> {
        if !self.rooms.may_share_a_room(user).await? {
            return Err(Trouble::there("nobody here shares a room with that person"));
        }
        Ok(())
    }
}

fn count(kind: &'static str, outcome: &'static str) {
    metrics::counter!("lyceum_federation_received_edus_total", "type" => kind, "outcome" => outcome).increment(1);
}
