//! Rules that are changed while the detector runs, by the command, with kills in between.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::RuleChange;
use millrace_domain::codec::DecodedAnomaly;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, detector, metrics_text, run};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, topics, wait_until};

use super::changes::{hasten, sent_since, verify};

/// Records between two changes.
const BETWEEN: i64 = 1_500;

const FIRST: &str = r#"
rules:
  - name: hurry
    when: count("10m") >= 3
    severity: low
    quiet: 1m
    reason: several payments in ten minutes
    mode: live
  - name: dear
    when: amount > 50 EUR
    severity: medium
    score: amount / 50 EUR
    reason: more than 50 euros
    mode: live
"#;

/// One rule as it was, one of another condition, one that is new.
const SECOND: &str = r#"
rules:
  - name: hurry
    when: count("10m") >= 3
    severity: low
    quiet: 1m
    reason: several payments in ten minutes
    mode: live
  - name: dear
    when: amount > 80 EUR and count("1h") > 1
    severity: medium
    score: amount / 80 EUR
    reason: more than 80 euros
    mode: live
  - name: new_place
    when: first_seen("24h", location)
    severity: low
    reason: a place that is new
    mode: live
"#;

fn file(context: &TestContext, name: &str, text: &str) -> Result<String> {
    let path: PathBuf = context.path(name);
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// Runs `millrace rules ARGUMENTS…` to its end; the status it exits with, and what it says.
async fn rules(context: &TestContext, name: &str, arguments: &[&str]) -> Result<(bool, String)> {
    let arguments = [&["rules"], arguments].concat();
    run(context, name, &arguments).await
}

/// As [`rules`], of a change that succeeds, and that the detector has taken by then.
async fn change(context: &TestContext, number: usize, arguments: &[&str]) -> Result<()> {
    let more = [
        "--reason",
        "as the test says",
        "--author",
        "ann",
        "--wait",
        "120s",
    ];
    let arguments = [arguments, &more].concat();
    let (is_made, output) = rules(context, &format!("change-{number}"), &arguments).await?;
    ensure!(is_made, "{arguments:?}: {output}");
    Ok(())
}

/// Six changes of every kind under a running stream, with kills of the detector between them and
/// right after them. Each partition has each change at one offset, every alert says which rules it
/// is of, and all that was written is what one undisturbed run writes that reads the same changes.
pub(super) async fn hold_while_it_runs(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    pipeline::init(&context).await?;
    let (first, second) = (
        file(&context, "first.yml", FIRST)?,
        file(&context, "second.yml", SECOND)?,
    );
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    let mut running = detector(&context).await?;
    let producer = Service::start(&context, "producer", &["service", "producer"])?;
    sent_since(&context, BETWEEN).await?;
    // Each with the rules of whose alerts there must be some by then.
    let changes: [(&[&str], &[&str]); 6] = [
        (&["apply", &first], &["dear", "hurry"]),
        (&["shadow", "dear"], &["hurry"]),
        (&["apply", &second, "--shadow"], &[]),
        (&["resume", "new_place", "--as", "50 %"], &["new_place"]),
        (&["pause", "hurry"], &[]),
        (&["rollback", "--to", "1"], &[]),
    ];
    for (number, (arguments, alerting)) in changes.iter().enumerate() {
        change(&context, number + 1, arguments).await?;
        ensure!(
            running.is_running()?,
            "the detector has run through {arguments:?}"
        );
        if number % 2 == 0 {
            // In the midst of its work, or right after the change.
            sent_since(&context, if number == 2 { 1 } else { BETWEEN / 3 }).await?;
            running.kill()?;
            running = detector(&context).await?;
        }
        sent_since(&context, BETWEEN).await?;
        for rule in *alerting {
            alerted(&context, number, rule).await?;
        }
    }
    let (is_told, list) = rules(&context, "list", &["list", "--live"]).await?;
    let all = "5 of 5 partitions of the detector judge by them";
    ensure!(
        is_told && list.contains(all) && list.contains("change 6 (rollback)"),
        "{list}"
    );
    producer.stop().await?;
    verify(&context).await?;
    check_undisturbed(&context).await?;
    check_numbers(&context).await?;
    check_alerts(&context, changes.len()).await?;
    aggregator.stop().await?;
    running.stop().await
}

/// Waits for an alert of a rule, by the version of the change with this index.
async fn alerted(context: &TestContext, index: usize, rule: &str) -> Result<()> {
    let made = changes_of(context).await?;
    let version = &made.get(index).context("the change is in the topic")?.version;
    wait_until(&format!("an alert of {rule} by {version}"), LIMIT, || async {
        let alerts: Vec<DecodedAnomaly> = topics::values(context, topic::ANOMALIES).await?;
        let is_of =
            |alert: &DecodedAnomaly| alert.rule == rule && alert.rule_set_version.as_ref() == Some(version);
        Ok(alerts.iter().any(is_of).then_some(()))
    })
    .await
}

/// Each partition has taken each change, once and in order.
async fn check_numbers(context: &TestContext) -> Result<()> {
    let records = topics::read(&context.settings, topic::ANOMALIES_CONTROL).await?;
    for partition in 0..5 {
        let mut numbers = Vec::new();
        for record in records.iter().filter(|record| record.partition == partition) {
            let control: serde_json::Value = serde_json::from_slice(&record.payload)?;
            if control["kind"] == "configure" {
                let policy = control["policy"].as_str().context("a policy")?;
                let policy: serde_json::Value = serde_json::from_str(policy)?;
                numbers.push(policy["rule_change"].as_u64().unwrap_or(0));
            }
        }
        ensure!(
            numbers == [0, 1, 2, 3, 4, 5, 6],
            "partition {partition}: {numbers:?}"
        );
    }
    Ok(())
}

/// Every alert of the rules names the version of a change, and there are some of each that has a
/// rule which alerts.
async fn check_alerts(context: &TestContext, changes: usize) -> Result<()> {
    let made = changes_of(context).await?;
    ensure!(made.len() == changes, "{made:?}");
    let versions: BTreeSet<_> = made.iter().map(|change| change.version.clone()).collect();
    let alerts: Vec<DecodedAnomaly> = topics::values(context, topic::ANOMALIES).await?;
    let of_rules = alerts.iter().filter(|alert| alert.rule_set_version.is_some());
    let mut seen = BTreeSet::new();
    for alert in of_rules {
        let version = alert.rule_set_version.clone().unwrap_or_default();
        ensure!(
            versions.contains(&version) && alert.rule_revision.is_some(),
            "{alert:?}"
        );
        seen.insert((version, alert.rule.clone()));
    }
    eprintln!("alerts: {} by versions and rules {seen:?}", alerts.len());
    let has = |number: usize, rule: &str| seen.contains(&(made[number - 1].version.clone(), rule.to_owned()));
    ensure!(has(1, "dear") && has(1, "hurry"), "the first alerts: {seen:?}");
    ensure!(
        !has(2, "dear") && has(2, "hurry"),
        "a rule in shadow is silent: {seen:?}"
    );
    ensure!(
        !has(3, "new_place") && has(4, "new_place"),
        "a share alerts: {seen:?}"
    );
    ensure!(!has(5, "hurry"), "a paused rule is silent: {seen:?}");
    ensure!(made[0].version == made[5].version, "it was rolled back");
    Ok(())
}

async fn changes_of(context: &TestContext) -> Result<Vec<RuleChange>> {
    topics::values(context, topic::FRAUD_RULES).await
}

/// Where two keys are asked for, a proposal changes nothing until somebody else approves it, and
/// what one person has written alone is passed over by the running detector and at a start.
pub(super) async fn need_two_keys(mut context: TestContext) -> Result<()> {
    context.settings.detector.rules.two_keys = true;
    pipeline::init(&context).await?;
    let first = file(&context, "first.yml", FIRST)?;
    let running = detector(&context).await?;
    let by = |author: &'static str| ["--reason", "r", "--author", author];
    let asked = [&["apply", first.as_str()][..], &by("ann")].concat();
    let (is_made, output) = rules(&context, "propose", &asked).await?;
    ensure!(is_made && output.contains("change 1 is proposed"), "{output}");
    let own = [&["approve", "1"][..], &by("ann")].concat();
    let (is_made, output) = rules(&context, "own", &own).await?;
    ensure!(
        !is_made && output.contains("ann has proposed it: a second person"),
        "{output}"
    );
    let (_, list) = rules(&context, "before", &["list", "--live"]).await?;
    ensure!(list.contains("no change yet"), "{list}");
    let second = [&["approve", "1", "--wait", "60s"][..], &by("bob")].concat();
    let (is_made, output) = rules(&context, "approve", &second).await?;
    ensure!(is_made && output.contains("change 2 is in force"), "{output}");

    let port = context.settings.detector.metrics_port;
    context.settings.detector.rules.two_keys = false;
    let alone = [&["pause", "hurry"][..], &by("eve")].concat();
    let (is_made, output) = rules(&context, "alone", &alone).await?;
    ensure!(is_made, "{output}");
    context.settings.detector.rules.two_keys = true;
    wait_until("a change of one key that is refused", LIMIT, || async {
        let refused = value(port, "millrace_refused_rule_changes_total").await?;
        Ok((refused == Some(1.0)).then_some(()))
    })
    .await?;
    ensure!(value(port, "millrace_rule_change").await? == Some(2.0));
    running.stop().await?;
    let running = detector(&context).await?;
    ensure!(value(port, "millrace_rule_change").await? == Some(2.0));
    running.stop().await
}

async fn value(port: u16, metric: &str) -> Result<Option<f64>> {
    Ok(millrace_telemetry::exposition::sum(
        &metrics_text(port).await?,
        metric,
    ))
}

/// What is wrong is refused before anything is written, and says what would be right.
pub(super) async fn that_are_wrong_are_refused(context: TestContext) -> Result<()> {
    let by = ["--reason", "r", "--author", "ann"];
    let first = file(&context, "first.yml", FIRST)?;
    let asked = [&["apply", first.as_str()][..], &by].concat();
    let (is_made, output) = rules(&context, "early", &asked).await?;
    ensure!(
        !is_made && output.contains("fraud_rules: `millrace init` creates it"),
        "{output}"
    );
    pipeline::init(&context).await?;
    let wrong = file(
        &context,
        "wrong.yml",
        &FIRST.replace("amount > 50 EUR", "amuont > 50 EUR"),
    )?;
    let taken = file(
        &context,
        "taken.yml",
        &FIRST.replace("name: dear", "name: velocity"),
    )?;
    let windows = (0..60).map(|number| {
        format!(
            "  - name: r{number}\n    when: sum(\"30d\", amount, amount > {number} EUR) > 5 EUR\n    severity: low\n    \
             reason: r\n    mode: live\n"
        )
    });
    let dear = file(
        &context,
        "dear.yml",
        &format!("rules:\n{}", windows.collect::<String>()),
    )?;
    let refused: [(&[&str], &str); 7] = [
        (&["apply", &wrong], "wrong.yml:10:11: there is no `amuont`"),
        (&["apply", &taken], "set detector.rules.velocity.enabled: false"),
        (
            &["apply", &dear],
            "the rules cost more than detector.budget allows",
        ),
        (&["apply", "none.yml"], "none.yml"),
        (
            &["pause", "hurry"],
            "there is no rule \"hurry\" in the rule set: it has none",
        ),
        (&["rollback"], "there is no change to go back from"),
        (&["approve", "1"], "there is no change 1"),
    ];
    for (number, (arguments, why)) in refused.iter().enumerate() {
        let arguments = [arguments, &by[..]].concat();
        let (is_made, output) = rules(&context, &format!("refused-{number}"), &arguments).await?;
        ensure!(!is_made && output.contains(why), "{arguments:?}: {output}");
    }
    ensure!(changes_of(&context).await?.is_empty(), "nothing was written");
    let (is_made, output) = rules(&context, "apply", &asked).await?;
    ensure!(is_made && output.contains("change 1 is in force"), "{output}");
    let (is_made, output) = rules(&context, "again", &asked).await?;
    ensure!(!is_made && output.contains("nothing would change"), "{output}");
    let asked = [&["resume", "dear"][..], &by].concat();
    let (is_made, output) = rules(&context, "resume", &asked).await?;
    ensure!(
        !is_made && output.contains("the rule dear is live already"),
        "{output}"
    );
    let (is_told, output) = rules(&context, "history", &["history", "--json"]).await?;
    ensure!(is_told && output.contains("\"author\": \"ann\""), "{output}");
    Ok(())
}
