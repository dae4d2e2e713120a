//! `millrace init` against the real stack.

use anyhow::{Result, bail, ensure};
use millrace_domain::topic;
use millrace_kafka::admin;
use millrace_tests::{TestContext, pipeline};

/// The second run changes nothing.
pub(super) async fn is_idempotent(context: TestContext) -> Result<()> {
    let first = pipeline::init(&context).await?;
    ensure!(
        first.contains("created") && !first.contains("unchanged"),
        "the first run creates:\n{first}"
    );
    let both = pipeline::init(&context).await?;
    let second = both.strip_prefix(&first).unwrap_or(&both);
    ensure!(
        second.contains("unchanged"),
        "the second run finds things as they should be:\n{second}"
    );
    for line in second.lines() {
        ensure!(
            !line.ends_with("created") && !line.ends_with("updated"),
            "the second run changed: {line}"
        );
    }
    Ok(())
}

/// A topic with other partitions is refused with both numbers, until it is deleted.
pub(super) async fn refuses_other_partitions(context: TestContext) -> Result<()> {
    let spec = topic::ALL[0];
    let ensure_with = async |partitions: i32| {
        let kafka = context.settings.kafka.clone();
        let wanted = topic::TopicSpec { partitions, ..spec };
        tokio::task::spawn_blocking(move || admin::ensure_topics(&kafka, &[wanted])).await
    };
    ensure_with(2).await??;
    let Err(refused) = ensure_with(spec.partitions).await? else {
        bail!("2 partitions passed for {}", spec.partitions)
    };
    let message = refused.to_string();
    let names_both = message.contains('2') && message.contains('5') && message.contains(spec.name);
    ensure!(
        names_both,
        "the error names the topic and both numbers: {message}"
    );
    let kafka = context.settings.kafka.clone();
    tokio::task::spawn_blocking(move || admin::delete_topics(&kafka, &topic::ALL)).await??;
    ensure_with(2).await??;
    Ok(())
}
