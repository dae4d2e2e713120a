//! Results as the jobs write them, made by hand, for tests of what reads them.

use anyhow::{Context, Result};
use millrace_catalog::payments::topic;
use millrace_contract::reader::Contract;
use millrace_domain::codec::{DecodedAnomaly, aggregate, anomaly};
use millrace_domain::{
    Amount, Anomaly, Currency, EntityType, Evidence, MerchantAggregate, Severity, ShortId, Sum, Totals,
    TransactionId,
};
use millrace_kafka::topic_name;
use millrace_registry::Registry;
use rdkafka::producer::BaseRecord;

use crate::TestContext;
use crate::pipeline::registry_config;
use crate::send::{flush, producer};

/// The final aggregate of a minute of one purchase of so many units; its merchant follows `number`.
///
/// # Errors
/// None: every value is valid.
pub fn minute(number: u32, window_start_ms: i64, units: i64) -> Result<MerchantAggregate> {
    let amount = Amount::from_units(units).context("above 0")?;
    Ok(MerchantAggregate {
        merchant_id: short(&format!("m{number}"))?,
        currency: Currency::parse(b"GBP")?,
        window_start_ms,
        window_end_ms: window_start_ms + 60_000,
        totals: Totals {
            purchase_count: 1,
            purchase_sum: Sum::from_units(i128::from(units)),
            refund_count: 0,
            refund_sum: Sum::ZERO,
            min_amount: amount,
            max_amount: amount,
        },
        distinct_users: 1,
        revision: MerchantAggregate::FINAL,
    })
}

/// An alert of one transaction; its user follows `number`.
///
/// # Errors
/// None: every value is valid.
pub fn alert(number: u32, event_time_ms: i64) -> Result<Anomaly> {
    let mut id = [0x40; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let (id, entity) = (TransactionId::from_bytes(id), short(&format!("u{number}"))?);
    Ok(Anomaly {
        id: Anomaly::id_of("velocity", &entity, &id),
        rule: "velocity".into(),
        entity_type: EntityType::User,
        entity,
        severity: Severity::High,
        score: 0.75,
        evidence: Evidence::default(),
        event_time_ms,
        origin: None,
    })
}

fn short(text: &str) -> Result<ShortId> {
    Ok(ShortId::new(text, "sample")?)
}

/// Writes aggregates to their topic, as the aggregator does, and waits until they are there.
///
/// # Errors
/// Registry or Kafka do not take them.
pub async fn send_minutes(
    context: &TestContext,
    aggregates: impl IntoIterator<Item = Result<MerchantAggregate>>,
) -> Result<()> {
    let id = schema_id::<MerchantAggregate>(context, topic::AGGREGATES).await?;
    let values = aggregates.into_iter().map(|one| {
        let (one, mut value) = (one?, Vec::new());
        aggregate::encode_framed(id, &one, &mut value);
        Ok((one.merchant_id, value))
    });
    write(context, topic::AGGREGATES, values)
}

/// Writes alerts to their topic, as the detector does, and waits until they are there.
///
/// # Errors
/// Registry or Kafka do not take them.
pub async fn send_alerts(
    context: &TestContext,
    alerts: impl IntoIterator<Item = Result<Anomaly>>,
) -> Result<()> {
    let id = schema_id::<DecodedAnomaly>(context, topic::ANOMALIES).await?;
    let values = alerts.into_iter().map(|one| {
        let (one, mut value) = (one?, Vec::new());
        anomaly::encode_framed(id, &one, one.event_time_ms, &mut value);
        Ok((one.entity, value))
    });
    write(context, topic::ANOMALIES, values)
}

async fn schema_id<T: Contract>(context: &TestContext, topic: &str) -> Result<u32> {
    let registry = Registry::new(registry_config(context))?;
    let topic = topic_name(&context.settings.kafka, topic);
    millrace_service::registry::schema_id(&registry, &topic, T::SCHEMA).await
}

fn write(
    context: &TestContext,
    topic: &str,
    values: impl Iterator<Item = Result<(ShortId, Vec<u8>)>>,
) -> Result<()> {
    let kafka = &context.settings.kafka;
    let (producer, topic) = (producer(kafka, &[])?, topic_name(kafka, topic));
    for value in values {
        let (key, value) = value?;
        let key = key.text();
        let record = BaseRecord::to(&topic).key(key.as_bytes()).payload(&value);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .context("sending a result")?;
    }
    flush(&producer)
}
