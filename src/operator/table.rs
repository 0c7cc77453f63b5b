//! A table in plain text: columns as wide as what stands in them.

use super::Report;

/// Rows being collected.
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(str::to_uppercase)] }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Says it, unless it was said as JSON already.
    pub(super) fn say(self, report: &Report, said: bool) {
        if said {
            return;
        }
        for line in self.lines() {
            report.say(line);
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.rows.iter().map(move |row| {
            let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new(["unit", "name"]);
        table.row(["a".into(), "Élan".into()]);
        table.row(["maths".into(), String::new()]);
        assert_eq!(table.lines().collect::<Vec<_>>(), ["UNIT   NAME", "a      Élan", "maths"]);
    }
}
