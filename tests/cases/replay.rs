//! `producer replay` against the real stack.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::{env, fs};

use anyhow::{Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::AggregateReader;
use millrace_domain::{ShortId, Sum};
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, topics};

/// A file to replay in place of the one the test makes, in the form of the card transactions of the
/// Fraud Detection Handbook.
const FILE: &str = "MILLRACE_TEST_REPLAY_FILE";
/// With that: where the sums are written, a line `merchant,count,sum` each, to compare with a
/// computation of one's own.
const SUMS: &str = "MILLRACE_TEST_REPLAY_SUMS";

const MAPPING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../config/mappings/card-transactions.yml"
);
const ROWS: usize = 300;

/// Count and sum of purchases of each merchant.
type Sums = BTreeMap<ShortId, (u64, Sum)>;

/// A file goes through the whole pipeline: the aggregates add up to what is in it. Bad rows are
/// reported with their reason, and the rest is sent.
pub(super) async fn sums_up_to_the_file(mut context: TestContext) -> Result<()> {
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    let given = env::var(FILE).ok();
    let (file, expected) = match &given {
        Some(file) => (file.clone(), None),
        None => {
            context.settings.aggregator.window_ms = 10_000;
            let path = context.path("cards.csv");
            let (csv, sums) = cards()?;
            fs::write(&path, csv)?;
            (path.display().to_string(), Some(sums))
        }
    };
    // The file is all there before it is read: of one under way, partitions that wait for a slow
    // broker follow the others, and their rows are late.
    pipeline::init(&context).await?;
    let rejects = context.path("rejects.ndjson").display().to_string();
    let replay = ["service", "producer", "replay", &file, "--mapping", MAPPING];
    let options = ["--speed", "max", "--rejects", &rejects];
    let mut producer = Service::start(&context, "producer", &[&replay[..], &options].concat())?;
    producer.succeed(LIMIT).await?;
    let pipeline = Pipeline::start(&context).await?;
    pipeline::verify(&context).await?;
    pipeline.stop().await?;

    let sums = read_sums(&context).await?;
    let rejected = fs::read_to_string(&rejects)?;
    let Some(expected) = expected else {
        let lines = sums
            .iter()
            .map(|(merchant, (count, sum))| format!("{merchant},{count},{sum}\n"));
        eprintln!(
            "replay: {} merchants, {} rows rejected",
            sums.len(),
            rejected.lines().count()
        );
        return Ok(fs::write(env::var(SUMS)?, lines.collect::<String>())?);
    };
    ensure!(sums == expected, "expected {expected:?}, found {sums:?}");
    ensure!(rejected.lines().count() == 3, "three rows are bad:\n{rejected}");
    for (line, reason) in rejected.lines().zip(["above 0", "above 0", "much"]) {
        ensure!(line.contains(reason), "{reason:?} is the reason of {line}");
    }
    Ok(())
}

/// A file out of order, or older than what the topic has seen, is refused before anything is sent,
/// with what to do; sorted it adds up. The port of a producer that runs is no obstacle.
pub(super) async fn refuses_what_would_be_late(mut context: TestContext) -> Result<()> {
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    context.settings.aggregator.window_ms = 10_000;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    context.settings.producer.metrics_port = taken.local_addr()?.port();
    let (csv, expected) = cards()?;
    let mut lines: Vec<&str> = csv.lines().collect();
    lines[1..].reverse();
    fs::write(context.path("newest-first.csv"), lines.join("\n"))?;
    fs::write(
        context.path("older.csv"),
        csv.replace(",2018-04-01", ",2018-03-01"),
    )?;
    let replay = |name: &str, file: &str, options: &[&str]| {
        let file = context.path(file).display().to_string();
        let rejects = context.path(format!("{name}.rejects")).display().to_string();
        let replay = [
            "service",
            "producer",
            "replay",
            &file,
            "--mapping",
            MAPPING,
            "--speed",
            "max",
        ];
        Service::start(
            &context,
            name,
            &[&replay[..], &["--rejects", &rejects], options].concat(),
        )
    };
    pipeline::init(&context).await?;
    let mut disordered = replay("disordered", "newest-first.csv", &[])?;
    disordered.fail(LIMIT).await?;
    let told = disordered.output();
    ensure!(
        told.contains("nothing was sent") && told.contains("--sort"),
        "{told}"
    );
    replay("sorted", "newest-first.csv", &["--sort"])?
        .succeed(LIMIT)
        .await?;
    // From here on: of a file under way, partitions that wait for a slow broker follow the others.
    let pipeline = Pipeline::start(&context).await?;
    pipeline::verify(&context).await?;

    let mut older = replay("older", "older.csv", &[])?;
    older.fail(LIMIT).await?;
    let told = older.output();
    ensure!(told.contains("297 of 297 rows are older than what"), "{told}");
    ensure!(told.contains("closed up to 2018-04-01T00:05:00Z"), "{told}");
    let mut forced = replay("forced", "older.csv", &["--force"])?;
    forced.succeed(LIMIT).await?;
    ensure!(
        forced.output().contains("297 of them late"),
        "{}",
        forced.output()
    );
    pipeline.stop().await?;
    let sums = read_sums(&context).await?;
    ensure!(sums == expected, "expected {expected:?}, found {sums:?}");
    Ok(())
}

/// A file of [`ROWS`] rows, three of them bad, and what it comes to.
fn cards() -> Result<(String, Sums)> {
    let header = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO\n";
    let (mut csv, mut sums) = (header.to_owned(), Sums::new());
    for row in 0..ROWS {
        let (minute, second, customer, terminal) = (row / 60, row % 60, row % 50, row % 7);
        let cents = 100 + i128::try_from(row)?;
        let amount = match row {
            10 => "0".to_owned(),
            20 => "-4.5".to_owned(),
            30 => "much".to_owned(),
            _ => {
                let (count, sum) = sums
                    .entry(ShortId::new(&format!("m-{terminal}"), "merchantId")?)
                    .or_default();
                *count += 1;
                *sum += Sum::from_units(cents * 100);
                format!("{}.{:02}", cents / 100, cents % 100)
            }
        };
        writeln!(
            csv,
            "{row},2018-04-01 00:{minute:02}:{second:02},{customer},{terminal},{amount},0,0"
        )?;
    }
    Ok((csv, sums))
}

async fn read_sums(context: &TestContext) -> Result<Sums> {
    let records = topics::read(&context.settings, topic::AGGREGATES).await?;
    let reader = AggregateReader::new(pipeline::schemas(context));
    tokio::task::spawn_blocking(move || {
        let mut sums = Sums::new();
        for record in &records {
            let aggregate = reader.read(&record.payload)?;
            let (count, sum) = sums.entry(aggregate.merchant_id).or_default();
            *count += aggregate.totals.purchase_count;
            *sum += aggregate.totals.purchase_sum;
        }
        Ok(sums)
    })
    .await?
}
