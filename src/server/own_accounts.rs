//! The institution's own accounts: no rule judges what they do, so nobody may be able to sign in as one of them.

use lyceum_accounts::{Accounts, UserKind};
use lyceum_institution::Institution;

/// Says what to change where one of them belongs to somebody who came before the institution did.
pub(super) async fn check(accounts: &Accounts, institution: &Institution) -> anyhow::Result<()> {
    if !institution.is_enabled() {
        return Ok(());
    }
    let desk = institution.desk().map(|account| (account, "institution.support_desk.account"));
    for (account, setting) in std::iter::once((institution.account(), "institution.account")).chain(desk) {
        let Some(user) = accounts.user(account).await? else { continue };
        let is_somebodys = user.password_hash.is_some()
            || user.kind != UserKind::Person
            || user.deactivated_ms.is_some()
            || !accounts.devices(account).await?.is_empty();
        anyhow::ensure!(
            !is_somebodys,
            "{account} is somebody's account, from before the institution was switched on. The institution needs one as \
             which nobody signs in: name another with {setting}"
        );
    }
    Ok(())
}
