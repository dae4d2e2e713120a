//! What could not be compared in time.

use super::*;

#[test]
fn what_could_not_be_read_is_neither_passed_nor_failed() {
    let report = after(|_, _, _| {}).with_unread("Elasticsearch", "it is away");
    assert_eq!((report.outcome, report.passed), (Outcome::NotFinished, false));
    assert!(!report.is_settled(false));
    assert!(report.to_table().contains("it is away"));
    let failed = after(|_, observed, _| cent(observed, 1)).with_unread("Elasticsearch", "it is away");
    assert_eq!(failed.outcome, Outcome::Failed);
}

#[test]
fn what_is_missing_while_a_job_is_behind_is_open() {
    let missing = || {
        after(|_, observed, indexed| {
            cent(observed, -1);
            indexed.aggregates = observed.aggregates.clone();
            indexed.anomalies = 0;
        })
    };
    assert_eq!(missing().with_behind(|_| Vec::new()).outcome, Outcome::Failed);
    let report = missing().with_behind(|_| vec!["aggregate-merge on partials"]);
    assert_eq!(report.outcome, Outcome::NotFinished);
    assert!(report.to_table().contains("aggregate-merge on partials"));
    // The sink alone explains what is missing in Elasticsearch alone.
    let sink = |row: &str| match row.starts_with(INDEX) {
        true => vec!["elastic-sink"],
        false => Vec::new(),
    };
    assert!(failed(&missing().with_behind(sink)).contains(&"USD purchases"));
    // And what is too much is no matter of waiting.
    let report = after(|_, observed, _| cent(observed, 1));
    assert_eq!(
        report.with_behind(|_| vec!["aggregate-merge"]).outcome,
        Outcome::Failed
    );
}
