//! Orders about exams and blocks.

use anyhow::anyhow;
use lyceum_institution::{Block, Change, Exam};
use ruma::OwnedRoomId;
use serde_json::json;

use super::table::Table;
use super::{Operator, Report};

impl Operator {
    pub(super) async fn set_exam(
        &self,
        unit: String,
        exam: Option<Exam>,
        why: Option<&str>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let show = |at| self.institution.settings().calendar.show(at);
        let line = match exam {
            Some(exam) => format!("{unit} sits an exam from {} until {}.", show(exam.from_ms), show(exam.until_ms)),
            None => format!("{unit} sits no exam."),
        };
        self.by_hand(Change::Exam { unit, exam }, why).await?;
        report.say(line);
        Ok(())
    }

    pub(super) async fn list_exams(&self, json: bool, report: &Report) -> anyhow::Result<()> {
        let roster = self.institution.roster().await?;
        let mut table = Table::new(["unit", "from", "until"]);
        for (unit, exam) in roster.exams() {
            if json {
                report.say(json!({ "unit": unit, "from_ms": exam.from_ms, "until_ms": exam.until_ms }).to_string());
                continue;
            }
            let show = |at| self.institution.settings().calendar.show(at);
            table.row([unit.to_owned(), show(exam.from_ms), show(exam.until_ms)]);
        }
        table.say(report, json);
        Ok(())
    }

    pub(super) async fn set_block(
        &self,
        (name, room): (&str, Option<String>),
        block: Option<Block>,
        why: Option<&str>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let user = self.user_id(name)?;
        let place = room.as_deref().map_or_else(|| "everywhere".to_owned(), |room| format!("in {room}"));
        let line = match block {
            Some(_) => format!("{user} is blocked {place}. What they said stays."),
            None => format!("{user} is not blocked {place} any more."),
        };
        let room = room.map(OwnedRoomId::try_from).transpose().map_err(|_| anyhow!("that is no room id"))?;
        self.by_hand(Change::Block { user, room, block }, why).await?;
        report.say(line);
        Ok(())
    }

    pub(super) async fn list_blocks(&self, json: bool, report: &Report) -> anyhow::Result<()> {
        let roster = self.institution.roster().await?;
        let mut table = Table::new(["person", "room", "until"]);
        for (user, room, block) in roster.blocks() {
            if json {
                report.say(json!({ "user_id": user, "room_id": room, "until_ms": block.until_ms }).to_string());
                continue;
            }
            let until = block.until_ms.map(|at| self.institution.settings().calendar.show(at)).unwrap_or_default();
            table.row([user.to_string(), room.unwrap_or("everywhere").to_owned(), until]);
        }
        table.say(report, json);
        Ok(())
    }
}
