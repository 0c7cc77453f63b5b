//! Whose data these are. Every id in them ends in the server's name, so under another name nothing of them is right.

use lyceum_storage::{Batch, StorageError, Store};
use ruma::{OwnedServerName, ServerName, UserId};

use crate::{
    error::Result,
    tables::{HOME, USERS},
};

/// The name that was noted at the first start; of data from before it was noted, the one that its people's ids end in.
/// `None` where there is nobody yet.
pub async fn home_of(store: &Store) -> Result<Option<OwnedServerName>, StorageError> {
    if let Some(noted) = store.get(&HOME, ()).await? {
        return Ok(ServerName::parse(&noted).ok());
    }
    let first = store.scan(&USERS, USERS.all().limit(1)).await?.pop();
    Ok(first.and_then(|(user, _)| UserId::parse(&user).ok().map(|user| user.server_name().to_owned())))
}

/// Notes the name, unless one is.
pub async fn note_home(store: &Store, name: &ServerName) -> Result<()> {
    if store.get(&HOME, ()).await?.is_none() {
        let mut batch = Batch::new();
        batch.put(&HOME, (), &name.to_string());
        store.commit(batch).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;
    use crate::testing::Fixture;

    #[tokio::test]
    async fn the_first_name_stays_and_before_it_was_noted_ids_tell_it() {
        let store = Store::memory().await.unwrap();
        assert_eq!(home_of(&store).await.unwrap(), None, "an empty store is nobody's");
        note_home(&store, server_name!("alpha.example")).await.unwrap();
        note_home(&store, server_name!("beta.example")).await.unwrap();
        assert_eq!(home_of(&store).await.unwrap().unwrap(), "alpha.example");

        let fixture = Fixture::with_people(&["anna"]).await;
        let named = fixture.accounts.server_name().to_owned();
        assert_eq!(home_of(fixture.accounts.store()).await.unwrap(), Some(named));
    }
}
