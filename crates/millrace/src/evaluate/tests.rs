//! Labelled files in, figures out.

use std::fs;

use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command};

const MAPPING: &str = "transactionId: {uuid5: \"case/{id}\"}\nuserId: {column: user}\n\
                       amount: {column: amount}\ntransactionTime: {column: time}\n\
                       merchantId: {constant: m}\ntransactionType: {constant: purchase}\n\
                       location: {constant: Oslo}\npaymentMethod: {constant: credit_card}\n\
                       isInternational: {constant: false}\ncurrency: {constant: EUR}\n";

const RULES: &str = "rules:\n  - name: high\n    when: amount > 100 EUR\n    severity: high\n    \
                     score: amount / 100 EUR\n    reason: r\n    mode: live\n  - name: odd\n    \
                     when: amount > 290 EUR\n    severity: low\n    reason: r\n    mode: live\n  - name: hidden\n    \
                     when: amount > 1 EUR\n    severity: low\n    reason: r\n    mode: shadow\n";

/// User d is defrauded before the time that is measured. Scores: b 4 (300: 3, and 1 of the rule
/// without a score), a 2, c none; a row comes twice.
const ROWS: &str = "id,user,amount,time,fraud,kind\n1,d,10,2024-03-01T10:00:00Z,1,x\n\
                    2,a,200,2024-03-02T10:00:00Z,0,\n3,b,300,2024-03-02T11:00:00Z,1,x\n\
                    3,b,300,2024-03-02T11:00:00Z,1,x\n4,c,50,2024-03-02T12:00:00Z,1,y\n\
                    5,d,500,2024-03-02T13:00:00Z,1,x\n6,c,20,2024-03-02T14:00:00Z,0,\n";

fn options(folder: &tempfile::TempDir, rows: &str, more: &str) -> Options {
    let put = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (file, mapping, rules) = (put("a.csv", rows), put("m.yml", MAPPING), put("r.yml", RULES));
    let rejects = folder.path().join("rejects.ndjson").display().to_string();
    let line = format!(
        "millrace evaluate {file} --mapping {mapping} --rules {rules} --rejects {rejects} --scenarios kind {more}"
    );
    match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
        Command::Evaluate(options) => options,
        other => panic!("{other:?}"),
    }
}

fn measured(rows: &str, more: &str) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().unwrap();
    measure(&Settings::default(), &options(&folder, rows, more))
}

/// Worked out by hand. Ranked b (fraud), a, then c's two of score 0, one of them fraud:
/// 1/2 · 1 + 1/2 · 2/4 = 0.75.
#[test]
fn what_is_known_is_left_out_and_the_rest_is_measured() {
    let since = "--labels fraud --since 2024-03-02T00:00:00Z --remove-known-users";
    let report = measured(ROWS, since).unwrap();
    assert_eq!((report.transactions, report.frauds, report.users), (4, 2, 3));
    assert_eq!(
        (report.warm_up_transactions, report.known_users, report.duplicates),
        (1, 1, 1)
    );
    assert_eq!(report.average_precision, Some(0.75));
    // b before both others, c's fraud beside one of equal score and behind another: 2.5 of 4.
    assert_eq!(report.roc_auc, Some(0.625));
    let cards = &report.card_precision;
    assert_eq!((cards.days, cards.mean, cards.ceiling), (1, 0.01, 0.02));
    assert_eq!(
        (report.alerted.transactions, report.alerted.recall),
        (2, Some(0.5))
    );
    let [value] = report.value_detected.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(
        (value.fraud.as_str(), value.alerted.as_str()),
        ("350.00", "300.00")
    );
    assert_eq!((report.time_to_detect.users, report.time_to_detect.never), (2, 1));
    let kinds: Vec<_> = report
        .scenarios
        .iter()
        .map(|kind| (kind.name.as_str(), kind.frauds, kind.recall_of_alerts))
        .collect();
    assert_eq!(kinds, [("x", 1, Some(1.0)), ("y", 1, Some(0.0))]);
    let rules: Vec<_> = report
        .rules
        .iter()
        .map(|rule| (rule.rule.as_str(), rule.alerts, rule.caught))
        .collect();
    assert_eq!(rules, [("hidden", 0, 0), ("high", 2, 1), ("odd", 1, 1)]);
    let shown = print::shown(&report);
    assert!(shown.contains("average precision 0.7500"), "{shown}");
}

#[test]
fn with_everybody_the_known_user_counts() {
    let report = measured(ROWS, "--labels fraud --until 2024-03-02T13:30:00Z").unwrap();
    assert_eq!(
        (report.transactions, report.frauds, report.known_users),
        (5, 4, 0)
    );
}

#[test]
fn what_cannot_be_measured_is_said() {
    let refused = |rows: &str, more: &str| measured(rows, more).unwrap_err().to_string();
    let unlabelled = refused(&ROWS.replace(",1,x", ",maybe,x"), "--labels fraud");
    assert!(unlabelled.contains("fraud is \"maybe\""), "{unlabelled}");
    let missing = refused(ROWS, "--labels frued");
    assert!(missing.contains("there is no column frued"), "{missing}");
    let read = refused(ROWS, "--labels amount");
    assert!(
        read.contains("reads the column amount, which is a label"),
        "{read}"
    );
    let late = refused(ROWS, "--labels fraud --since 2025-01-01T00:00:00Z");
    assert!(late.contains("no transaction is left"), "{late}");
    let honest = refused(
        &ROWS.replace(",1,x", ",0,x").replace(",1,y", ",0,y"),
        "--labels fraud",
    );
    assert!(honest.contains("is fraud the right column?"), "{honest}");
}
