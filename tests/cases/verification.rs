//! `millrace verify` over what users do: a file twice, sums beyond a double, a run that was killed,
//! retention, a torn ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::TransactionReader;
use millrace_kafka::partition_for;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::verification::{Report, verified};
use millrace_tests::{TestContext, sample, send, topics, wait_until};

/// Rows of the file that is sent twice.
const ROWS: usize = 200;
/// Records that lie elsewhere than their user's.
const ELSEWHERE: u32 = 3;
/// Transactions of the run that ends.
const COUNT: usize = 2_000;

/// One pipeline for all of it, each step on top of the ones before.
pub(super) async fn tells_the_truth(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.idle_timeout_ms = 3_000;
    // So that an id is there twice only if two runs send it.
    settings.producer.duplicate_share = 0.0;
    settings.producer.fraud_share = 0.0;
    let rows = shop(ROWS, "EUR", "12.34", 8)?;
    // The first time it is all there before it is read: of a file under way, partitions that wait
    // for a slow broker follow the others, and their rows are late.
    pipeline::init(&context).await?;
    replay(&context, "shop", &rows).await?;
    let pipeline = Pipeline::start(&context).await?;
    for time in ["first", "second"] {
        if time == "second" {
            replay(&context, "shop", &rows).await?;
        }
        let report = verified(&context, 0).await?;
        let copies = if time == "first" { 0 } else { ROWS as u64 };
        ensure!(
            report.row("copies of transactions")? == copies.to_string(),
            "{time}: {report:?}"
        );
        let once = format!("{ROWS}: 2468.00");
        ensure!(report.expected("EUR purchases")? == once, "{time}: {report:?}");
    }

    // 9.5e15 units in one minute, above 2^53, in Elasticsearch too.
    replay(&context, "vnd", &shop(5, "VND", "190000000000", 10)?).await?;
    let report = verified(&context, 0).await?;
    let sum = "5: 950000000000.00";
    for row in ["VND purchases", "Elasticsearch: VND purchases"] {
        ensure!(report.row(row)? == sum, "{row}: {report:?}");
    }

    let killed = kill_a_run(&context).await?;
    generate(&context).await?;
    let report = verified(&context, 0).await?;
    ensure!(report.row("runs that were killed")? == killed, "{report:?}");
    no_id_is_sent_by_two_runs(&context).await?;

    delete_first_half(&context, topic::AGGREGATES).await?;
    let report = verified(&context, 0).await?;
    let left_out = report.row("windows left out")?;
    ensure!(left_out.contains(topic::AGGREGATES), "{left_out}");
    ensure!(report.row("windows by currency")? != "0", "{report:?}");

    fs::write(context.settings.producer.ledger_dir.join("zz.json"), "")?;
    elsewhere(&context)?;
    // They are counted from the topic: no aggregator has to answer on a port.
    context.settings.aggregator.metrics_port = 0;
    let report = verified(&context, 1).await?;
    let named = report.row("ledgers that cannot be read")?;
    ensure!(named.contains("zz.json") && named.contains("empty"), "{named}");
    let row = "records elsewhere than murmur2 of userId puts them";
    ensure!(report.row(row)? == ELSEWHERE.to_string(), "{report:?}");
    ensure!(
        report.failed() == [row, "ledgers that cannot be read"],
        "{report:?}"
    );
    pipeline.stop().await
}

/// Records of another writer, which puts them where their users' are not; of windows that are long
/// closed.
fn elsewhere(context: &TestContext) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for number in 0..ELSEWHERE {
        let sent = sample::transaction(number, 1_709_280_000_000);
        let partition = (partition_for(sent.user_id.text().as_bytes(), 5) + 1) % 5;
        send::send(&producer, &context.settings.kafka, [sent], Some(partition), None)?;
    }
    send::flush(&producer)
}

/// With nobody to close the windows, nothing is known to be wrong.
pub(super) async fn what_nobody_has_worked_off_is_not_finished(mut context: TestContext) -> Result<()> {
    context.settings.producer.malformed_share = 0.2;
    pipeline::init(&context).await?;
    let produce = ["service", "producer", "--count", "100", "--rate", "0"];
    Service::start(&context, "producer", &produce)?
        .succeed(LIMIT)
        .await?;
    let arguments = ["verify", "--json", "--timeout", "15s", "--without-elasticsearch"];
    let report = Report::of(&context, &arguments, 3).await?;
    ensure!(report.0["outcome"] == "not_finished", "{report:?}");
    ensure!(report.row("windows not closed yet")? != "0", "{report:?}");
    // Nobody has refused what is malformed; that is no loss while nobody has read it.
    let behind = report.row("jobs that are behind")?;
    ensure!(behind.contains("aggregate-partial"), "{behind}");
    ensure!(report.failed().is_empty(), "{report:?}");
    Ok(())
}

/// Purchases of some users at one hour of a day that is long over.
fn shop(rows: usize, currency: &str, amount: &str, hour: u32) -> Result<String> {
    let mut csv = "id,user,amount,time,merchant,currency\n".to_owned();
    for row in 0..rows {
        let (minute, second) = (row / 60, row % 60);
        writeln!(
            csv,
            "{currency}-{row},u{},{amount},2024-03-01T{hour:02}:{minute:02}:{second:02}Z,m{},{currency}",
            row % 50,
            row % 7
        )?;
    }
    Ok(csv)
}

async fn replay(context: &TestContext, name: &str, csv: &str) -> Result<()> {
    let mapping = "transactionId: {uuid5: \"case/{id}\"}\nuserId: {column: user}\n\
                   amount: {column: amount, decimals: 2}\ntransactionTime: {column: time}\n\
                   merchantId: {column: merchant}\ntransactionType: {constant: purchase}\n\
                   location: {constant: Oslo}\npaymentMethod: {constant: credit_card}\n\
                   isInternational: {constant: false}\ncurrency: {column: currency}\n";
    let path = |name: &str| context.path(name).display().to_string();
    let (file, map, rejects) = (
        path(&format!("{name}.csv")),
        path("mapping.yml"),
        path("rejects.ndjson"),
    );
    fs::write(&file, csv)?;
    fs::write(&map, mapping)?;
    let arguments = ["service", "producer", "replay", &file, "--mapping", &map];
    // By force, as the windows of a file that is sent again are closed.
    let options = ["--speed", "max", "--rejects", &rejects, "--force"];
    Service::start(context, name, &[&arguments[..], &options].concat())?
        .succeed(LIMIT)
        .await?;
    ensure!(fs::metadata(&rejects).is_err(), "no row is bad");
    Ok(())
}

fn minutes_ago(minutes: u128) -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok((now.as_millis() - minutes * 60_000).to_string())
}

/// Starts a run without an end, verifies what has closed while it goes on, and kills it when its
/// ledger has something. Gives the run's name.
async fn kill_a_run(context: &TestContext) -> Result<String> {
    let start = minutes_ago(20)?;
    let arguments = ["service", "producer", "--rate", "300", "--start-time", &start];
    let run = Service::start(context, "killed", &arguments)?;
    let folder = &context.settings.producer.ledger_dir;
    let name = wait_until("a ledger of the run", LIMIT, || async {
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let ledger: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
                if ledger["finished"] == false && ledger["acknowledged"].as_u64() > Some(0) {
                    return Ok(ledger["run_id"].as_str().map(str::to_owned));
                }
            }
        }
        Ok(None)
    });
    let name = name.await?;
    let arguments = ["verify", "--json", "--allow-open", "--timeout", "120s"];
    let report = Report::of(context, &arguments, 0).await?;
    ensure!(report.row("runs that have not ended")? == name, "{report:?}");
    ensure!(report.row("windows by currency")? != "0", "{report:?}");
    run.kill()?;
    Ok(name)
}

/// A run of the same seed as the one that was killed, a minute of event time, to its end.
async fn generate(context: &TestContext) -> Result<()> {
    let (count, start) = (COUNT.to_string(), minutes_ago(10)?);
    let arguments = ["service", "producer", "--rate", "0", "--count", &count];
    let time = ["--start-time", &start, "--event-rate", "50"];
    Service::start(context, "producer", &[&arguments[..], &time].concat())?
        .succeed(LIMIT)
        .await
}

async fn no_id_is_sent_by_two_runs(context: &TestContext) -> Result<()> {
    let records = topics::read(&context.settings, topic::TRANSACTIONS).await?;
    let reader = TransactionReader::new(pipeline::schemas(context));
    tokio::task::spawn_blocking(move || {
        let (mut generated, mut ids, mut runs) = (0, BTreeSet::new(), BTreeSet::new());
        for record in &records {
            let id = reader.read(&record.payload)?.transaction_id;
            // Version 8: a run's own.
            if id.as_bytes()[6] >> 4 == 8 {
                generated += 1;
                ids.insert(id);
                runs.insert(id.as_bytes()[..4].to_vec());
            }
        }
        ensure!(generated > COUNT, "both runs sent something: {generated}");
        ensure!(ids.len() == generated, "{} ids of {generated} records", ids.len());
        ensure!(runs.len() == 2, "{} runs", runs.len());
        Ok(())
    })
    .await?
}

/// As retention does, later.
async fn delete_first_half(context: &TestContext, topic: &str) -> Result<()> {
    let mut halves = BTreeMap::new();
    for record in topics::read(&context.settings, topic).await? {
        let (first, last) = halves
            .entry(record.partition)
            .or_insert((record.offset, record.offset));
        (*first, *last) = (record.offset.min(*first), record.offset.max(*last));
    }
    let middle = halves
        .into_iter()
        .map(|(partition, (first, last))| (partition, i64::midpoint(first, last)));
    topics::delete_before(&context.settings, topic, middle).await
}
