//! Asking on a terminal; without one, every question answers with its default, or names the option that is needed.

use std::io::{BufRead, Write};
use std::net::SocketAddr;

use anyhow::bail;

/// Asks, or does not.
pub(super) struct Asker {
    terminal: bool,
}

impl Asker {
    pub(super) fn new(terminal: bool) -> Self {
        Self { terminal }
    }

    /// An answer that has no default.
    pub(super) fn needed(
        &self,
        question: &str,
        option: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<String> {
        if !self.terminal {
            bail!("{option} is needed");
        }
        until_right(question, "", check)
    }

    pub(super) fn with_default(
        &self,
        question: &str,
        default: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<String> {
        match self.terminal {
            true => until_right(question, default, check),
            false => Ok(default.to_owned()),
        }
    }

    pub(super) fn optional(
        &self,
        question: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<Option<String>> {
        let check = |answer: &str| if answer.is_empty() { Ok(()) } else { check(answer) };
        let answer = self.with_default(&format!("{question} (may be left empty)"), "", check)?;
        Ok((!answer.is_empty()).then_some(answer))
    }

    pub(super) fn one_of(&self, question: &str, choices: &[&'static str]) -> anyhow::Result<&'static str> {
        let chosen = |answer: &str| choices.iter().find(|choice| **choice == answer).copied();
        let check = |answer: &str| match chosen(answer) {
            Some(_) => Ok(()),
            None => Err(format!("write one of {}", choices.join(", "))),
        };
        let answer = self.with_default(&format!("{question} ({})", choices.join(", ")), choices[0], check)?;
        Ok(chosen(&answer).unwrap_or(choices[0]))
    }

    pub(super) fn yes(&self, question: &str) -> anyhow::Result<bool> {
        Ok(self.one_of(question, &["yes", "no"])? == "yes")
    }

    pub(super) fn address(&self, default: &str) -> anyhow::Result<SocketAddr> {
        let check = |answer: &str| match answer.parse::<SocketAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("write an IP address and a port, for example 127.0.0.1:8008 or [::]:8448".to_owned()),
        };
        Ok(self.with_default("On which address and port shall it listen?", default, check)?.parse()?)
    }

    /// The certificate and key, when the server shall speak TLS itself. They may come later.
    pub(super) fn certificate(&self) -> anyhow::Result<Option<(String, String)>> {
        let anything = |_: &str| Ok(());
        let question =
            "The certificate's file (PEM), if the server shall speak TLS itself. Empty: a reverse proxy does.";
        match self.optional(question, anything)? {
            Some(certificate) => {
                Ok(Some((certificate, self.with_default("The certificate's key (PEM)", "key.pem", anything)?)))
            }
            None => Ok(None),
        }
    }
}

/// Asks until the answer does.
fn until_right(question: &str, default: &str, check: impl Fn(&str) -> Result<(), String>) -> anyhow::Result<String> {
    loop {
        let answer = Some(read(question, default)?).filter(|answer| !answer.is_empty());
        let answer = answer.unwrap_or_else(|| default.to_owned());
        match check(&answer) {
            Ok(()) => return Ok(answer),
            Err(why) => tell(&format!("  That does not do: {why}."))?,
        }
    }
}

fn read(question: &str, default: &str) -> anyhow::Result<String> {
    let hint = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    let mut out = std::io::stdout().lock();
    write!(out, "{question}{hint}\n> ")?;
    out.flush()?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        bail!("no answer; nothing was written");
    }
    Ok(line.trim().to_owned())
}

fn tell(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}
