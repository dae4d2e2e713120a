//! Files in, alerts out.

use std::fs;
use std::path::PathBuf;

use clap::Parser as _;
use millrace_settings::Settings;
use serde_json::Value;

use super::*;
use crate::cli::{Cli, Command};

const MAPPING: &str = "transactionId: {uuid5: \"case/{id}\"}\nuserId: {column: user}\n\
                       amount: {column: amount}\ntransactionTime: {column: time}\n\
                       merchantId: {constant: m}\ntransactionType: {constant: purchase}\n\
                       location: {constant: Oslo}\npaymentMethod: {constant: credit_card}\n\
                       isInternational: {constant: false}\ncurrency: {constant: EUR}\n";

const RULES: &str = "rules:\n  - name: high\n    when: amount > 3 * avg(\"24h\", amount).excluding_current()\n    \
                     severity: high\n    score: amount / avg(\"24h\", amount).excluding_current()\n    \
                     reason: far above\n    mode: live\n  \
                     - name: watched\n    when: amount > 1 EUR\n    severity: low\n    reason: r\n    \
                     mode: shadow\n";

/// Newest first, with a copy and a bad row.
const ROWS: &str = "id,user,amount,time\n4,u,45.5,2024-03-01T13:00:00Z\n3,u,12,2024-03-01T12:00:00Z\n\
                    3,u,12,2024-03-01T12:00:00Z\n2,u,8,2024-03-01T11:00:00Z\n1,u,0,2024-03-01T10:00:00Z\n";

fn put(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn options(folder: &tempfile::TempDir, rows: &str) -> Options {
    let (file, mapping) = (put(folder, "a.csv", rows), put(folder, "m.yml", MAPPING));
    let rules = put(folder, "r.yml", RULES);
    let folder = folder.path().display();
    let line = format!(
        "millrace detect {} --mapping {} --rules {} --out {folder}/out.ndjson --rejects {folder}/rejects.ndjson",
        file.display(),
        mapping.display(),
        rules.display()
    );
    match Cli::try_parse_from(line.split(' ')).unwrap().command {
        Command::Detect(options) => options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_gives_its_alerts_with_their_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, ROWS);
    assert_eq!(
        command(&Settings::default(), &options).unwrap(),
        ExitCode::SUCCESS
    );
    let written = fs::read_to_string(folder.path().join("out.ndjson")).unwrap();
    let alerts: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [alert] = alerts.as_slice() else {
        panic!("the rule in shadow alerts nobody: {written}");
    };
    assert_eq!(alert["rule"], "high");
    assert_eq!(alert["reason"], "far above");
    assert_eq!(alert["amount"], 45.5);
    assert_eq!(alert["transactionTime"], "2024-03-01T13:00:00Z");
    assert_eq!(alert["score"], 4.55);
    assert_eq!(alert["revision"].as_str().unwrap().len(), 64);
    assert_eq!(alert["ruleSetVersion"].as_str().unwrap().len(), 64);
    let feature = &alert["features"][0];
    assert_eq!(
        (&feature["value"], &feature["unit"]),
        (&Value::from(10.0), &Value::from("EUR"))
    );
    assert!(
        feature["feature"]
            .as_str()
            .unwrap()
            .starts_with("avg(\"24h\", amount)")
    );
    let rejects = fs::read_to_string(folder.path().join("rejects.ndjson")).unwrap();
    assert!(rejects.contains("must be above 0"), "{rejects}");
}

#[test]
fn copies_and_bad_rows_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, ROWS);
    let (transactions, judge) = options.input.open(&Settings::default()).unwrap();
    let summary = {
        let mut lines = Lines::create(Some(&folder.path().join("lines"))).unwrap();
        run(transactions, judge, &mut lines, None).unwrap()
    };
    assert_eq!(
        (summary.transactions, summary.duplicates, summary.rejected),
        (3, 1, 1)
    );
    assert_eq!((summary.alerts, summary.alerted), (1, 1));
    // The first purchase has no average.
    assert_eq!(summary.rules[0], ("high".to_owned(), 1, 1, 0));
    let shown = summary.to_string();
    assert!(
        shown.contains("3 transactions, 2024-03-01T11:00:00Z to 2024-03-01T13:00:00Z"),
        "{shown}"
    );
}

#[test]
fn the_order_of_rows_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines: Vec<&str> = ROWS.lines().collect();
    let written = |rows: &str| {
        command(&Settings::default(), &options(&folder, rows)).unwrap();
        fs::read(folder.path().join("out.ndjson")).unwrap()
    };
    let newest_first = written(ROWS);
    lines[1..].reverse();
    assert_eq!(written(&lines.join("\n")), newest_first);
}

#[test]
fn alerts_become_incidents_in_a_file_beside() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "id,user,amount,time\n1,u,10,2024-03-01T10:00:00Z\n2,u,100,2024-03-01T11:00:00Z\n\
                3,u,2000,2024-03-01T12:00:00Z\n4,v,1,2024-03-02T11:00:00Z\n5,v,50,2024-03-02T11:30:00Z\n";
    let mut options = options(&folder, rows);
    let (incidents, typologies) = (folder.path().join("i.ndjson"), folder.path().join("t.yml"));
    options.incidents = Some(incidents.clone());
    command(&Settings::default(), &options).unwrap();
    let written = fs::read_to_string(&incidents).unwrap();
    let lines: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [closed, open] = lines.as_slice() else {
        panic!("{written}");
    };
    assert_eq!(
        (&closed["kind"], &closed["typology"]),
        (&"incident".into(), &"high".into())
    );
    assert_eq!(
        (&closed["userId"], &closed["state"]),
        (&"u".into(), &"open".into())
    );
    assert_eq!(
        (&closed["transactions"], &closed["reason"]),
        (&2.into(), &"far above".into())
    );
    assert_eq!(closed["amounts"][0]["amount"], "2100.00");
    assert_eq!(
        (&open["userId"], &open["merchantIds"][0]),
        (&"v".into(), &"m".into())
    );

    let typology = "typologies:\n  - {name: far, rules: {high: 1}, threshold: 1, quiet: 1h, reason: r}\n";
    fs::write(&typologies, typology).unwrap();
    options.typologies = Some(typologies.clone());
    command(&Settings::default(), &options).unwrap();
    let written = fs::read_to_string(&incidents).unwrap();
    assert!(
        written
            .lines()
            .next()
            .unwrap()
            .contains(r#""typology":"far","reason":"r","userId":"u","state":"closed""#)
    );
    fs::write(&typologies, typology.replace("{high: 1}", "{hihg: 1}")).unwrap();
    let error = format!("{:#}", command(&Settings::default(), &options).unwrap_err());
    assert!(
        error.contains("t.yml") && error.contains("there is no rule \"hihg\""),
        "{error}"
    );
}

/// Entries of a file hold from the first transaction on to the millisecond of their end, and an
/// alert that is snoozed is not written.
#[test]
fn lists_of_a_file_are_those_of_production() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder, ROWS);
    let denied = "  - name: denied\n    when: listed(\"deny\", user)\n    severity: critical\n    \
                  reason: r\n    mode: live\n";
    put(&folder, "r.yml", &format!("{RULES}{denied}"));
    let alerts = |options: &Options| {
        command(&Settings::default(), options).unwrap();
        let written = fs::read_to_string(folder.path().join("out.ndjson")).unwrap();
        let rule = |line: &str| {
            let alert: Value = serde_json::from_str(line).unwrap();
            let of = |name: &str| alert[name].as_str().unwrap().to_owned();
            (of("rule"), of("transactionTime"))
        };
        written.lines().map(rule).collect::<Vec<_>>()
    };
    let high = ("high".to_owned(), "2024-03-01T13:00:00Z".to_owned());
    assert_eq!(
        alerts(&options),
        std::slice::from_ref(&high),
        "nobody is on a list"
    );
    let deny = |until: &str| format!("list,kind,entity,until,purpose\ndeny,user,u,{until},list\n");
    options.input.lists = Some(put(&folder, "l.csv", &deny("2024-03-01T12:00:00Z")));
    let first = ("denied".to_owned(), "2024-03-01T11:00:00Z".to_owned());
    assert_eq!(alerts(&options), [first.clone(), high]);
    let later = deny("2024-03-01T12:00:00.001Z") + "high,user,u,2024-03-01T13:00:00.001Z,snooze\n";
    options.input.lists = Some(put(&folder, "l.csv", &later));
    let second = ("denied".to_owned(), "2024-03-01T12:00:00Z".to_owned());
    assert_eq!(alerts(&options), [first, second], "the other is snoozed");
    options.input.lists = Some(put(&folder, "l.csv", "list,kind,entity\ndeny,card,u\n"));
    let error = format!("{:#}", command(&Settings::default(), &options).unwrap_err());
    assert!(
        error.contains("--lists") && error.contains("l.csv:2: kind \"card\""),
        "{error}"
    );
}
