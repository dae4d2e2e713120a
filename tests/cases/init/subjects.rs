//! Subjects that others have made.

use anyhow::{Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::schema;
use millrace_kafka::topic_name;
use millrace_registry::Compatibility;
use millrace_registry::Registry;
use millrace_tests::TestContext;
use millrace_tests::pipeline::registry_config;

use super::{command, ensure_nothing_was_made};

/// A foreign subject's level is not lowered, and one whose schema does not go with ours is refused
/// before anything is written anywhere.
pub(in crate::cases) async fn leaves_subjects_of_others_alone(context: TestContext) -> Result<()> {
    let registry = Registry::new(registry_config(&context))?;
    let subject = |topic: &str| format!("{}-value", topic_name(&context.settings.kafka, topic));
    let (source, aggregates) = (subject(topic::TRANSACTIONS), subject(topic::AGGREGATES));
    let theirs = r#"{"type": "record", "name": "Payment", "namespace": "bank", "fields": [{"name": "iban", "type": "string"}]}"#;
    registry.register(&source, theirs).await?;
    registry
        .set_compatibility(&source, Compatibility::ForwardTransitive)
        .await?;
    let refused = command(&context, "refused", &[], true).await?;
    ensure!(
        refused.contains(&source) && refused.contains("kafka.topic_prefix"),
        "{refused}"
    );
    let level = registry.compatibility(&source).await?;
    ensure!(level.as_deref() == Some("FORWARD_TRANSITIVE"), "{level:?}");
    ensure_nothing_was_made(&context).await?;

    registry.set_compatibility(&source, Compatibility::None).await?;
    let planned = command(&context, "planned", &["--dry-run"], false).await?;
    ensure!(
        planned.contains("level from NONE to FULL_TRANSITIVE") && planned.contains("will be dead letters"),
        "{planned}"
    );
    let level = registry.compatibility(&source).await?;
    ensure!(
        level.as_deref() == Some("NONE"),
        "a dry run changes nothing: {level:?}"
    );
    registry.register(&aggregates, schema::MERCHANT_AGGREGATE).await?;
    registry
        .set_compatibility(&aggregates, Compatibility::Forward)
        .await?;
    let done = command(&context, "done", &[], false).await?;
    for said in [
        "level from NONE to FULL_TRANSITIVE",
        "version from 1 to 2",
        "level stays FORWARD, not FULL",
    ] {
        ensure!(done.contains(said), "{said}: {done}");
    }
    let levels = [
        registry.compatibility(&source).await?,
        registry.compatibility(&aggregates).await?,
    ];
    ensure!(
        levels.each_ref().map(Option::as_deref) == [Some("FULL_TRANSITIVE"), Some("FORWARD")],
        "{levels:?}"
    );
    Ok(())
}
