//! The command line.

use std::path::PathBuf;

use crate::Failure;
use crate::measures::{LONG, NAMES};

const USAGE: &str = "\
lyceum-load [MEASURE...] (--bin LYCEUM | --url http://HOST:PORT --as-token TOKEN [--pid N] [--data DIR])
            [--seconds N] [--members N] [--events N] [--rounds N] [--seed N] [--json FILE]

Each measure has a fresh server when --bin is given. --seconds bounds each timed part (5), --members is the size of the big
room, and of that of another server (1000), --events that of `million` and `search` (1000000), --rounds and --seed belong to
`crash` (20, 1). Without measures: all but `crash`, `million` and `search`.";

/// What was asked for.
pub struct Options {
    pub measures: Vec<String>,
    pub binary: Option<PathBuf>,
    pub url: Option<String>,
    pub as_token: String,
    pub pid: Option<u32>,
    pub data: Option<PathBuf>,
    pub seconds: u64,
    pub members: usize,
    pub events: usize,
    pub rounds: usize,
    pub seed: u64,
    pub json: Option<PathBuf>,
}

impl Options {
    pub fn from_command_line() -> Result<Self, Failure> {
        let mut options = Self {
            measures: Vec::new(),
            binary: std::env::var_os("LYCEUM_BIN").map(PathBuf::from),
            url: None,
            as_token: "load-application-service".to_owned(),
            pid: None,
            data: None,
            seconds: 5,
            members: 1000,
            events: 1_000_000,
            rounds: 20,
            seed: 1,
            json: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "--bin" => options.binary = Some(value()?.into()),
                "--url" => options.url = Some(value()?),
                "--as-token" => options.as_token = value()?,
                "--pid" => options.pid = Some(value()?.parse()?),
                "--data" => options.data = Some(value()?.into()),
                "--seconds" => options.seconds = value()?.parse()?,
                "--members" => options.members = value()?.parse()?,
                "--events" => options.events = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--json" => options.json = Some(value()?.into()),
                name if name == "crash" || NAMES.contains(&name) => options.measures.push(word),
                _ => {
                    return Err(
                        format!("{word} is not known here\n\n{USAGE}\n\nMeasures: crash {}", NAMES.join(" ")).into()
                    );
                }
            }
        }
        if options.binary.is_none() && options.url.is_none() {
            return Err(USAGE.into());
        }
        if options.measures.is_empty() {
            options.measures =
                NAMES.iter().filter(|name| !LONG.contains(name)).map(|name| (*name).to_owned()).collect();
        }
        Ok(options)
    }
}
