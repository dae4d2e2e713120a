//! Dead letters whose topic is gone.

use anyhow::{Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_kafka::topic_name;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::{TestContext, wait_until};
use rdkafka::admin::AdminOptions;

use super::{Writer, admin, letters};

/// Aggregator and sink do nothing but try again: they are not ready and name the topic, and once it
/// is there again each letter is in it, once.
pub(in crate::cases) async fn that_cannot_be_sent_are_told(mut context: TestContext) -> Result<()> {
    context.settings.elastic_sink.retry_max_ms = 1_000;
    let pipeline = Pipeline::start(&context).await?;
    let settings = &context.settings;
    let bad = [
        (topic::TRANSACTIONS, settings.aggregator.metrics_port),
        (topic::AGGREGATES, settings.elastic_sink.metrics_port),
    ];
    let (writer, admin) = (Writer::new(&context)?, admin(&context)?);
    for (source, _) in bad {
        let gone = topic_name(&settings.kafka, &dead_letter(source));
        let deleted = admin.delete_topics(&[&gone], &AdminOptions::new()).await?;
        for topic in deleted {
            topic.map_err(|(_, code)| code)?;
        }
        writer.send(source, "u-1", b"\xffbad", &[]).await?;
    }
    for (source, port) in bad {
        let gone = dead_letter(source);
        wait_until(&format!("a word about {gone}"), LIMIT, || async {
            let (is_ready, said) = answer(port).await?;
            Ok((!is_ready && said.contains(&gone)).then_some(()))
        })
        .await?;
    }
    pipeline::init(&context).await?;
    for (source, port) in bad {
        let found = letters(&context, &dead_letter(source), 1).await?;
        ensure!(found.len() == 1, "{} letters of {source}", found.len());
        wait_until("all to be well again", LIMIT, || async {
            Ok(answer(port).await?.0.then_some(()))
        })
        .await?;
    }
    pipeline.stop().await
}

/// Whether a service is ready, and what it says.
async fn answer(port: u16) -> Result<(bool, String)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await?;
    Ok((answer.status().is_success(), answer.text().await?))
}
