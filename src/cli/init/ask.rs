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
        loop {
            let answer = read(question, "")?;
            match check(&answer) {
                Ok(()) => return Ok(answer),
                Err(why) => tell(&format!("  That does not do: {why}."))?,
            }
        }
    }

    pub(super) fn with_default(&self, question: &str, default: &str) -> anyhow::Result<String> {
        if !self.terminal {
            return Ok(default.to_owned());
        }
        let answer = read(question, default)?;
        Ok(if answer.is_empty() { default.to_owned() } else { answer })
    }

    pub(super) fn optional(&self, question: &str) -> anyhow::Result<Option<String>> {
        let answer = self.with_default(&format!("{question} (may be left empty)"), "")?;
        Ok((!answer.is_empty()).then_some(answer))
    }

    pub(super) fn one_of(&self, question: &str, choices: &[&'static str]) -> anyhow::Result<&'static str> {
        loop {
            let answer = self.with_default(&format!("{question} ({})", choices.join(", ")), choices[0])?;
            match choices.iter().find(|choice| **choice == answer) {
                Some(choice) => return Ok(choice),
                None => tell(&format!("  One of {}, please.", choices.join(", ")))?,
            }
        }
    }

    pub(super) fn yes(&self, question: &str) -> anyhow::Result<bool> {
        Ok(self.one_of(question, &["yes", "no"])? == "yes")
    }

    pub(super) fn address(&self, default: &str) -> anyhow::Result<SocketAddr> {
        loop {
            match self.with_default("On which address and port shall it listen?", default)?.parse() {
                Ok(address) => return Ok(address),
                Err(_) => tell("  An IP address and a port, please, for example 127.0.0.1:8008 or [::]:8448.")?,
            }
        }
    }

    /// The certificate and key, when the server shall speak TLS itself.
    pub(super) fn certificate(&self) -> anyhow::Result<Option<(String, String)>> {
        let question =
            "The certificate's file (PEM), if the server shall speak TLS itself. Empty: a reverse proxy does.";
        match self.optional(question)? {
            Some(certificate) => Ok(Some((certificate, self.with_default("The certificate's key (PEM)", "key.pem")?))),
            None => Ok(None),
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
