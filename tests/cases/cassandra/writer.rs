//! Known records, in an order that no job writes them in.

use anyhow::{Context as _, Result};
use millrace_clickstream::{Page, PageViews};
use millrace_contract::Encode as _;
use millrace_contract::reader::Contract as _;
use millrace_domain::codec::{self, DecodedAnomaly};
use millrace_domain::{
    Amount, Anomaly, Currency, EntityType, Evidence, MerchantAggregate, Severity, ShortId, Sum, Totals,
    TransactionId,
};
use millrace_kafka::topic_name;
use millrace_registry::Registry;
use millrace_service::registry::schema_id;
use millrace_tests::pipeline::registry_config;
use millrace_tests::{TestContext, send};
use rdkafka::producer::BaseRecord;

use super::{AGGREGATES, ANOMALIES, DAY_MS, MINUTE_MS, OLD, PAGE_VIEWS, STREAMS};

/// Sends known records.
pub(super) struct Writer<'a> {
    context: &'a TestContext,
    base_ms: i64,
    /// Of aggregates, anomalies and page views.
    schemas: [u32; 3],
}

impl<'a> Writer<'a> {
    pub(super) async fn new(context: &'a TestContext, base_ms: i64) -> Result<Self> {
        let registry = Registry::new(registry_config(context))?;
        let texts = [
            MerchantAggregate::SCHEMA,
            DecodedAnomaly::SCHEMA,
            PageViews::SCHEMA,
        ];
        let mut schemas = [0; 3];
        for ((topic, text), id) in STREAMS.iter().zip(texts).zip(&mut schemas) {
            *id = schema_id(&registry, &topic_name(&context.settings.kafka, topic), text).await?;
        }
        Ok(Self {
            context,
            base_ms,
            schemas,
        })
    }

    pub(super) fn send(&self, numbers: std::ops::Range<u32>) -> Result<()> {
        let kafka = &self.context.settings.kafka;
        let producer = send::producer(kafka, &[])?;
        let put = |topic: &str, key: &str, value: &[u8]| {
            let name = topic_name(kafka, topic);
            let sent = producer.send(BaseRecord::to(&name).key(key).payload(value));
            sent.map_err(|(error, _)| error).context("sending")
        };
        for number in numbers {
            for aggregate in self.aggregates(number)? {
                let mut value = Vec::new();
                codec::aggregate::encode_framed(self.schemas[0], &aggregate, &mut value);
                put(AGGREGATES, &aggregate.merchant_id.to_string(), &value)?;
            }
            for (anomaly, detected_ms) in self.anomalies(number)? {
                let mut value = Vec::new();
                codec::anomaly::encode_framed(self.schemas[1], &anomaly, detected_ms, &mut value);
                put(ANOMALIES, &anomaly.entity.to_string(), &value)?;
            }
            if number.is_multiple_of(4) {
                let (views, mut value) = (self.views(number)?, Vec::new());
                views.encode_framed(self.schemas[2], &mut value);
                put(PAGE_VIEWS, views.page.as_str(), &value)?;
            }
            if number.is_multiple_of(50) {
                for topic in STREAMS {
                    put(topic, "nobody", &[0, 1, 2])?;
                }
            }
        }
        send::flush(&producer)
    }

    /// Results of one window, in an order that no job writes them in.
    fn aggregates(&self, number: u32) -> Result<Vec<MerchantAggregate>> {
        let back = if number % OLD == 7 { 100 * DAY_MS } else { 0 };
        let start_ms = self.base_ms - i64::from(number / 80) * MINUTE_MS - back;
        let of = |revision: i32, more: i128| {
            anyhow::Ok(MerchantAggregate {
                merchant_id: ShortId::new(&format!("m-{}", number % 40), "test")?,
                currency: Currency::parse(if (number / 40).is_multiple_of(2) {
                    b"EUR"
                } else {
                    b"NOK"
                })?,
                window_start_ms: start_ms,
                window_end_ms: start_ms + MINUTE_MS,
                totals: Totals {
                    purchase_count: u64::from(number) + 1,
                    purchase_sum: Sum::from_units(i128::from(number) * 1_234_567_890_123 + more),
                    refund_count: 1,
                    refund_sum: Sum::from_units(more),
                    min_amount: Amount::from_units(1).context("an amount")?,
                    max_amount: Amount::from_units(1_000_000).context("an amount")?,
                },
                distinct_users: u64::from(number % 9),
                revision,
            })
        };
        Ok(match number % 3 {
            0 => vec![of(0, 3)?, of(-30_000, 1)?],
            1 => vec![of(-10_000, 2)?, of(-30_000, 1)?],
            _ => vec![of(-30_000, 1)?, of(0, 3)?, of(0, 4)?],
        })
    }

    /// An alert, or the same with another time of detection after it.
    fn anomalies(&self, number: u32) -> Result<Vec<(Anomaly, i64)>> {
        if !number.is_multiple_of(3) {
            return Ok(Vec::new());
        }
        let entity = ShortId::new(&format!("u-{}", number % 50), "test")?;
        let transaction = TransactionId::from_bytes(u128::from(number).to_be_bytes());
        let time_ms = self.base_ms - i64::from(number) * 20 * MINUTE_MS;
        let alert = |score: f64| Anomaly {
            id: Anomaly::id_of("velocity", &entity, &transaction),
            rule: "velocity".into(),
            entity_type: EntityType::User,
            entity,
            severity: Severity::High,
            score,
            evidence: Evidence {
                transaction_ids: vec![transaction],
                figures: vec![("count".into(), f64::from(number))],
            },
            event_time_ms: time_ms,
            origin: None,
        };
        let times = if number.is_multiple_of(6) { 2 } else { 1 };
        let detected =
            (0..times).map(|at| (alert(0.25 + 0.25 * f64::from(at)), time_ms + 100 + i64::from(at)));
        Ok(detected.collect())
    }

    fn views(&self, number: u32) -> Result<PageViews> {
        let start_ms = self.base_ms - i64::from(number) * MINUTE_MS;
        Ok(PageViews {
            page: Page::new(&format!("shop.example/p/{}", number % 20)).context("a page")?,
            window_start_ms: start_ms,
            window_end_ms: start_ms + MINUTE_MS,
            views: i64::from(number) * 3,
            visitors: i64::from(number),
        })
    }
}
