//! Faults under load, by the scenarios of `millrace-lab chaos`: time is lost, and never a cent, an
//! alert or a duplicate.

use std::time::Duration;

use anyhow::{Result, ensure};
use millrace_lab::chaos::{Fault, Pipeline, scenario};
use millrace_settings::MisplacedRecords;
use millrace_tests::TestContext;
use millrace_tests::checks::check_aggregates;
use millrace_tests::pipeline::hasten;
use millrace_tests::service;

/// Transactions a second.
const RATE: u64 = 1_000;
/// Share of records that nobody can take.
const MALFORMED_SHARE: f64 = 0.005;
/// Time between two looks at the groups, which only say here when a recovery is over. Ten a second,
/// as where recoveries are measured, were some 200 requests.
const LOOKS: Duration = Duration::from_millis(500);

/// Workers are killed: one, all of them, and over snapshots that are torn or gone.
pub(super) async fn workers_die(mut context: TestContext) -> Result<()> {
    context.settings.producer.malformed_share = MALFORMED_SHARE;
    let faults = [
        Fault::WorkerKill,
        Fault::SnapshotsTorn,
        Fault::AllWorkersKill,
        Fault::SnapshotsDeleted,
    ];
    survives(context, &faults).await
}

/// Workers join and leave; one of two dies for good; one hangs and comes back as a zombie.
pub(super) async fn members_come_and_go(mut context: TestContext) -> Result<()> {
    context.settings.producer.malformed_share = MALFORMED_SHARE;
    let faults = [Fault::WorkersJoinLeave, Fault::WorkerLoss, Fault::WorkerPause];
    survives(context, &faults).await
}

/// The worker that rekeys is killed; one of two hangs and comes back as a zombie.
pub(super) async fn rekeying_workers_die(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.producer.malformed_share = MALFORMED_SHARE;
    settings.aggregator.misplaced_records = MisplacedRecords::Rekey;
    settings.detector.misplaced_records = MisplacedRecords::Rekey;
    survives(context, &[Fault::RekeyKill]).await
}

/// Elasticsearch and the registry go away and come back. No record is malformed: only the registry
/// can tell whether a schema id is unknown, so such a record stops the jobs until it is back.
pub(super) async fn outages_are_waited_for(mut context: TestContext) -> Result<()> {
    context.settings.producer.malformed_share = 0.0;
    survives(context, &[Fault::ElasticsearchKill, Fault::RegistryKill]).await
}

/// A broker and the active controller are killed.
pub(super) async fn servers_die(mut context: TestContext) -> Result<()> {
    context.settings.producer.malformed_share = MALFORMED_SHARE;
    survives(context, &[Fault::BrokerKill, Fault::ControllerKill]).await
}

/// Two of three brokers are killed: everything waits for them, and goes on.
pub(super) async fn too_few_replicas_are_waited_for(mut context: TestContext) -> Result<()> {
    context.settings.producer.malformed_share = MALFORMED_SHARE;
    survives(context, &[Fault::TwoBrokersKill]).await
}

/// Does the faults one after another to one pipeline under load, and checks everything at the end:
/// by `verify`, by the anomalies of an undisturbed run, and by the naive sum over the log.
async fn survives(mut context: TestContext, faults: &[Fault]) -> Result<()> {
    let outcome = try_faults(&mut context, faults).await;
    if outcome.is_err() {
        // The next test needs every server; the context keeps it waiting until they are back.
        if let Err(error) = context.cluster.mend().await {
            eprintln!("faults: the servers are not all back: {error:#}");
        }
    }
    outcome
}

async fn try_faults(context: &mut TestContext, faults: &[Fault]) -> Result<()> {
    let settings = &mut context.settings;
    hasten(settings);
    settings.aggregator.window_ms = 5_000;
    settings.snapshots.interval_ms = 1_000;
    // Two suites may share two processors: fewer transactions, of more records each.
    for worker in [
        &mut settings.aggregator.worker,
        &mut settings.detector.worker,
        &mut settings.rekey.worker,
    ] {
        worker.threads = 1;
        worker.commit_interval_ms = 400;
    }
    let producer = &mut settings.producer;
    producer.rate_per_s = RATE;
    producer.linger_ms = 200;
    producer.users = 20_000;
    producer.merchants = 500;
    producer.duplicate_share = 0.01;
    producer.disorder_share = 0.05;
    producer.fraud_share = 0.005;
    let folder = context.path("pipeline");
    let cluster = context.cluster.clone();
    let mut pipeline =
        Pipeline::start(&context.settings, cluster, service::program()?, &folder, LOOKS).await?;
    for fault in faults {
        eprintln!("faults: {fault}");
        scenario::apply(*fault, &mut pipeline).await?;
    }
    let (judgement, recoveries) = pipeline.finish().await?;
    for recovery in &recoveries {
        eprintln!("faults: {} after {:.1} s", recovery.what, recovery.from_fault_s);
    }
    ensure!(
        judgement.passed(),
        "{} lost, {} doubled; differences: {:?}; open transactions: {:?}\n{}",
        judgement.lost(),
        judgement.doubled(),
        judgement.differences(),
        judgement.lingering_transactions,
        judgement.verification.to_table()
    );
    ensure!(judgement.anomalies.undisturbed > 0, "the stream has anomalies");
    if context.settings.rekeys() {
        // The naive sum knows no other place of a record than its producer's.
        let is_compared = |what: &str| {
            let found = judgement.outputs.iter().find(|compared| compared.what == what);
            found.is_some_and(|compared| compared.undisturbed > 0)
        };
        ensure!(
            is_compared("rekeyed records") && is_compared("dead letters of rekeying"),
            "{:?}",
            judgement.outputs
        );
        return Ok(());
    }
    let count = judgement.verification.counts.acknowledged;
    let is_clean = context.settings.producer.malformed_share == 0.0;
    check_aggregates(context, if is_clean { 0 } else { count }).await?;
    Ok(())
}
