//! Accounts over a store in memory, for this crate's tests.

use lyceum_events::ManualClock;
use lyceum_storage::Store;
use ruma::{OwnedUserId, server_name};
use std::sync::Arc;

use crate::{Accounts, Config, Entropy, NewPerson, PasswordCost, SignInConfig};

pub(crate) struct Fixture {
    pub(crate) accounts: Accounts,
    pub(crate) clock: ManualClock,
}

impl Fixture {
    /// A server named `test` where everybody's password is `secret`.
    pub(crate) async fn with_people(names: &[&str]) -> Self {
        Self::with_config(Self::config(), names).await
    }

    pub(crate) fn config() -> Config {
        Config {
            sign_in: SignInConfig {
                password_cost: PasswordCost { memory_kib: 8, passes: 1 },
                ..SignInConfig::default()
            },
            shared_secret: Some("shared".into()),
            ..Config::default()
        }
    }

    pub(crate) async fn with_config(config: Config, names: &[&str]) -> Self {
        let store = Store::memory().await.unwrap();
        let clock = ManualClock::at(1_700_000_000_000);
        let accounts = Accounts::open(
            server_name!("test").to_owned(),
            store,
            Arc::new(clock.clone()),
            Entropy::from_seed([3; 32]),
            config,
        )
        .unwrap();
        let fixture = Self { accounts, clock };
        for name in names {
            fixture.register(name).await;
        }
        fixture
    }

    pub(crate) async fn register(&self, name: &str) -> OwnedUserId {
        let person =
            NewPerson { localpart: Some(name.to_owned()), password: Some("secret".into()), ..Default::default() };
        self.accounts.register(person, None).await.unwrap().user_id
    }
}
