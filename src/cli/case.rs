//! `lyceum case …`, `lyceum post …`: what people reported, and what is done about it, and posts that wait to be looked
//! at, from the server's own machine.

use std::path::Path;

use clap::Subcommand;

use super::{
    options::{Form, Why},
    order,
};
use crate::operator::Order;
use crate::operator::cases::{CaseOrder, Plain};

#[derive(Subcommand)]
pub(super) enum Case {
    /// List the open cases.
    List {
        /// Those that are closed too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Show a case: reports, notes, measures, outcome.
    Show {
        case: u64,
        #[command(flatten)]
        form: Form,
    },
    /// Show what was said before and after, with edits. Those in the room do not see it; the audit chain does.
    Context {
        case: u64,
        #[command(flatten)]
        form: Form,
    },
    /// Print what stood in a deleted message, out of the sealed archive.
    Original {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Let somebody handle a case.
    Assign { case: u64, name: String },
    /// Note something in a case.
    Note { case: u64, text: String },
    /// Delete the message for everybody. The original stays in the sealed archive.
    Delete {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Tell the author of what was reported something.
    Warn { case: u64, text: String },
    /// Let the author say nothing more in that room.
    Block {
        case: u64,
        /// Everywhere, and not only there.
        #[arg(long)]
        everywhere: bool,
        /// The last day, or a moment [default: until it is taken back].
        #[arg(long)]
        until: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Let the author say something again in that room.
    Unblock {
        case: u64,
        /// What was taken from them everywhere, and not only there.
        #[arg(long)]
        everywhere: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Let what the author posts in that room wait until somebody has looked at it.
    Hold {
        case: u64,
        /// Everywhere, and not only there.
        #[arg(long)]
        everywhere: bool,
        /// The last day, or a moment [default: until it is taken back].
        #[arg(long)]
        until: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Let the author's posts in that room wait no longer.
    Unhold {
        case: u64,
        /// What waited everywhere, and not only there.
        #[arg(long)]
        everywhere: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Suspend the author's account: they read and leave, and do nothing else.
    Suspend {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Suspend it no longer.
    Unsuspend {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Lock the author's account: they do nothing but sign out.
    Lock {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Lock it no longer.
    Unlock {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Send the author out of the room.
    Remove {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Close a case: something was done. Those who reported it are told.
    Close {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Close a case: nothing was to be done. Those who reported it are told.
    Dismiss {
        case: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Print what was said last in a room. Those in it do not see it; the audit chain does.
    Read {
        /// Its id or alias.
        room: String,
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        form: Form,
    },
    /// Print where something was said, in any room that is not encrypted. Nobody there sees it; the audit chain does.
    Search {
        /// The words.
        term: String,
        /// Only in this room: its id or alias.
        #[arg(long)]
        room: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub(super) enum Post {
    /// List the posts that wait.
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Let a post go, by the beginning of its id: everybody in the room sees it.
    Approve {
        post: String,
        #[command(flatten)]
        why: Why,
    },
    /// Refuse a post, by the beginning of its id. Its author is told why.
    Refuse {
        post: String,
        #[command(flatten)]
        why: Why,
    },
}

pub(super) fn run(file: Option<&Path>, case: Case) -> anyhow::Result<()> {
    let order = match case {
        Case::List { all, form } => CaseOrder::List { all, json: form.json },
        Case::Show { case, form } => CaseOrder::Show { case, json: form.json },
        Case::Context { case, form } => CaseOrder::Context { case, json: form.json },
        Case::Original { case, why } => CaseOrder::Original { case, why: why.why },
        Case::Assign { case, name } => CaseOrder::Assign { case, name },
        Case::Note { case, text } => CaseOrder::Note { case, text },
        Case::Delete { case, why } => CaseOrder::Delete { case, why: why.why },
        Case::Warn { case, text } => CaseOrder::Warn { case, text },
        Case::Block { case, everywhere, until, why } => CaseOrder::Block { case, everywhere, until, why: why.why },
        Case::Hold { case, everywhere, until, why } => CaseOrder::Hold { case, everywhere, until, why: why.why },
        Case::Unblock { case, everywhere, why } => take(case, Plain::Unblock, everywhere, why),
        Case::Unhold { case, everywhere, why } => take(case, Plain::Unhold, everywhere, why),
        Case::Suspend { case, why } => take(case, Plain::Suspend, false, why),
        Case::Unsuspend { case, why } => take(case, Plain::Unsuspend, false, why),
        Case::Lock { case, why } => take(case, Plain::Lock, false, why),
        Case::Unlock { case, why } => take(case, Plain::Unlock, false, why),
        Case::Remove { case, why } => CaseOrder::Remove { case, why: why.why },
        Case::Close { case, why } => CaseOrder::Close { case, dismissed: false, why: why.why },
        Case::Dismiss { case, why } => CaseOrder::Close { case, dismissed: true, why: why.why },
        Case::Search { term, room, limit, why, form } => {
            CaseOrder::Search { term, room, limit, why: why.why, json: form.json }
        }
        Case::Read { room, limit, why, form } => CaseOrder::Read { room, limit, why: why.why, json: form.json },
    };
    order::run(file, Order::Case(order))
}

fn take(case: u64, measure: Plain, everywhere: bool, why: Why) -> CaseOrder {
    CaseOrder::Take { case, measure, everywhere, why: why.why }
}

pub(super) fn post(file: Option<&Path>, post: Post) -> anyhow::Result<()> {
    let order = match post {
        Post::List { form } => CaseOrder::Held { json: form.json },
        Post::Approve { post, why } => CaseOrder::Approve { post, why: why.why },
        Post::Refuse { post, why } => CaseOrder::Refuse { post, why: why.why },
    };
    order::run(file, Order::Case(order))
}
