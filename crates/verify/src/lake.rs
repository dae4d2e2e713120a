//! The lake's files against the topics, where the lake's sink is enabled.

use std::time::{Duration, Instant};

use millrace_domain::Sum;
use millrace_lake_sink::store::Lake;
use millrace_lake_sink::verify::{Found, verify};
use millrace_settings::Settings;

use crate::Options;
use crate::report::{Report, Row, Verdict};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// The report with a row for each table, and for each of its sums of money. Waits for the sink, as
/// long as a comparison may.
pub(crate) async fn compare(settings: &Settings, options: &Options, report: Report) -> Report {
    let deadline = Instant::now() + options.timeout;
    loop {
        let found = match Lake::open(&settings.lake_sink) {
            Ok(lake) => verify(settings, &lake).await,
            Err(error) => Err(error),
        };
        let is_over = Instant::now() >= deadline;
        let told = match found {
            Ok(found) => {
                let waits = !options.allow_open && found.iter().any(|of| of.behind > 0);
                let is_well = found.iter().all(Found::is_well);
                let told = with_tables(&report, &found, options.allow_open);
                if !is_well || !waits {
                    return told;
                }
                told
            }
            Err(error) => report.clone().with_unread("the lake", &format!("{error:#}")),
        };
        if is_over {
            return told;
        }
        (options.on_wait)(&told);
        tokio::time::sleep(PAUSE).await;
    }
}

fn with_tables(report: &Report, found: &[Found], allow_open: bool) -> Report {
    let rows = found.iter().flat_map(|of| rows(of, allow_open));
    let checks = report.checks.iter().cloned().chain(rows).collect();
    Report::of(checks, report.counts, allow_open)
}

fn rows(found: &Found, allow_open: bool) -> Vec<Row> {
    let verdict = match (found.is_well(), found.behind) {
        (false, _) => Verdict::Failed,
        (true, 1..) if !allow_open => Verdict::Open,
        (true, _) => Verdict::Passed,
    };
    let mut rows = vec![Row {
        check: format!("lake: {}", found.table),
        expected: found.records.to_string(),
        actual: found.rows.to_string(),
        difference: difference(found),
        verdict,
        may_change: verdict == Verdict::Open,
    }];
    for (column, topic, files) in &found.sums {
        rows.push(Row {
            check: format!("lake: {column} of {}", found.table),
            expected: Sum::from_units(*topic).to_string(),
            actual: Sum::from_units(*files).to_string(),
            difference: Sum::from_units(files - topic).to_string(),
            verdict: match topic == files {
                true => Verdict::Passed,
                false => Verdict::Failed,
            },
            may_change: false,
        });
    }
    rows
}

/// What is not as it must be of a table's rows.
fn difference(found: &Found) -> String {
    let wrong = [
        (found.missing, "missing"),
        (found.doubled, "twice"),
        (found.surplus, "of no record"),
        (found.overlaps, "files that overlap"),
        (found.beyond, "files that end beyond the topic"),
        (found.behind, "partitions that are behind"),
    ];
    let told = wrong.iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = told.map(|(count, what)| format!("{count} {what}")).collect();
    match told.is_empty() {
        true => "0".to_owned(),
        false => told.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Counts;

    fn told(found: &Found, allow_open: bool) -> Vec<(String, String, Verdict)> {
        let report = Report::of(Vec::new(), Counts::default(), allow_open);
        let report = with_tables(&report, std::slice::from_ref(found), allow_open);
        let rows = report.checks.into_iter();
        rows.map(|row| (row.check, row.difference, row.verdict)).collect()
    }

    #[test]
    fn a_table_is_as_its_topic_or_says_how_not() {
        let mut found = Found {
            table: "transactions",
            records: 3,
            rows: 3,
            sums: vec![("amount", 57_160_000, 57_160_000)],
            ..Found::default()
        };
        let rows = "lake: transactions".to_owned();
        let sums = "lake: amount of transactions".to_owned();
        let of = |difference: &str, verdict| (rows.clone(), difference.to_owned(), verdict);
        assert_eq!(told(&found, false)[0], of("0", Verdict::Passed));
        found.behind = 2;
        assert_eq!(
            told(&found, false)[0],
            of("2 partitions that are behind", Verdict::Open)
        );
        assert_eq!(told(&found, true)[0].2, Verdict::Passed, "a stream that goes on");
        found.missing = 1;
        found.sums[0].2 -= 1;
        let all = told(&found, true);
        assert_eq!(
            all[0],
            of("1 missing, 2 partitions that are behind", Verdict::Failed)
        );
        assert_eq!((&all[1].0, all[1].2), (&sums, Verdict::Failed));
    }
}
