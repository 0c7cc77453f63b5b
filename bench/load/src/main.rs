//! The load tool: starts the server under test (or takes one that runs), makes people and rooms, measures, prints a table and JSON.
//!
//! What is measured lives in `measures/`, one file each; how requests are made in `http.rs`, who makes them in `people.rs`,
//! the server's process in `server.rs`, figures in `figures.rs`, the command line in `options.rs`.

mod authority;
mod crash;
mod figures;
mod http;
mod measures;
mod options;
mod people;
mod server;

use figures::Report;
use options::Options;
use server::Server;

/// What any part of the tool ends with when it cannot go on.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::from_command_line()?;
    if options.measures.iter().any(|name| name == "crash") {
        return crash::run(&options).await;
    }
    let mut report = Report::default();
    for name in &options.measures {
        eprintln!("# {name}");
        let mut server = Server::start(&options).await?;
        let outcome = measures::run(name, &mut server, &options, &mut report).await;
        server.stop().await;
        if let Err(why) = outcome {
            report.failed(name, &why);
        }
    }
    report.print();
    if let Some(file) = &options.json {
        std::fs::write(file, report.json())?;
    }
    if report.has_failures() { Err("some measures could not be taken".into()) } else { Ok(()) }
}
