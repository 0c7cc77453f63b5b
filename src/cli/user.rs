//! `lyceum user …`: accounts made and changed from the server's own machine.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::order;
use crate::operator::Order;

#[derive(Subcommand)]
pub(super) enum User {
    /// Make an account.
    Create {
        /// The name before the colon: `ada` for @ada:campus.example.
        name: String,
        /// Make it an administrator of this server.
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        password: Password,
    },
    /// Give an account a new password.
    Password {
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Close an account: it is signed out, leaves its rooms, and its name stays taken.
    Deactivate {
        name: String,
        /// Hide what it sent from those who have not seen it yet.
        #[arg(long)]
        erase: bool,
    },
    /// List the accounts.
    List,
    /// Make an account an administrator, or no longer one.
    SetAdmin {
        name: String,
        /// Take the right away instead.
        #[arg(long)]
        no: bool,
    },
}

#[derive(Args)]
pub(super) struct Password {
    /// Read the password from standard input (its first line).
    #[arg(long)]
    password_stdin: bool,
    /// Make up a password and print it, without asking.
    #[arg(long, conflicts_with = "password_stdin")]
    generate: bool,
}

pub(super) fn run(file: Option<&Path>, user: User) -> anyhow::Result<()> {
    let order = match user {
        User::Create { name, admin, password } => Order::UserCreate { name, password: password.ask()?, admin },
        User::Password { name, password } => Order::UserPassword { name, password: password.ask()? },
        User::Deactivate { name, erase } => Order::UserDeactivate { name, erase },
        User::List => Order::UserList,
        User::SetAdmin { name, no } => Order::UserSetAdmin { name, admin: !no },
    };
    order::run(file, order)
}

impl Password {
    /// The password, or `None` for one that the server makes up.
    fn ask(&self) -> anyhow::Result<Option<String>> {
        if self.password_stdin {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("no password on standard input")?;
            let password = line.trim_end_matches(['\r', '\n']).to_owned();
            if password.is_empty() {
                bail!("no password on standard input");
            }
            return Ok(Some(password));
        }
        if self.generate || !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        let first = rpassword::prompt_password("Password (leave empty to have one made up): ")?;
        if first.is_empty() {
            return Ok(None);
        }
        if rpassword::prompt_password("Once more: ")? != first {
            bail!("the two passwords are not the same; nothing was changed");
        }
        Ok(Some(first))
    }
}
