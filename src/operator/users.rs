//! Orders about accounts.

use anyhow::{Context, anyhow, bail};
use lyceum_accounts::{NewPerson, Proof, User, UserKind};
use rand::distr::{Alphanumeric, SampleString};
use ruma::{OwnedUserId, UserId};

use crate::chance;

use super::{Operator, Report};

/// Characters of a password that the server makes up: about 95 bits.
const MADE_UP_PASSWORD_LENGTH: usize = 16;

/// Accounts read at once for the list.
const PAGE: usize = 500;

impl Operator {
    pub(super) async fn create(
        &self,
        name: &str,
        password: Option<String>,
        admin: bool,
        report: &Report,
    ) -> anyhow::Result<()> {
        let localpart = self.user_id(name)?.localpart().to_owned();
        let (password, made_up) = given_or_made_up(password);
        let person = NewPerson { localpart: Some(localpart), password: Some(password), admin, ..NewPerson::default() };
        let registered = self.accounts.register(person, None).await.with_context(|| format!("{name} was not made"))?;
        report.say(format!("{} {} made.", if admin { "The administrator" } else { "The account" }, registered.user_id));
        tell_password(made_up, report);
        Ok(())
    }

    pub(super) async fn set_password(
        &self,
        name: &str,
        password: Option<String>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let user = self.known(name).await?;
        let (password, made_up) = given_or_made_up(password);
        self.accounts.set_password(&user, &password).await?;
        report.say(format!("The password of {user} is changed. Sessions that are signed in stay so."));
        tell_password(made_up, report);
        Ok(())
    }

    pub(super) async fn set_admin(&self, name: &str, admin: bool, report: &Report) -> anyhow::Result<()> {
        let user = self.known(name).await?;
        self.accounts.change_user(&user, |account| account.admin = admin).await?;
        report.say(match admin {
            true => format!("{user} is an administrator of this server now."),
            false => format!("{user} is no administrator of this server any more."),
        });
        Ok(())
    }

    pub(super) async fn deactivate(&self, name: &str, erase: bool, report: &Report) -> anyhow::Result<()> {
        let user = self.known(name).await?;
        self.accounts.deactivate(&user, erase, &Proof::not_needed()).await?;
        let mut left = 0_u32;
        for room in self.rooms.joined_rooms(&user).await? {
            match self.rooms.leave(&user, &room, None).await {
                Ok(_) => left += 1,
                Err(error) => report.say(format!("It could not leave {room}: {error}")),
            }
        }
        report.say(format!(
            "{user} is deactivated: signed out everywhere and out of {left} rooms. Its name stays taken."
        ));
        Ok(())
    }

    pub(super) async fn list(&self, report: &Report) -> anyhow::Result<()> {
        let mut after: Option<OwnedUserId> = None;
        loop {
            let page = self.accounts.users(after.as_deref(), PAGE).await?;
            for (id, user) in &page {
                report.say(line(id, user));
            }
            let Some((last, _)) = page.into_iter().nth(PAGE - 1) else { return Ok(()) };
            after = Some(last);
        }
    }

    /// The open account of this name.
    async fn known(&self, name: &str) -> anyhow::Result<OwnedUserId> {
        let user = self.user_id(name)?;
        match self.accounts.user(&user).await? {
            None => bail!("there is no account {user}; `lyceum user list` shows those there are"),
            Some(found) if found.deactivated_ms.is_some() => bail!("{user} has been deactivated"),
            Some(_) => Ok(user),
        }
    }

    /// `ada`, `@ada:campus.example` or `ada:campus.example` as a user id of this server.
    pub(super) fn user_id(&self, name: &str) -> anyhow::Result<OwnedUserId> {
        let server = self.accounts.server_name();
        let bare = name.strip_prefix('@').unwrap_or(name);
        let (localpart, other) = bare.split_once(':').map_or((bare, None), |(local, server)| (local, Some(server)));
        if let Some(other) = other.filter(|other| *other != server.as_str()) {
            bail!("{name} belongs to {other}; accounts here end in :{server}");
        }
        UserId::parse_with_server_name(localpart, server).map_err(|_| anyhow!("{name:?} cannot be a user name"))
    }
}

fn line(id: &UserId, user: &User) -> String {
    let mut marks = Vec::new();
    match &user.kind {
        UserKind::Person => {}
        UserKind::Guest => marks.push("guest".to_owned()),
        UserKind::Bridged(service) => marks.push(format!("of application service {service}")),
    }
    let flags = [
        (user.admin, "administrator"),
        (user.deactivated_ms.is_some(), "deactivated"),
        (user.locked, "locked"),
        (user.suspended, "suspended"),
    ];
    marks.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, mark)| mark.to_owned()));
    if marks.is_empty() { id.to_string() } else { format!("{id}  ({})", marks.join(", ")) }
}

fn given_or_made_up(password: Option<String>) -> (String, Option<String>) {
    match password {
        Some(password) => (password, None),
        None => {
            let made_up = Alphanumeric.sample_string(&mut chance::generator(), MADE_UP_PASSWORD_LENGTH);
            (made_up.clone(), Some(made_up))
        }
    }
}

fn tell_password(made_up: Option<String>, report: &Report) {
    if let Some(password) = made_up {
        report.say(format!("Its password is {password} (shown only now)."));
    }
}
