//! Incidents of alerts, through kills of their job, the detector and the sink.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::incidents::{INCIDENT_DOCUMENTS, INCIDENTS, topic};
use millrace_catalog::payments::topic::ANOMALIES;
use millrace_catalog::{Service as Known, payments};
use millrace_domain::codec::anomaly;
use millrace_domain::{
    Anomaly, EntityType, Evidence, IncidentRecord, IncidentStatus, Severity, ShortId, TransactionId, schema,
};
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_registry::Registry;
use millrace_service::registry;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::streams::{check_status, compared, start};
use millrace_tests::verification::verified;
use millrace_tests::{TestContext, elastic, groups, send, topics, wait_until};
use rdkafka::producer::BaseRecord;
use serde_json::{Value, json};

/// Transactions of the attack.
const ATTACK: u64 = 1_000;
/// Parts that they come in, with a kill after each but the last.
const PARTS: u64 = 4;
/// Of event time between two.
const STEP_MS: i64 = 1_000;
/// Who is attacked.
const VICTIM: &str = "u-victim";
/// The others that have an alert with each hundredth transaction.
const OTHERS: u64 = 10;

fn alert(number: u64, user: &str, rule: &'static str, time_ms: i64) -> Result<Anomaly> {
    let entity = ShortId::new(user, "entity")?;
    let transaction = TransactionId::from_bytes(u128::from(number).to_be_bytes());
    Ok(Anomaly {
        id: Anomaly::id_of(rule, &entity, &transaction),
        rule: Cow::Borrowed(rule),
        entity_type: EntityType::User,
        entity,
        severity: Severity::High,
        score: 0.5,
        evidence: Evidence {
            transaction_ids: vec![transaction],
            figures: Vec::new(),
        },
        event_time_ms: time_ms,
        origin: None,
    })
}

/// Sends alerts as a detector does.
async fn send_alerts(context: &TestContext, start_ms: i64, numbers: Range<u64>) -> Result<()> {
    let kafka = &context.settings.kafka;
    let name = topic_name(kafka, ANOMALIES);
    let client = Registry::new(pipeline::registry_config(context))?;
    let schema_id = registry::schema_id(&client, &name, schema::ANOMALY).await?;
    let producer = send::producer(kafka, &[])?;
    let put = |alert: &Anomaly| {
        let mut value = Vec::new();
        anomaly::encode_framed(schema_id, alert, now_ms(), &mut value);
        let entity = alert.entity.text();
        let record = BaseRecord::to(&name).key(entity.as_bytes()).payload(&value);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .context("sending an alert")
    };
    for number in numbers {
        let time_ms = start_ms + number.cast_signed() * STEP_MS;
        put(&alert(number, VICTIM, "impossible_travel", time_ms)?)?;
        if number.is_multiple_of(100) {
            for other in 0..OTHERS {
                let number = 1_000_000 * (other + 1) + number;
                put(&alert(number, &format!("u-{other}"), "velocity", time_ms)?)?;
            }
        }
    }
    send::flush(&producer)
}

/// The newest record of each incident; whether each has all its revisions is the job's test's.
async fn newest(context: &TestContext) -> Result<Vec<IncidentRecord>> {
    let mut newest: BTreeMap<_, IncidentRecord> = BTreeMap::new();
    for (record, incident) in topics::read_as::<IncidentRecord>(context, topic::INCIDENTS).await? {
        ensure!(
            record.key.as_deref() == Some(incident.id.to_string().as_bytes()),
            "the key is the id: {incident:?}"
        );
        let before = newest.insert(incident.id, incident.clone());
        ensure!(
            before.is_none_or(|before| before.revision < incident.revision),
            "revisions rise: {incident:?}"
        );
    }
    Ok(newest.into_values().collect())
}

async fn document(context: &TestContext, entity: &str) -> Result<Option<Value>> {
    let query = json!({"query": {"term": {"entity": entity}}, "size": 2});
    let found = elastic::search(&context.settings, INCIDENT_DOCUMENTS.index, &query).await?;
    let Some(hits) = found["hits"]["hits"].as_array() else {
        return Ok(None);
    };
    ensure!(hits.len() < 2, "one incident is one document: {hits:?}");
    Ok(hits.first().map(|hit| hit["_source"].clone()))
}

/// One incident of the attack with all of it, and one of each other user; how many there are.
async fn check_records(context: &TestContext, start_ms: i64) -> Result<u64> {
    let incidents = newest(context).await?;
    let of = |user: &str| {
        incidents
            .iter()
            .filter(move |it| it.entity == user)
            .collect::<Vec<_>>()
    };
    // Of one typology, `impossible_travel` reaches the threshold, and `velocity` does not.
    let [attack] = of(VICTIM)[..] else {
        anyhow::bail!("{:?}", of(VICTIM));
    };
    ensure!(
        (attack.transactions, attack.alerts, attack.status) == (ATTACK, ATTACK, IncidentStatus::Open),
        "{attack:?}"
    );
    ensure!(
        attack.first_ms == start_ms && attack.last_ms == start_ms + (ATTACK.cast_signed() - 1) * STEP_MS,
        "{attack:?}"
    );
    let quiet = incidents.iter().filter(|it| it.status == IncidentStatus::Growing);
    ensure!(quiet.count() as u64 == OTHERS, "{incidents:?}");
    Ok(incidents.len() as u64)
}

/// One document of the attack with all of it, and `count` in all.
async fn check_documents(context: &TestContext, count: u64) -> Result<()> {
    wait_until("one document with all transactions", LIMIT, || async {
        let found = document(context, VICTIM).await?;
        let count = found.and_then(|found| found["transactions"].as_u64());
        Ok((count == Some(ATTACK)).then_some(()))
    })
    .await?;
    wait_until("all documents", LIMIT, || async {
        let found = elastic::count(&context.settings, INCIDENT_DOCUMENTS.index).await?;
        Ok((found == Some(count)).then_some(()))
    })
    .await?;
    let found = document(context, VICTIM).await?.context("the document")?;
    ensure!(
        found["rules"] == json!([{"rule": "impossible_travel", "alerts": ATTACK, "score": 0.5}])
            && found["status"] == "open"
            && found["revision"] == ATTACK
            && found["transactionIds"].as_array().map(Vec::len) == Some(20),
        "{found}"
    );
    Ok(())
}

/// An attack of a thousand transactions is one incident with all of them, and one document that has
/// grown; alerts that come to less are incidents that nobody need look at. With kills of the job
/// and of the sink on the way.
pub(super) async fn an_attack_is_one_through_kills(mut context: TestContext) -> Result<()> {
    pipeline::hasten(&mut context.settings);
    context.settings.incidents.enabled = true;
    context.settings.snapshots.interval_ms = 1_000;
    pipeline::init(&context).await?;
    let start_ms = now_ms() - ATTACK.cast_signed() * STEP_MS;
    let mut job = start(&context, Known::Incidents).await?;
    let mut sink = start(&context, Known::ElasticSink).await?;
    for part in 0..PARTS {
        let of = |part| part * ATTACK / PARTS;
        send_alerts(&context, start_ms, of(part)..of(part + 1)).await?;
        if part + 1 == PARTS {
            break;
        }
        wait_until("a document that grows", LIMIT, || async {
            let found = document(&context, VICTIM).await?;
            let count = found.and_then(|found| found["transactions"].as_u64());
            Ok(count.is_some_and(|count| count > of(part)).then_some(()))
        })
        .await?;
        job.kill()?;
        sink.kill()?;
        sink = start(&context, Known::ElasticSink).await?;
        job = start(&context, Known::Incidents).await?;
    }
    groups::wait_until_read(&context.settings, &INCIDENTS.group(), ANOMALIES).await?;
    let count = check_records(&context, start_ms).await?;
    check_documents(&context, count).await?;
    job.stop().await?;
    sink.stop().await
}

/// Runs `millrace alerts ARGUMENTS…` to its end; what it says.
async fn alerts(context: &TestContext, arguments: &[&str]) -> Result<String> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    // Each has a log of its own.
    let name = format!("alerts-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut command = Service::start(context, &name, &[&["alerts"][..], arguments].concat())?;
    command.succeed(LIMIT).await?;
    Ok(command.output())
}

/// Decides on an incident; where the service runs, it is so by then.
async fn decide(context: &TestContext, verdict: &str, id: &str, is_running: bool) -> Result<()> {
    let arguments = [verdict, id, "--reason", "a call", "--author", "ann"];
    let wait: &[&str] = if is_running { &["--wait", "120s"] } else { &[] };
    alerts(context, &[&arguments[..], wait].concat()).await?;
    Ok(())
}

/// The id of the one incident that is open of a user or merchant, as `millrace alerts list` has it.
async fn listed(context: &TestContext, entity: &str) -> Result<String> {
    let said = alerts(context, &["list", "--entity", entity, "--json"]).await?;
    let listed: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let [incident] = listed.as_array().map_or(&[][..], Vec::as_slice) else {
        anyhow::bail!("{said}");
    };
    Ok(incident["id"].as_str().context("an id")?.to_owned())
}

/// What an analyst decides is in the incident's record and document, whether the service runs or is
/// killed meanwhile, and changes by another verdict; an alert after it opens another incident.
pub(super) async fn verdicts_hold_through_kills(mut context: TestContext) -> Result<()> {
    pipeline::hasten(&mut context.settings);
    context.settings.incidents.enabled = true;
    context.settings.snapshots.interval_ms = 1_000;
    pipeline::init(&context).await?;
    let start_ms = now_ms() - 10 * STEP_MS;
    let job = start(&context, Known::Incidents).await?;
    let sink = start(&context, Known::ElasticSink).await?;
    send_alerts(&context, start_ms, 1..6).await?;
    wait_until("an incident of five alerts", LIMIT, || async {
        let incidents = newest(&context).await?;
        Ok(incidents.iter().any(|it| it.alerts == 5).then_some(()))
    })
    .await?;
    let id = listed(&context, VICTIM).await?;
    decide(&context, "confirm", &id, true).await?;
    send_alerts(&context, start_ms, 6..8).await?;
    wait_until("an incident after the verdict", LIMIT, || async {
        let incidents = newest(&context).await?;
        Ok(incidents.iter().any(|it| it.alerts == 2).then_some(()))
    })
    .await?;
    let other = listed(&context, VICTIM).await?;
    ensure!(other != id, "the other is of the alerts after the verdict");
    job.kill()?;
    decide(&context, "dismiss", &other, false).await?;
    decide(&context, "dismiss", &id, false).await?;
    let job = start(&context, Known::Incidents).await?;
    for (id, count) in [(&id, 5), (&other, 2)] {
        wait_until("a document that says so", LIMIT, || async {
            let query = json!({"query": {"term": {"id": id}}});
            let found = elastic::search(&context.settings, INCIDENT_DOCUMENTS.index, &query).await?;
            let found = &found["hits"]["hits"][0]["_source"];
            let is_so = found["status"] == "dismissed" && found["alerts"] == count;
            Ok(is_so.then_some(()))
        })
        .await
        .with_context(|| id.clone())?;
    }
    let said = alerts(&context, &["show", &id[..13]]).await?;
    ensure!(
        said.contains("dismissed by ann at ") && said.contains(": a call") && said.contains("5 alerts"),
        "{said}"
    );
    let said = alerts(&context, &["list", "--entity", VICTIM, "--status", "dismissed"]).await?;
    ensure!(said.contains(&id[..8]) && said.contains(&other[..8]), "{said}");
    job.stop().await?;
    sink.stop().await
}

/// Of a generated stream, through kills of the detector and of the job of incidents: `verify` finds
/// each alert in an incident, and all of them in Elasticsearch, and an undisturbed run writes the
/// same, a verdict and the snooze of its rules among it; `status` shows the job.
pub(super) async fn of_a_generated_stream_are_verified(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    pipeline::hasten(settings);
    settings.incidents.enabled = true;
    settings.producer.rate_per_s = 400;
    settings.producer.users = 200;
    settings.producer.fraud_share = 0.05;
    let mut pipeline = Pipeline::start(&context).await?;
    let mut producer = Service::start(&context, "producer", &["service", "producer", "--for", "25s"])?;
    topics::wait_for_records(&context.settings, topic::INCIDENTS, 20).await?;
    let mut incidents = newest(&context).await?.into_iter();
    let decided = incidents.find(|it| it.entity_type == EntityType::User);
    let decided = decided.context("an incident of a user")?.id.to_string();
    decide(&context, "dismiss", &decided, true).await?;
    let snooze = [
        "snooze", &decided, "--for", "7d", "--reason", "a call", "--author", "ann",
    ];
    let said = alerts(&context, &[&snooze[..], &["--wait", "120s"]].concat()).await?;
    ensure!(
        said.contains("every partition of the detector goes by it"),
        "{said}"
    );
    pipeline.crash(&context, Known::Incidents.name()).await?;
    pipeline.crash(&context, Known::Detector.name()).await?;
    producer.succeed(LIMIT).await?;

    let report = verified(&context, 0).await?;
    let count = |row: &str| -> Result<u64> { Ok(report.row(row)?.parse()?) };
    let (anomalies, alerts) = (count("anomalies")?, count("alerts in incidents")?);
    ensure!(alerts >= anomalies && anomalies > 0, "{report:?}");
    ensure!(
        count("incidents")? == count("Elasticsearch: incidents")?
            && alerts == count("Elasticsearch: alerts in incidents")?,
        "{report:?}"
    );
    let undisturbed = check_undisturbed(&context).await?;
    ensure!(
        compared(&undisturbed, "records of fraud_incidents") > 0,
        "{undisturbed:?}"
    );
    check_status(&context, &[INCIDENTS, payments::DETECT]).await?;
    pipeline.stop().await
}
