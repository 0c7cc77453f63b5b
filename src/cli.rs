//! The command line: what can be typed, and which file answers it.

mod backup;
mod case;
mod check_config;
mod doctor;
mod init;
mod institution;
mod options;
mod order;
mod rotate_key;
mod say;
mod serve;
mod store;
mod token;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::operator::Order;

/// How long what a command left under way may take to end.
const LEFT_UNDER_WAY: Duration = Duration::from_secs(2);

/// A Matrix homeserver for schools, colleges and universities.
#[derive(Parser)]
#[command(name = "lyceum", version, about, arg_required_else_help = false)]
struct Line {
    /// The configuration [default: $LYCEUM_CONFIG, else ./config.toml, else a trial on this machine only].
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (also what `lyceum` alone does).
    Serve,
    /// Write a configuration and a signing key, by asking.
    Init(init::Init),
    /// Read the configuration and say everything that is wrong with it.
    CheckConfig,
    /// Look at machine and network as clients and other servers find them, and say what is wrong.
    Doctor,
    /// Make and change accounts.
    #[command(subcommand)]
    User(user::User),
    /// Give people roles.
    #[command(subcommand)]
    Person(institution::Person),
    /// Make and change units: departments, courses, classes.
    #[command(subcommand)]
    Unit(institution::Unit),
    /// Enrol people in units.
    #[command(subcommand)]
    Enrol(institution::Enrol),
    /// Let units sit exams.
    #[command(subcommand)]
    Exam(institution::Exam),
    /// Let people say nothing more, somewhere or everywhere.
    #[command(subcommand)]
    Block(institution::Block),
    /// Handle what people reported.
    #[command(subcommand)]
    Case(case::Case),
    /// Look at posts that wait before others see them.
    #[command(subcommand)]
    Post(case::Post),
    /// Fill a trial server with a made-up college: 3 departments, 12 courses, 40 staff, 1,200 students.
    SampleCollege {
        /// What it is made of: the same seed makes the same college.
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// Let programs use the institution's HTTP API.
    #[command(subcommand)]
    Token(token::Token),
    /// Verify and export the chain of privileged acts.
    #[command(subcommand)]
    Audit(institution::Audit),
    /// See how it stands with other servers.
    #[command(subcommand)]
    Federation(Federation),
    /// Look after the index of words.
    #[command(subcommand)]
    Search(Search),
    /// Make a backup, while the server runs or not: the store and the signing key, in a new directory.
    Backup { directory: PathBuf },
    /// Look through everything that is stored: events, their signatures, indexes. Changes nothing.
    Check,
    /// Restore a backup into an empty data directory.
    Restore { directory: PathBuf },
}

#[derive(Subcommand)]
enum Search {
    /// Make the search index anew from the rooms, while the server runs or not.
    Rebuild,
}

#[derive(Subcommand)]
enum Federation {
    /// List the servers there was anything for: what waits, what fails and why.
    Status,
    /// Try a failing server again now.
    Retry { server: String },
    /// Put a new signing key in the place of the present one, which is kept beside it. It counts from the next start.
    RotateKey,
}

/// Runs the command that was typed. A failure is said in one message on standard error.
pub fn main() -> ExitCode {
    let line = Line::parse();
    let result = match line.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(line.config.as_deref()),
        Command::CheckConfig => check_config::run(line.config.as_deref()),
        Command::Doctor => doctor::run(line.config.as_deref()),
        Command::Init(options) => init::run(options),
        Command::Federation(Federation::Status) => order::run(line.config.as_deref(), Order::FederationStatus),
        Command::Federation(Federation::Retry { server }) => {
            order::run(line.config.as_deref(), Order::FederationRetry { server })
        }
        Command::Federation(Federation::RotateKey) => rotate_key::run(line.config.as_deref()),
        Command::Search(Search::Rebuild) => order::run(line.config.as_deref(), Order::SearchRebuild),
        Command::Check => order::run(line.config.as_deref(), Order::Check),
        Command::Backup { directory } => backup::back_up(line.config.as_deref(), &directory),
        Command::Restore { directory } => backup::restore(line.config.as_deref(), directory),
        Command::User(user) => user::run(line.config.as_deref(), user),
        Command::Person(person) => institution::person(line.config.as_deref(), person),
        Command::Unit(unit) => institution::unit(line.config.as_deref(), unit),
        Command::Enrol(enrol) => institution::enrol(line.config.as_deref(), enrol),
        Command::Exam(exam) => institution::exam(line.config.as_deref(), exam),
        Command::Block(block) => institution::block(line.config.as_deref(), block),
        Command::Case(case) => case::run(line.config.as_deref(), case),
        Command::Post(post) => case::post(line.config.as_deref(), post),
        Command::SampleCollege { seed } => institution::sample(line.config.as_deref(), seed),
        Command::Token(token) => token::run(line.config.as_deref(), token),
        Command::Audit(audit) => institution::audit(line.config.as_deref(), audit),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a command on a runtime of its own. What it left under way may take a while to end, and not for ever.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(LEFT_UNDER_WAY);
    result
}
