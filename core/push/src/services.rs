//! Application services: bridges and bots that the operator has registered. Who they are, what is theirs, asking them, and
//! telling them what happens.
//!
//! * `registration`: the files, and what is wrong with them in words.
//! * `ask`: questions to a service: does this user or room exist, are you there, whom do you know.
//! * `feed`, `gather`: transactions, in order and without loss.

mod ask;
mod feed;
mod gather;
mod registration;

use lyceum_accounts::{AccountError, Accounts};
use lyceum_outbound::Outbound;
use ruma::{OwnedServerName, OwnedUserId, RoomAliasId, RoomId, ServerName, UserId};
use std::{fmt::Display, path::PathBuf, sync::Arc};

pub use ask::PingError;
pub use feed::Feeds;
pub(crate) use feed::StoredFeed;
pub use registration::{Registration, RegistrationError};

/// A registered service.
#[derive(Debug)]
pub struct Service {
    /// What its file says.
    pub registration: Registration,
    /// Its own user.
    pub sender: OwnedUserId,
}

/// All of them. Cheap to clone.
#[derive(Clone)]
pub struct Services(Arc<Inner>);

struct Inner {
    all: Vec<Arc<Service>>,
    server: OwnedServerName,
    outbound: Outbound,
}

impl Services {
    /// The services whose registrations these are, once each was read by itself.
    pub fn new(
        registrations: Vec<(PathBuf, Registration)>,
        server: &ServerName,
        outbound: Outbound,
    ) -> Result<Self, RegistrationError> {
        let mut all: Vec<Arc<Service>> = Vec::with_capacity(registrations.len());
        for (file, registration) in registrations {
            let wrong = |why: String| RegistrationError { file: file.clone(), why };
            let twice = |what: &str, id: &str| wrong(format!("its {what} is also that of the service {id:?}"));
            for other in &all {
                let other = &other.registration;
                if other.id == registration.id {
                    return Err(twice("id", &other.id));
                }
                if other.as_token == registration.as_token {
                    return Err(twice("as_token", &other.id));
                }
            }
            let name = &registration.sender_localpart;
            let unfit = |why: &dyn Display| wrong(format!("sender_localpart {name:?} cannot be a user name: {why}"));
            // Its account is made by the rules for new ones.
            let sender = lyceum_accounts::new_user_id(name, server).map_err(|error| unfit(&error))?;
            all.push(Arc::new(Service { registration, sender }));
        }
        Ok(Self(Arc::new(Inner { all, server: server.to_owned(), outbound })))
    }

    /// Every service.
    pub fn all(&self) -> &[Arc<Service>] {
        &self.0.all
    }

    /// The service with this `as_token`.
    pub fn by_token(&self, token: &str) -> Option<&Arc<Service>> {
        self.0.all.iter().find(|service| service.registration.as_token == token)
    }

    /// The service with this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Service>> {
        self.0.all.iter().find(|service| service.registration.id == id)
    }

    /// Whether a user is of this server and belongs to one service alone.
    pub fn is_exclusive_user(&self, user: &UserId) -> bool {
        self.is_local(user) && self.0.all.iter().any(|service| service.has_exclusive_user(user))
    }

    /// Whether somebody may make or take away an alias: what is one service's alone is no other's, and a service keeps to
    /// what is its own. `by`: the service that asks, by its id.
    pub fn may_use_alias(&self, by: Option<&str>, alias: &RoomAliasId) -> bool {
        if let Some(service) = by.and_then(|id| self.by_id(id)) {
            return service.registration.namespaces.aliases.iter().any(|space| space.holds(alias.as_str()));
        }
        let exclusive = |service: &Arc<Service>| {
            let spaces = &service.registration.namespaces.aliases;
            spaces.iter().any(|space| space.exclusive && space.holds(alias.as_str()))
        };
        !self.0.all.iter().any(exclusive)
    }

    /// Makes the services' own users where they are not there yet.
    pub async fn make_senders(&self, accounts: &Accounts) -> Result<(), AccountError> {
        for service in &self.0.all {
            let Registration { id, sender_localpart, .. } = &service.registration;
            match accounts.register_bridged(id, sender_localpart, None).await {
                Ok(_) | Err(AccountError::UserInUse) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    fn is_local(&self, user: &UserId) -> bool {
        user.server_name() == self.0.server
    }
}

impl Service {
    /// Whether a user of this server is the service's: its own, or in one of its namespaces.
    pub fn has_user(&self, user: &UserId) -> bool {
        user == self.sender
            || (user.server_name() == self.sender.server_name()
                && self.registration.namespaces.users.iter().any(|space| space.holds(user.as_str())))
    }

    fn has_exclusive_user(&self, user: &UserId) -> bool {
        let spaces = &self.registration.namespaces.users;
        user == self.sender || spaces.iter().any(|space| space.exclusive && space.holds(user.as_str()))
    }

    fn has_alias(&self, alias: &str) -> bool {
        self.registration.namespaces.aliases.iter().any(|space| space.holds(alias))
    }

    fn has_room(&self, room: &RoomId) -> bool {
        self.registration.namespaces.rooms.iter().any(|space| space.holds(room.as_str()))
    }
}
