//! Transactions explained beside a running detector, through kills and a change of the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_detector::explain::{Decision, explain};
use millrace_domain::Transaction;
use millrace_domain::codec::{DecodedAnomaly, anomaly};
use millrace_telemetry::Shutdown;
use millrace_tests::pipeline::{self, detector, run};
use millrace_tests::service::Service;
use millrace_tests::topics::Record;
use millrace_tests::{TestContext, topics};

use super::changes::{hasten, sent_since, verify};

/// Records between two events.
const BETWEEN: i64 = 1_500;
/// Alerts that are explained, and as many transactions without one.
const EXPLAINED: usize = 1_000;
/// How long one may take.
const EXPLAIN_LIMIT: Duration = Duration::from_secs(10);

const FIRST: &str = r#"
rules:
  - name: hurry
    when: count("10m") >= 2
    severity: low
    score: 0.5 * count("10m") + amount / 100 EUR
    reason: several payments in ten minutes
    customer: You have paid several times within ten minutes.
    mode: live
  - name: dear
    when: amount > 80 EUR
    severity: medium
    reason: more than 80 euros
    mode: live
"#;

const SECOND: &str = r#"
rules:
  - name: dear
    when: amount > 60 EUR and count("1h") > 1
    severity: medium
    score: amount / 60 EUR
    quiet: 10s
    reason: more than 60 euros
    mode: live
  - name: new_place
    when: first_seen("24h", location)
    severity: low
    reason: a place that is new
    mode: live
"#;

async fn apply(context: &TestContext, name: &str, text: &str) -> Result<()> {
    let path = context.path(format!("{name}.yml"));
    fs::write(&path, text)?;
    let (file, more) = (
        path.display().to_string(),
        ["--reason", "a test", "--author", "ann"],
    );
    let arguments = [&["rules", "apply", &file, "--wait", "120s"], &more[..]].concat();
    let (is_made, output) = run(context, &format!("apply-{name}"), &arguments).await?;
    ensure!(is_made, "{arguments:?}: {output}");
    Ok(())
}

/// What the replay gives is what was decided then: each alert of those on the topic byte for byte,
/// and none where there was none; before a change of the rules and after it, and through kills.
pub(super) async fn is_what_was_decided(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    context.settings.producer.users = 300;
    context.settings.snapshots.past_interval_ms = 2_000;
    context.settings.snapshots.past_keep = 500;
    pipeline::init(&context).await?;
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    let mut running = detector(&context).await?;
    let producer = Service::start(&context, "producer", &["service", "producer"])?;
    sent_since(&context, BETWEEN).await?;
    apply(&context, "first", FIRST).await?;
    sent_since(&context, BETWEEN).await?;
    running.kill()?;
    running = detector(&context).await?;
    sent_since(&context, BETWEEN).await?;
    apply(&context, "second", SECOND).await?;
    sent_since(&context, BETWEEN / 3).await?;
    running.kill()?;
    running = detector(&context).await?;
    sent_since(&context, BETWEEN).await?;
    producer.stop().await?;
    verify(&context).await?;

    let logs = Logs::read(&context).await?;
    ensure!(past_snapshots(&context)? > 10, "there are past snapshots");
    check_decisions(&context, &logs).await?;
    check_commands(&context, &logs).await?;
    check_retention(&context, &logs).await?;
    aggregator.stop().await?;
    running.stop().await
}

/// What is on the topics.
struct Logs {
    transactions: Vec<(Record, Transaction)>,
    alerts: Vec<(Record, DecodedAnomaly)>,
}

impl Logs {
    async fn read(context: &TestContext) -> Result<Self> {
        let mut transactions: Vec<(Record, Transaction)> =
            topics::read_as(context, topic::TRANSACTIONS).await?;
        transactions.sort_by_key(|(record, _)| (record.partition, record.offset));
        let alerts = topics::read_as(context, topic::ANOMALIES).await?;
        Ok(Self { transactions, alerts })
    }
}

/// How many there are in the detector's folder.
fn past_snapshots(context: &TestContext) -> Result<usize> {
    let mut found = 0;
    let mut folders = vec![context.settings.snapshots.url.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "past") {
                ensure!(path.to_string_lossy().contains("detect"), "{path:?}");
                found += 1;
            }
        }
    }
    Ok(found)
}

/// Every transaction of the log is explained, each partition in pieces that begin with a snapshot
/// of their own, until there are enough of both kinds.
async fn check_decisions(context: &TestContext, logs: &Logs) -> Result<()> {
    let job = millrace_detector::prepare(&context.settings, &Shutdown::new()).await?;
    let settings = context.settings.clone();
    let mut pieces: BTreeMap<(i32, i64), BTreeSet<i64>> = BTreeMap::new();
    for (record, _) in &logs.transactions {
        let piece = (record.partition, record.offset / 400);
        pieces.entry(piece).or_default().insert(record.offset);
    }
    // An id may be there again: of a burst that goes on after a pause.
    let mut written: BTreeMap<String, Vec<(Vec<u8>, i64)>> = BTreeMap::new();
    for (record, alert) in &logs.alerts {
        let alerts = written.entry(alert.id.to_string()).or_default();
        alerts.push((record.payload.clone(), alert.detection_time_ms));
    }
    let check = move || {
        let (mut alerts, mut others, mut begun) = (0, 0, BTreeSet::new());
        let mut versions = BTreeSet::new();
        for ((partition, _), offsets) in &pieces {
            explain(&settings, &job, *partition, offsets, |explained| {
                let Decision::Judged(explanation) = &explained.decision else {
                    anyhow::bail!("{:?}", explained.decision);
                };
                begun.insert((*partition, explained.way.from));
                versions.insert(explained.version.map(|version| version.hash().to_string()));
                others += usize::from(explanation.raised.is_empty());
                for raised in &explanation.raised {
                    let left = written.entry(raised.id.to_string()).or_default();
                    let is_it = |(payload, detection_time_ms): &(Vec<u8>, i64)| {
                        let schema = payload[1..5]
                            .iter()
                            .fold(0, |id, byte| id << 8 | u32::from(*byte));
                        let mut again = Vec::new();
                        anomaly::encode_framed(schema, raised, *detection_time_ms, &mut again);
                        again == *payload
                    };
                    let at = left.iter().position(is_it);
                    let at = at.with_context(|| format!("{raised:?} is not on the topic: {left:?}"))?;
                    left.swap_remove(at);
                    alerts += 1;
                }
                Ok(())
            })?;
        }
        // So none was raised where the replay gives none.
        written.retain(|_, left| !left.is_empty());
        ensure!(written.is_empty(), "on the topic alone: {:?}", written.keys());
        ensure!(
            alerts >= EXPLAINED && others >= EXPLAINED,
            "{alerts} alerts and {others} others"
        );
        let of_snapshots = begun.iter().filter(|(_, from)| *from > 0).count();
        ensure!(of_snapshots > 5, "{begun:?}");
        ensure!(
            versions.len() == 3,
            "without rules, and by both files: {versions:?}"
        );
        eprintln!(
            "explained as decided: {alerts} alerts and {others} transactions without, by {of_snapshots} snapshots"
        );
        Ok(())
    };
    tokio::task::spawn_blocking(check).await?
}

/// The command, asked for alerts and for a transaction without one.
async fn check_commands(context: &TestContext, logs: &Logs) -> Result<()> {
    for rule in ["hurry", "dear", "new_place"] {
        let of_rule = logs.alerts.iter().rfind(|(_, alert)| alert.rule == rule);
        let (_, alert) = of_rule.with_context(|| format!("an alert of {rule}"))?;
        let id = alert.id.to_string();
        let told = told(context, &format!("explain-{rule}"), &[&id, "--json"]).await?;
        let asked = &told["asked"];
        ensure!(asked["id"] == id && asked["isAsOnTheTopic"] == true, "{told}");
        let last = alert.transaction_ids.last().context("a transaction")?;
        ensure!(told["transaction"]["id"] == last.to_string(), "{told}");
        let reasons = told["reasons"].as_array().context("reasons")?;
        let reason = reasons.iter().find(|reason| reason["code"] == rule);
        let reason = reason.with_context(|| format!("no reason of {rule}: {told}"))?;
        ensure!(
            reason["analyst"] == alert.reason.clone().unwrap_or_default(),
            "{told}"
        );
        let is_own = reason["customer"] == "You have paid several times within ten minutes.";
        ensure!(is_own == (rule == "hurry"), "{told}");
    }
    let alerted: BTreeSet<_> = logs
        .alerts
        .iter()
        .flat_map(|(_, alert)| alert.transaction_ids.iter().map(ToString::to_string))
        .collect();
    let other = logs
        .transactions
        .iter()
        .rfind(|(_, transaction)| !alerted.contains(&transaction.transaction_id.to_string()));
    let (record, other) = other.context("a transaction without an alert")?;
    let id = other.transaction_id.to_string();
    let told = told(context, "explain-other", &[&id, "--json"]).await?;
    ensure!(told["record"]["partition"] == record.partition, "{told}");
    ensure!(told["alerts"].as_array().is_some_and(Vec::is_empty), "{told}");
    let text = run(context, "explain-text", &["explain", &id]).await?;
    ensure!(
        text.0 && text.1.contains("no alert") && text.1.contains("otherwise"),
        "{}",
        text.1
    );
    let nobody = "00000000-0000-4000-8000-000000000001";
    let (is_found, said) = run(context, "explain-nobody", &["explain", nobody]).await?;
    ensure!(
        !is_found && said.contains("there is no alert") && said.contains(nobody),
        "{said}"
    );
    Ok(())
}

/// What `millrace explain ARGUMENTS…` says as JSON, in time.
async fn told(context: &TestContext, name: &str, arguments: &[&str]) -> Result<serde_json::Value> {
    let started = Instant::now();
    let (is_told, output) = run(context, name, &[&["explain"], arguments].concat()).await?;
    ensure!(is_told, "{arguments:?}: {output}");
    ensure!(started.elapsed() < EXPLAIN_LIMIT, "{:?}", started.elapsed());
    eprintln!("{name}: {:.1} s", started.elapsed().as_secs_f64());
    let json = output.find('{').context("JSON")?;
    // What it logs may stand around it.
    let mut values = serde_json::Deserializer::from_str(&output[json..]).into_iter();
    values.next().context("JSON")?.with_context(|| output.clone())
}

/// What retention has deleted is told, and what a snapshot of after it reaches is explained.
async fn check_retention(context: &TestContext, logs: &Logs) -> Result<()> {
    let of_partition = || {
        logs.transactions
            .iter()
            .filter(|(record, _)| record.partition == 0)
    };
    let ends = of_partition().map(|(record, _)| record.offset).max();
    let cut = ends.context("partition 0 has transactions")? / 2;
    topics::delete_before(&context.settings, topic::TRANSACTIONS, [(0, cut)]).await?;
    let first = of_partition().find(|(record, _)| record.offset >= cut);
    let last = of_partition().next_back();
    let (first, last) = (first.context("one is left")?, last.context("one is left")?);
    let gone = of_partition()
        .next()
        .context("there was one")?
        .1
        .transaction_id
        .to_string();
    let (is_told, said) = run(context, "explain-gone", &["explain", &gone]).await?;
    ensure!(!is_told, "{said}");
    let id = first.1.transaction_id.to_string();
    let (is_told, said) = run(context, "explain-first", &["explain", &id]).await?;
    // Unless a snapshot was taken just there, it is of no use that the record is there.
    ensure!(is_told || said.contains("no snapshot serves"), "{said}");
    let id = last.1.transaction_id.to_string();
    told(context, "explain-last", &[&id, "--json"]).await?;
    Ok(())
}
