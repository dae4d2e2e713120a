//! `producer replay` against the real stack.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Result, ensure};
use millrace_domain::topic;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, topics};

const ROWS: usize = 300;

/// Bad rows are reported with line and reason, and the rest is sent.
pub(super) async fn rejects_bad_rows(context: TestContext) -> Result<()> {
    pipeline::init(&context).await?;
    let (file, rejects) = (context.path("cards.csv"), context.path("rejects.ndjson"));
    let mut csv = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO\n"
        .to_owned();
    for row in 0..ROWS {
        let amount = match row {
            10 => "0",
            20 => "-4.5",
            30 => "much",
            _ => "57.16",
        };
        writeln!(
            csv,
            "{row},2018-04-01 00:{:02}:{:02},{},{},{amount},0,0",
            row / 60,
            row % 60,
            row % 50,
            row % 7
        )?;
    }
    fs::write(&file, csv)?;
    let mapping = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../config/mappings/card-transactions.yml"
    );
    let (file, rejects_text) = (file.display().to_string(), rejects.display().to_string());
    let arguments = [
        "service",
        "producer",
        "replay",
        &file,
        "--mapping",
        mapping,
        "--speed",
        "max",
        "--rejects",
        &rejects_text,
    ];
    Service::start(&context, "producer", &arguments)?
        .succeed(LIMIT)
        .await?;

    let rejected = fs::read_to_string(&rejects)?;
    ensure!(rejected.lines().count() == 3, "three rows are bad:\n{rejected}");
    for (line, reason) in rejected.lines().zip(["above 0", "above 0", "much"]) {
        ensure!(line.contains(reason), "{reason:?} is the reason of {line}");
    }
    let sent = topics::read(&context.settings, topic::TRANSACTIONS).await?;
    ensure!(sent.len() == ROWS - 3, "{} rows were sent", sent.len());
    Ok(())
}
