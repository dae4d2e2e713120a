//! Two sets of rules over one file, worked out by hand.

use std::fs;

use clap::Parser;

use super::super::load;
use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

const MAPPING: &str = "transactionId: {uuid5: \"case/{id}\"}\nuserId: {column: user}\n\
                       amount: {column: amount}\ntransactionTime: {column: time}\n\
                       merchantId: {constant: m}\ntransactionType: {constant: purchase}\n\
                       location: {constant: Oslo}\npaymentMethod: {constant: credit_card}\n\
                       isInternational: {constant: false}\ncurrency: {constant: EUR}\n";

/// 5 is a copy of 4; the last two are on another day.
const ROWS: &str = "id,user,amount,time,fraud\n1,a,10,2024-03-01T10:00:00Z,0\n2,a,150,2024-03-01T11:00:00Z,0\n\
                    3,b,250,2024-03-01T12:00:00Z,1\n4,c,90,2024-03-02T10:00:00Z,1\n\
                    4,c,90,2024-03-02T10:00:00Z,1\n5,a,400,2024-03-02T11:00:00Z,0\n";

fn rule(name: &str, when: &str, severity: &str, mode: &str) -> String {
    format!(
        "  - name: {name}\n    when: {when}\n    severity: {severity}\n    score: amount / 100 EUR\n    \
         reason: r\n    mode: {mode}\n"
    )
}

/// Before: above 100, above 300, and one that is gone. Now: above 80, above 300 and worse, and one
/// in shadow.
fn before() -> String {
    let rules = [
        rule("high", "amount > 100 EUR", "low", "live"),
        rule("very_high", "amount > 300 EUR", "low", "live"),
        rule("round", "amount == 250 EUR", "low", "live"),
    ];
    format!("rules:\n{}", rules.concat())
}

fn now() -> String {
    let rules = [
        rule("high", "amount > 80 EUR", "low", "live"),
        rule("very_high", "amount > 300 EUR", "high", "live"),
        rule("any", "amount > 1 EUR", "low", "shadow"),
    ];
    format!("rules:\n{}", rules.concat())
}

fn compared(before: &str, now: &str, more: &str) -> anyhow::Result<Backtest> {
    compared_over(ROWS, before, now, more)
}

fn compared_over(rows: &str, before: &str, now: &str, more: &str) -> anyhow::Result<Backtest> {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let (rows, mapping) = (put("a.csv", rows), put("m.yml", MAPPING));
    let (before, now) = (put("before.yml", before), put("now.yml", now));
    let line = format!(
        "check --over {} --mapping {} --against {} --rejects {} {more}",
        rows.display(),
        mapping.display(),
        before.display(),
        folder.path().join("rejects.ndjson").display()
    );
    let options = Line::try_parse_from(line.split_whitespace())?.options;
    run(&Settings::default(), &options, load(&[now])?)
}

#[test]
fn what_is_added_removed_and_changed_is_told_by_rule() {
    let found = compared(&before(), &now(), "--alerts-per-day 1").unwrap();
    assert_eq!((found.transactions, found.duplicates, found.rejected), (5, 1, 0));
    assert_eq!((found.before.alerts, found.now.alerts), (5, 5));
    assert_eq!((found.alerts_added, found.alerts_removed), (1, 1));
    assert_eq!((found.severities_changed, found.scores_changed), (1, 0));
    assert_eq!((found.transactions_added, found.transactions_removed), (1, 0));
    assert_eq!((found.users_added, found.users_removed), (1, 0));
    // Of rules by themselves: before a's and b's of high, b's of round and a's of very_high; now
    // c's of high too, and none of round.
    assert_eq!((found.before.incidents, found.now.incidents), (4, 4));
    assert_eq!((found.incidents_added, found.incidents_removed), (1, 1));
    assert_eq!((found.before.alerts_a_day, found.now.days_over), (2.5, Some(2)));
    let busiest = found.before.busiest_day.as_ref().unwrap();
    assert_eq!((busiest.day.as_str(), busiest.alerts), ("2024-03-01", 3));
    let rules: Vec<_> = found
        .rules
        .iter()
        .map(|rule| {
            (
                rule.rule.as_str(),
                rule.change,
                rule.before,
                rule.now,
                rule.added,
                rule.removed,
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            ("any", "new", 0, 0, 0, 0),
            ("high", "changed", 3, 4, 1, 0),
            ("round", "gone", 1, 0, 0, 1),
            ("very_high", "changed", 1, 1, 0, 0),
        ]
    );
    let [added] = found.most_telling_added.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((added.rule.as_str(), added.user_id.as_str()), ("high", "c"));
    assert_eq!((added.score, added.is_fraud), (Some(0.9), None));
    let shown = shown(&found);
    assert!(
        shown.contains("1 alerts added, 1 removed, 1 of another severity"),
        "{shown}"
    );
}

#[test]
fn with_labels_both_are_measured() {
    let found = compared(&before(), &now(), "--labels fraud").unwrap();
    assert_eq!(found.most_telling_added[0].is_fraud, Some(true));
    let labelled = found.labelled.as_ref().unwrap();
    let caught = |report: &crate::evaluate::Report| (report.alerted.caught, report.alerted.transactions);
    assert_eq!(
        (caught(&labelled.before), caught(&labelled.now)),
        ((1, 3), (2, 4))
    );
    let shown = shown(&found);
    assert!(shown.contains("1 of 2") && shown.contains("2 of 2"), "{shown}");
}

#[test]
fn what_is_before_the_time_asked_for_warms_up_alone() {
    let count = |limit: u32| {
        format!(
            "rules:\n{}",
            rule("often", &format!("count(\"7d\") >= {limit}"), "low", "live")
        )
    };
    let found = compared(&count(4), &count(3), "--since 2024-03-02T00:00:00Z").unwrap();
    assert_eq!(
        (found.transactions, found.now.alerts, found.alerts_added),
        (2, 1, 1)
    );
    let none = compared(&count(4), &count(3), "--since 2025-01-01T00:00:00Z").unwrap();
    assert!(shown(&none).contains("no transaction is left"), "{none:?}");
}

#[test]
fn the_same_rules_say_the_same() {
    let found = compared(&now(), &now(), "").unwrap();
    assert!(found.is_same() && found.most_telling_added.is_empty());
    assert!(shown(&found).contains("no alert is added"), "{found:?}");
}

#[test]
fn what_is_missing_is_named() {
    let refused = |line: &str| {
        Line::try_parse_from(line.split_whitespace())
            .unwrap_err()
            .to_string()
    };
    assert!(refused("check --over a.csv --against library").contains("--mapping"));
    assert!(refused("check --against library").contains("--over"));
    let wrong = compared("rules: [", &now(), "").unwrap_err();
    assert!(
        format!("{wrong:#}").starts_with("--against: the rules are wrong"),
        "{wrong:#}"
    );
}

#[test]
fn the_most_telling_are_kept_and_no_more() {
    let rank = |fraud, score, time| Rank::new(Some(fraud), score, time);
    let mut ranks = [
        rank(false, Some(9.0), 1),
        rank(true, Some(0.5), 5),
        rank(false, None, 2),
        rank(false, Some(-3.0), 0),
        rank(false, Some(9.0), 0),
    ];
    ranks.sort();
    assert_eq!(
        ranks,
        [
            rank(false, Some(-3.0), 0),
            rank(false, None, 2),
            rank(false, Some(9.0), 1),
            rank(false, Some(9.0), 0),
            rank(true, Some(0.5), 5),
        ]
    );
    let rows: String = (1..=30)
        .map(|id| format!("{id},u,{}00,2024-03-01T10:00:{id:02}Z,0\n", (id * 7) % 31 + 1))
        .collect();
    let rows = format!("id,user,amount,time,fraud\n{rows}");
    let all = format!("rules:\n{}", rule("all", "amount > 1 EUR", "low", "live"));
    let found = compared_over(&rows, "rules: []", &all, "").unwrap();
    let scores: Vec<f64> = found
        .most_telling_added
        .iter()
        .filter_map(|example| example.score)
        .collect();
    // The amounts are 2 to 31 hundred, each once.
    let best: Vec<f64> = (12..=31).rev().map(f64::from).collect();
    assert_eq!((found.alerts_added, scores), (30, best));
}

#[test]
fn both_judge_by_the_lists_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("lists.ndjson");
    let deny = r#"{"list":"deny","kind":"user","entity":"a","until":"2024-03-01T11:00:00Z"}"#;
    let snooze = r#"{"purpose":"snooze","rule":"very_high","kind":"user","entity":"a","until":"2024-03-03T00:00:00Z"}"#;
    fs::write(&lists, format!("{deny}\n{snooze}\n")).unwrap();
    let now = before() + &rule("denied", "listed(\"deny\", user)", "critical", "live");
    let more = format!("--lists {}", lists.display());
    let found = compared(&before(), &now, &more).unwrap();
    // Of high three and of round one; very_high is snoozed, and the entry ends at a's second.
    assert_eq!((found.before.alerts, found.now.alerts), (4, 5));
    assert_eq!((found.alerts_added, found.alerts_removed), (1, 0));
    let without = compared(&before(), &now, "").unwrap();
    assert_eq!((without.before.alerts, without.now.alerts), (5, 5));
}
