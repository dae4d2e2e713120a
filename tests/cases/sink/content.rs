//! Documents of the same identity with other content than what is stored.

use anyhow::{Result, ensure};
use millrace_catalog::{Installation, topics};
use millrace_domain::{Amount, Transaction};
use millrace_kafka::admin;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::results::{minute, send_minutes};
use millrace_tests::sink::{self, MINUTES, Sink, indexed, indexed_in, send};
use millrace_tests::{TestContext, wait_until};

use super::{batch, month, now_ms};

const DOCUMENTS: &str = "millrace_sink_documents_total";

/// Kafka is made anew beside full indices, and the same identities come with other amounts, with
/// rows in front that were not there: `init` and the sink tell of it. A true repeat is none of it,
/// nor is a transaction that comes again in one log with other content.
pub(in crate::cases) async fn other_content_is_told(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let settings = &context.settings;
    let now = now_ms()?;
    let current = month(now)?;
    let minutes = |numbers: std::ops::Range<u32>, units: i64| {
        let start_ms = now - now.rem_euclid(60_000);
        numbers.map(move |number| minute(number, start_ms, units))
    };
    let sink = Sink::start(&context).await?;
    for _ in 0..2 {
        send(settings, batch(0..50, now)).await?;
        indexed(settings, &current, 50).await?;
        send_minutes(&context, minutes(0..20, 10_0000)).await?;
        indexed_in(settings, MINUTES, &current, 20).await?;
    }
    counted(&sink, "unchanged", 70.0).await?;
    send(settings, batch(0..5, now).map(corrected)).await?;
    counted(&sink, "repeated", 5.0).await?;
    ensure!(
        sink.metric(DOCUMENTS, "differs").await? == 0.0,
        "a repeat is the same, and what came again in the log is of the log: {}",
        sink.output()
    );
    sink.stop().await?;

    let kafka = settings.kafka.clone();
    tokio::task::spawn_blocking(move || admin::delete_topics(&kafka, &topics(Installation::default())))
        .await??;
    let told = pipeline::init(&context).await?;
    let is_told = told.lines().any(|line| {
        line.contains("warning")
            && line.contains("has never had a record")
            && line.contains("holds 50 documents")
    });
    ensure!(is_told, "init tells of full indices beside empty topics:\n{told}");
    // Users of every partition are in front, so that each row is further on than it was.
    send(settings, batch(900..950, now)).await?;
    send(settings, batch(0..50, now).map(corrected)).await?;
    send_minutes(&context, minutes(100..110, 10_0000)).await?;
    send_minutes(&context, minutes(0..20, 77_0000)).await?;
    let sink = Sink::again(&context)?;
    counted(&sink, "differs", 70.0).await?;
    ensure!(
        sink.metric(DOCUMENTS, "repeated").await? == 0.0,
        "no row came twice in this log: {}",
        sink.output()
    );
    let said = sink.output();
    ensure!(
        said.contains("same identity and other content"),
        "the log tells of it: {said}"
    );
    indexed(settings, &current, 100).await?;
    indexed_in(settings, MINUTES, &current, 30).await?;
    sink.stop().await
}

/// One row of a thousand that are read again was corrected: it is seen, and all were compared.
pub(in crate::cases) async fn one_corrected_row_is_told(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let now = now_ms()?;
    let start_ms = now - now.rem_euclid(60_000);
    let current = month(start_ms)?;
    let sink = Sink::start(&context).await?;
    let minutes = |corrected: u32| {
        (0..1_000_u32).map(move |number| {
            let units = if number == corrected { 77_0000 } else { 10_0000 };
            minute(number, start_ms, units)
        })
    };
    send_minutes(&context, minutes(1_000)).await?;
    indexed_in(&context.settings, MINUTES, &current, 1_000).await?;
    send_minutes(&context, minutes(617)).await?;
    counted(&sink, "unchanged", 999.0).await?;
    counted(&sink, "differs", 1.0).await?;
    let left = sink
        .metric("millrace_sink_not_compared_documents_total", "")
        .await?;
    ensure!(left == 0.0, "{left} were not compared");
    sink.stop().await
}

fn corrected(transaction: Transaction) -> Transaction {
    Transaction {
        amount: Amount::from_units(77_0000).unwrap_or(transaction.amount),
        ..transaction
    }
}

/// Waits until so many documents had an outcome; a request whose answer was late is sent again.
async fn counted(sink: &Sink, outcome: &str, count: f64) -> Result<()> {
    wait_until(
        &format!("{count} documents with outcome {outcome}"),
        LIMIT,
        || async {
            // Not there yet while the sink starts.
            let found = sink.metric(DOCUMENTS, outcome).await.unwrap_or(0.0);
            Ok((found >= count).then_some(()))
        },
    )
    .await
}
