//! Figures: percentiles, and the report printed at the end.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failure;

/// Latencies of one measure.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn push(&mut self, one: Duration) {
        self.0.push(one);
    }

    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The latency that this share of all stays under, in milliseconds.
    pub fn percentile_ms(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        self.0.sort_unstable();
        let place = ((self.0.len() as f64 * share).ceil() as usize).clamp(1, self.0.len());
        self.0[place - 1].as_secs_f64() * 1000.0
    }
}

/// Lines of figures, each with its unit.
#[derive(Default)]
pub struct Report {
    lines: Vec<(String, Vec<(&'static str, f64)>)>,
    failures: Vec<String>,
}

impl Report {
    pub fn line(&mut self, work: impl Into<String>, figures: Vec<(&'static str, f64)>) {
        self.lines.push((work.into(), figures));
    }

    pub fn failed(&mut self, measure: &str, why: &Failure) {
        self.failures.push(format!("{measure}: {why}"));
    }

    pub fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    pub fn print(&self) {
        let width = self.lines.iter().map(|(work, _)| work.chars().count()).max().unwrap_or(0);
        for (work, figures) in &self.lines {
            let mut line = format!("{work:width$} ");
            for (unit, figure) in figures {
                let digits = if figure.abs() >= 100.0 {
                    0
                } else if figure.abs() >= 10.0 {
                    1
                } else {
                    2
                };
                let _ = write!(line, "  {figure:.digits$} {unit}");
            }
            println!("{line}");
        }
        for failure in &self.failures {
            println!("NOT MEASURED {failure}");
        }
    }

    pub fn json(&self) -> String {
        let lines = self.lines.iter().map(|(work, figures)| {
            let figures: serde_json::Map<_, _> =
                figures.iter().map(|(unit, figure)| ((*unit).to_owned(), json!(figure))).collect();
            json!({ "work": work, "figures": figures })
        });
        let report = json!({ "measures": lines.collect::<Vec<Value>>(), "failures": self.failures });
        format!("{report:#}\n")
    }
}
