//! What a line came to, as a table and as JSON.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::usage::Usage;

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// Of what.
    pub name: String,
    /// In which unit.
    pub unit: &'static str,
    /// The figure.
    pub value: f64,
    /// What it is to be, if the project has set something.
    pub target: Option<Target>,
}

impl Measure {
    /// A figure that only informs.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            target: None,
        }
    }

    /// With its target.
    #[must_use]
    pub fn to_be(self, target: Target) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// Whether it is as it is to be; `None` without a target.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtLeast(least) => self.value >= least,
            Target::AtMost(most) => self.value <= most,
        })
    }
}

/// What one measurement came to.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Figure {
    /// What was done.
    pub what: String,
    /// Records it was done with.
    pub records: u64,
    /// How long that took, in seconds.
    pub wall_s: f64,
    /// What each process, or this one's thread, used meanwhile.
    pub usage: BTreeMap<String, Usage>,
    /// The figures.
    pub measures: Vec<Measure>,
}

impl Figure {
    /// Processor seconds of one process.
    #[must_use]
    pub fn cpu_s(&self, process: &str) -> f64 {
        self.usage.get(process).map_or(0.0, |usage| usage.cpu_s)
    }

    /// Adds records for each processor second of `process`.
    #[must_use]
    pub fn per_cpu_second(mut self, process: &str, target: Option<Target>) -> Self {
        let value = self.records as f64 / self.cpu_s(process).max(f64::MIN_POSITIVE);
        let name = format!("records per CPU second of the {process}");
        self.measures.push(Measure {
            name,
            unit: "1/s",
            value,
            target,
        });
        self
    }

    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, measure: Measure) -> Self {
        self.measures.push(measure);
        self
    }
}

/// One row for each figure, under a row for what was done.
#[must_use]
pub(super) fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["what", "figure", "unit", "target", "met"]);
    for figure in figures {
        let processes = figure.usage.iter().map(|(name, usage)| format!("{name} {usage}"));
        let processes: Vec<String> = processes.collect();
        table.add_row([
            Cell::new(format!(
                "{}: {} records in {:.1} s\n{}",
                figure.what,
                figure.records,
                figure.wall_s,
                processes.join("\n")
            )),
            Cell::new(""),
        ]);
        for measure in &figure.measures {
            let target = match measure.target {
                Some(Target::AtLeast(least)) => format!("≥ {}", show(least)),
                Some(Target::AtMost(most)) => format!("≤ {}", show(most)),
                None => String::new(),
            };
            let met = measure.is_met().map_or("", |met| if met { "yes" } else { "NO" });
            table.add_row([
                Cell::new(format!("  {}", measure.name)),
                Cell::new(show(measure.value)).set_alignment(CellAlignment::Right),
                Cell::new(measure.unit),
                Cell::new(target),
                Cell::new(met),
            ]);
        }
    }
    table
}

/// Three digits that say something, and thousands apart.
fn show(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown.replace("-,", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_bound() {
        let measure = |value| Measure::new("rate", value, "1/s");
        assert_eq!(measure(5.0).is_met(), None);
        assert_eq!(measure(5.0).to_be(Target::AtLeast(5.0)).is_met(), Some(true));
        assert_eq!(measure(4.9).to_be(Target::AtLeast(5.0)).is_met(), Some(false));
        assert_eq!(measure(5.1).to_be(Target::AtMost(5.0)).is_met(), Some(false));
    }

    #[test]
    fn figures_are_shown_for_a_person() {
        assert_eq!(show(1_234_567.4), "1,234,567");
        assert_eq!(show(-123_456.0), "-123,456");
        assert_eq!(show(51.234), "51.23");
        assert_eq!(show(100.0), "100");
    }

    #[test]
    fn records_are_counted_by_the_processor_time_of_their_process() {
        let mut figure = Figure {
            records: 3_000,
            ..Figure::default()
        };
        let usage = Usage {
            cpu_s: 1.5,
            peak_memory_mb: 1.0,
        };
        figure.usage.insert("detector".to_owned(), usage);
        let figure = figure.per_cpu_second("detector", None);
        assert_eq!(figure.measures[0].value, 2_000.0);
    }
}
