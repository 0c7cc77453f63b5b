//! `lyceum person …`, `lyceum unit …`, `lyceum enrol …`, `lyceum exam …`, `lyceum block …`, `lyceum audit …`: the institution from the server's own machine.

use std::path::Path;

use clap::Subcommand;

use super::{
    options::{Form, Why},
    order,
};
use crate::operator::Order;
use crate::operator::institution::InstitutionOrder;

#[derive(Subcommand)]
pub(super) enum Person {
    /// Give a person a role.
    Set {
        /// The name before the colon, or the whole id.
        name: String,
        /// The role: student, teacher, tutor, support_agent, staff, moderator, dos, admin, or as configured.
        #[arg(long)]
        role: String,
        #[command(flatten)]
        why: Why,
    },
    /// Take a person's role away.
    Unset {
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Show a person's role and enrolments.
    Show {
        name: String,
        #[command(flatten)]
        form: Form,
    },
    /// List the people who have a role.
    List {
        /// Only those of this role.
        #[arg(long)]
        role: Option<String>,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub(super) enum Unit {
    /// Make or change a unit.
    Set {
        /// Its code, such as MATH-101.
        code: String,
        /// institution, department, level, course or class.
        #[arg(long)]
        kind: String,
        /// Its name [default: the code].
        #[arg(long)]
        name: Option<String>,
        /// The code of the unit it lies in.
        #[arg(long = "in", value_name = "CODE")]
        parent: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Remove a unit that is empty.
    Remove {
        code: String,
        #[command(flatten)]
        why: Why,
    },
    /// List the units.
    List {
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub(super) enum Enrol {
    /// Enrol a person in a unit.
    Add {
        name: String,
        unit: String,
        /// The role there [default: the person's own].
        #[arg(long)]
        role: Option<String>,
        /// The first day, such as 2026-09-01, or a moment.
        #[arg(long)]
        from: Option<String>,
        /// The last day, or a moment.
        #[arg(long)]
        until: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// End an enrolment now. It stays in the list.
    End {
        name: String,
        unit: String,
        #[command(flatten)]
        why: Why,
    },
    /// Take an enrolment out of the list.
    Remove {
        name: String,
        unit: String,
        #[command(flatten)]
        why: Why,
    },
    /// List enrolments.
    List {
        /// Only those of this person.
        #[arg(long)]
        person: Option<String>,
        /// Only those in this unit.
        #[arg(long)]
        unit: Option<String>,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub(super) enum Exam {
    /// Let a unit sit an exam: its rooms are read-only for those who sit it until it ends.
    Set {
        unit: String,
        /// When it begins, such as 2026-12-14T09:00 [default: now].
        #[arg(long)]
        from: Option<String>,
        /// When it ends.
        #[arg(long)]
        until: String,
        #[command(flatten)]
        why: Why,
    },
    /// End a unit's exam, or call it off.
    End {
        unit: String,
        #[command(flatten)]
        why: Why,
    },
    /// List the exams.
    List {
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub(super) enum Block {
    /// Let a person say nothing more. What they said stays.
    Set {
        name: String,
        /// Only in this room [default: everywhere].
        #[arg(long)]
        room: Option<String>,
        /// The last day, or a moment [default: until it is taken back].
        #[arg(long)]
        until: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Let a person speak again.
    Lift {
        name: String,
        #[arg(long)]
        room: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// List who is blocked.
    List {
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub(super) enum Audit {
    /// Prove that no row of the audit chain was changed, removed or swapped.
    Verify,
    /// Print the audit chain, a JSON object a line.
    Export,
}

pub(super) fn person(file: Option<&Path>, person: Person) -> anyhow::Result<()> {
    give(
        file,
        match person {
            Person::Set { name, role, why } => InstitutionOrder::PersonSet { name, role: Some(role), why: why.why },
            Person::Unset { name, why } => InstitutionOrder::PersonSet { name, role: None, why: why.why },
            Person::Show { name, form } => InstitutionOrder::PersonShow { name, json: form.json },
            Person::List { role, form } => InstitutionOrder::PersonList { role, json: form.json },
        },
    )
}

pub(super) fn unit(file: Option<&Path>, unit: Unit) -> anyhow::Result<()> {
    give(
        file,
        match unit {
            Unit::Set { code, kind, name, parent, why } => {
                InstitutionOrder::UnitSet { code, kind, name, parent, why: why.why }
            }
            Unit::Remove { code, why } => InstitutionOrder::UnitRemove { code, why: why.why },
            Unit::List { form } => InstitutionOrder::UnitList { json: form.json },
        },
    )
}

pub(super) fn enrol(file: Option<&Path>, enrol: Enrol) -> anyhow::Result<()> {
    give(
        file,
        match enrol {
            Enrol::Add { name, unit, role, from, until, why } => {
                InstitutionOrder::EnrolAdd { name, unit, role, from, until, why: why.why }
            }
            Enrol::End { name, unit, why } => InstitutionOrder::EnrolEnd { name, unit, why: why.why },
            Enrol::Remove { name, unit, why } => InstitutionOrder::EnrolRemove { name, unit, why: why.why },
            Enrol::List { person, unit, form } => InstitutionOrder::EnrolList { name: person, unit, json: form.json },
        },
    )
}

pub(super) fn exam(file: Option<&Path>, exam: Exam) -> anyhow::Result<()> {
    give(
        file,
        match exam {
            Exam::Set { unit, from, until, why } => InstitutionOrder::ExamSet { unit, from, until, why: why.why },
            Exam::End { unit, why } => InstitutionOrder::ExamEnd { unit, why: why.why },
            Exam::List { form } => InstitutionOrder::ExamList { json: form.json },
        },
    )
}

pub(super) fn block(file: Option<&Path>, block: Block) -> anyhow::Result<()> {
    give(
        file,
        match block {
            Block::Set { name, room, until, why } => InstitutionOrder::Block { name, room, until, why: why.why },
            Block::Lift { name, room, why } => InstitutionOrder::Unblock { name, room, why: why.why },
            Block::List { form } => InstitutionOrder::BlockList { json: form.json },
        },
    )
}

/// Fills a trial server.
pub(super) fn sample(file: Option<&Path>, seed: u64) -> anyhow::Result<()> {
    give(file, InstitutionOrder::Sample { seed })
}

pub(super) fn audit(file: Option<&Path>, audit: Audit) -> anyhow::Result<()> {
    give(
        file,
        match audit {
            Audit::Verify => InstitutionOrder::AuditVerify,
            Audit::Export => InstitutionOrder::AuditExport,
        },
    )
}

fn give(file: Option<&Path>, order: InstitutionOrder) -> anyhow::Result<()> {
    order::run(file, Order::Institution(order))
}
