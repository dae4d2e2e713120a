//! Topics that others have made.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use millrace_catalog::payments::topic;
use millrace_tests::{TestContext, pipeline};

use super::{command, ensure_nothing_was_made, ensure_settings, prepare, setting};

const LETTERS: &str = "financial_transactions.dlq";
const OTHER_LETTERS: &str = "transaction_aggregates.dlq";

/// What others have set, that `init` leaves.
const LEFT: [(&str, &str, &str); 8] = [
    (topic::TRANSACTIONS, "retention.ms", "-1"),
    (topic::TRANSACTIONS, "min.insync.replicas", "1"),
    (topic::TRANSACTIONS, "compression.type", "zstd"),
    (topic::TRANSACTIONS, "segment.bytes", "1048576"),
    (topic::TRANSACTIONS, "max.message.bytes", "2000000"),
    (topic::DEAD_LETTER_REPLAYS, "cleanup.policy", "delete"),
    (LETTERS, "max.message.bytes", "200000"),
    (OTHER_LETTERS, "segment.bytes", "1048576"),
];

/// What others have set, and what it has to become.
const CHANGED: [(&str, &str, &str, &str); 3] = [
    (
        topic::TRANSACTIONS,
        "message.timestamp.type",
        "CreateTime",
        "LogAppendTime",
    ),
    (topic::AGGREGATES, "retention.ms", "3600000", "604800000"),
    (topic::AGGREGATES, "max.message.bytes", "20000", "1048588"),
];

/// Settings that others have made stay, but for what the pipeline depends on, and every change is
/// named. A dry run changes nothing, and deletion is done only as the flags say.
pub(in crate::cases) async fn leaves_topics_of_others_alone(context: TestContext) -> Result<()> {
    let theirs: Vec<_> = (LEFT.into_iter())
        .chain(CHANGED.map(|(name, key, from, _)| (name, key, from)))
        .collect();
    let names: BTreeSet<&str> = theirs.iter().map(|(name, ..)| *name).collect();
    for name in names {
        let of_topic: Vec<_> = theirs.iter().filter(|(topic, ..)| *topic == name).collect();
        let config: Vec<_> = of_topic.iter().map(|(_, key, value)| (*key, *value)).collect();
        prepare(&context, name, &config).await?;
    }
    let planned = command(&context, "planned", &["--dry-run"], false).await?;
    ensure!(planned.contains("would be created"), "{planned}");
    ensure_nothing_was_made(&context).await?;
    ensure_settings(&context, &theirs).await?;

    let done = command(&context, "done", &[], false).await?;
    for (_, key, from, to) in CHANGED {
        let said = format!("{key} from {from} to {to}");
        ensure!(done.contains(&said) && planned.contains(&said), "{said}: {done}");
    }
    for said in [
        "changed: max.message.bytes from 1048588 to 1114124",
        "warning: retention.ms stays -1, not 604800000",
        "warning: min.insync.replicas stays 1, not 2",
        "warning: cleanup.policy stays delete, not compact",
        "warning: max.message.bytes stays 200000, not 1114124",
    ] {
        let would = said.replace("changed: ", "would be changed: ");
        ensure!(done.contains(said) && planned.contains(&would), "{said}: {done}");
    }
    ensure_settings(&context, &LEFT).await?;
    ensure_settings(&context, &CHANGED.map(|(name, key, _, to)| (name, key, to))).await?;
    ensure_settings(&context, &[(OTHER_LETTERS, "max.message.bytes", "1114124")]).await?;
    let again = command(&context, "again", &[], false).await?;
    ensure!(
        !again.contains("changed:") && !again.contains("created"),
        "{again}"
    );

    let overwritten = command(&context, "overwritten", &["--overwrite"], false).await?;
    ensure!(
        overwritten.contains("min.insync.replicas from 1 to 2"),
        "{overwritten}"
    );
    ensure_settings(&context, &[LEFT[0]]).await?;
    let forced = command(&context, "forced", &["--overwrite", "--accept-data-loss"], false).await?;
    ensure!(forced.contains("retention.ms from -1 to 604800000"), "{forced}");
    let now = [
        (topic::TRANSACTIONS, "retention.ms", "604800000"),
        (topic::DEAD_LETTER_REPLAYS, "cleanup.policy", "compact"),
    ];
    ensure_settings(&context, &now).await?;
    ensure_settings(&context, &LEFT[2..5]).await
}

/// Compaction of a topic that a recovery reads is refused, before anything is written anywhere.
pub(in crate::cases) async fn refuses_a_compacted_topic(context: TestContext) -> Result<()> {
    let theirs = [
        (topic::PARTIALS, "cleanup.policy", "compact"),
        (topic::TRANSACTIONS, "message.timestamp.type", "CreateTime"),
    ];
    for (name, key, value) in theirs {
        prepare(&context, name, &[(key, value)]).await?;
    }
    let refused = command(&context, "refused", &["--overwrite"], true).await?;
    for said in [
        topic::PARTIALS,
        "cleanup.policy is compact and must be delete",
        "--accept-data-loss",
    ] {
        ensure!(refused.contains(said), "{said}: {refused}");
    }
    ensure_settings(&context, &theirs).await?;
    ensure_nothing_was_made(&context).await?;
    command(&context, "forced", &["--overwrite", "--accept-data-loss"], false).await?;
    ensure_settings(&context, &[(topic::PARTIALS, "cleanup.policy", "delete")]).await
}

/// A retention of one's own configuration is lengthened at once, and shortened when told to.
pub(in crate::cases) async fn applies_a_retention_of_ones_own(mut context: TestContext) -> Result<()> {
    const DAY_MS: i64 = 86_400_000;
    pipeline::init(&context).await?;
    let retention = async |context: &TestContext| setting(context, topic::AGGREGATES, "retention.ms").await;
    context.settings.kafka.retention_ms = 14 * DAY_MS;
    let longer = command(&context, "longer", &[], false).await?;
    ensure!(
        longer.contains("retention.ms from 604800000 to 1209600000"),
        "{longer}"
    );
    ensure!(retention(&context).await? == "1209600000");
    ensure!(
        setting(&context, topic::TRANSACTIONS, "retention.ms").await? == "604800000",
        "others may have set it: {longer}"
    );
    context.settings.kafka.retention_ms = 3 * DAY_MS;
    let shorter = command(&context, "shorter", &["--overwrite"], false).await?;
    ensure!(shorter.contains("stays 1209600000, not 259200000"), "{shorter}");
    ensure!(retention(&context).await? == "1209600000");
    command(
        &context,
        "shortened",
        &["--overwrite", "--accept-data-loss"],
        false,
    )
    .await?;
    ensure!(retention(&context).await? == "259200000");
    Ok(())
}
