//! What came of a backtest.

use jiff::Timestamp;
use millrace_rules::Version;
use serde::Serialize;

use super::compare::{Comparison, RuleChange, Said};
use super::examples::Example;
use crate::detect::time_text;
use crate::evaluate::{Collected, Labels, Measure, Report};

const DAY_MS: i64 = 86_400_000;

/// What came of a backtest: the rules that are checked are *now*, those that they are compared with
/// *before*.
#[derive(Debug, Serialize)]
pub(in crate::rules) struct Backtest {
    pub(super) before: Outcome,
    pub(super) now: Outcome,
    pub(super) transactions: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: u64,
    /// The first and the last transaction that were compared; none where none was.
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
    pub(super) alerts_added: u64,
    pub(super) alerts_removed: u64,
    pub(super) severities_changed: u64,
    pub(super) scores_changed: u64,
    pub(super) transactions_added: u64,
    pub(super) transactions_removed: u64,
    /// Incidents now where there was none of the user and kind at that time, and the other way
    /// about.
    pub(super) incidents_added: usize,
    pub(super) incidents_removed: usize,
    /// Users with an alert now who had none, and the other way about.
    pub(super) users_added: usize,
    pub(super) users_removed: usize,
    pub(super) alerts_per_day: Option<u64>,
    pub(super) rules: Vec<RuleChange>,
    pub(super) most_telling_added: Vec<Example>,
    pub(super) most_telling_removed: Vec<Example>,
    pub(super) labelled: Option<Labelled>,
}

/// One side by itself.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) version: String,
    pub(super) rules: usize,
    pub(super) alerts: u64,
    pub(super) transactions: u64,
    pub(super) users: usize,
    /// Of the shipped typologies.
    pub(super) incidents: usize,
    /// Over the days (UTC) from the first to the last transaction.
    pub(super) alerts_a_day: f64,
    pub(super) busiest_day: Option<Day>,
    /// Days with more alerts than `--alerts-per-day`.
    pub(super) days_over: Option<usize>,
    pub(super) bytes_a_user: f64,
    pub(super) ns_a_record: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Day {
    pub(super) day: String,
    pub(super) alerts: u64,
}

/// Both measured by labels.
#[derive(Debug, Serialize)]
pub(super) struct Labelled {
    pub(super) before: Report,
    pub(super) now: Report,
}

impl Labelled {
    /// # Errors
    /// No transaction is left, or none of them is fraud.
    pub(super) fn new(
        before: &Collected,
        now: &Collected,
        labels: &Labels,
        measure: &Measure<'_>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            before: Report::new(before, labels, measure)?,
            now: Report::new(now, labels, measure)?,
        })
    }
}

impl Backtest {
    pub(super) fn new(
        comparison: &Comparison,
        (before, now): (&Version, &Version),
        alerts_per_day: Option<u64>,
    ) -> Self {
        let [said_before, said_now] = &comparison.said;
        let days = comparison.times_ms.map_or(1, |(first_ms, last_ms)| {
            last_ms.div_euclid(DAY_MS) - first_ms.div_euclid(DAY_MS) + 1
        });
        let sum = |of: fn(&RuleChange) -> u64| comparison.rules.iter().map(of).sum();
        Self {
            before: Outcome::new(before, said_before, days, alerts_per_day),
            now: Outcome::new(now, said_now, days, alerts_per_day),
            transactions: comparison.transactions,
            duplicates: 0,
            rejected: 0,
            first: comparison.times_ms.map(|(first_ms, _)| time_text(first_ms)),
            last: comparison.times_ms.map(|(_, last_ms)| time_text(last_ms)),
            alerts_added: sum(|rule| rule.added),
            alerts_removed: sum(|rule| rule.removed),
            severities_changed: sum(|rule| rule.severity_changed),
            scores_changed: sum(|rule| rule.score_changed),
            transactions_added: comparison.transactions_added,
            transactions_removed: comparison.transactions_removed,
            incidents_added: 0,
            incidents_removed: 0,
            users_added: said_now.users.difference(&said_before.users).count(),
            users_removed: said_before.users.difference(&said_now.users).count(),
            alerts_per_day,
            rules: comparison.rules.clone(),
            most_telling_added: Vec::new(),
            most_telling_removed: Vec::new(),
            labelled: None,
        }
    }

    /// Whether both said the same of every transaction.
    pub(super) fn is_same(&self) -> bool {
        self.alerts_added + self.alerts_removed + self.severities_changed + self.scores_changed == 0
    }
}

impl Outcome {
    fn new(version: &Version, said: &Said, days: i64, alerts_per_day: Option<u64>) -> Self {
        // Of equal days, the first.
        let busiest = said
            .days
            .iter()
            .rev()
            .max_by_key(|(_, alerts)| **alerts)
            .map(|(&day, &alerts)| Day {
                day: day_text(day),
                alerts,
            });
        Self {
            version: version.hash().to_string(),
            rules: version.rules().len(),
            alerts: said.alerts,
            transactions: said.transactions,
            users: said.users.len(),
            incidents: 0,
            alerts_a_day: said.alerts as f64 / days as f64,
            busiest_day: busiest,
            days_over: alerts_per_day.map(|most| said.days.values().filter(|&&alerts| alerts > most).count()),
            bytes_a_user: version.cost().bytes_a_user,
            ns_a_record: version.cost().ns_a_record,
        }
    }
}

/// A day since 1970 as a date; its number where that has no date.
fn day_text(day: i64) -> String {
    Timestamp::from_millisecond(day * DAY_MS)
        .map_or_else(|_| day.to_string(), |start| start.strftime("%F").to_string())
}
