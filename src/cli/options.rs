//! Options that several commands have.

use clap::Args;

#[derive(Args)]
pub(super) struct Why {
    /// Why, for the audit chain.
    #[arg(long)]
    pub(super) why: Option<String>,
}

#[derive(Args)]
pub(super) struct Form {
    /// Print JSON, an object a line.
    #[arg(long)]
    pub(super) json: bool,
}
