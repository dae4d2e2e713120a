//! How the records of the jobs are read and written.

use std::marker::PhantomData;

use millrace_commerce::{
    Funnel, FunnelSaid, FunnelSettings, Funnels, SalesBy, SalesKey, SalesPartial, SalesRecord, SalesResult,
    ShopEvent, UserFunnels,
};
use millrace_contract::Encode as _;
use millrace_engine::keyed::OrderedPolicy;
use millrace_engine::{EventTimeBounds, HashSeed};
use millrace_runtime::keyed::Keyed;
use millrace_runtime::processor::{Refused, check_event_time};
use millrace_runtime::windowed::TwoStage;

/// Sales in two stages, by a key.
#[derive(Debug, Clone, Copy)]
pub struct Sold<K>(PhantomData<K>);

/// Of one event, for each of the jobs.
fn check(event: &ShopEvent, append_time_ms: Option<i64>, bounds: &EventTimeBounds) -> Result<(), Refused> {
    check_event_time(event.time_ms, append_time_ms, bounds)?;
    event.check().map_err(|error| Refused {
        code: error.code(),
        why: error.to_string(),
    })
}

impl<K: SalesKey> TwoStage for Sold<K> {
    type Aggregation = SalesBy<K>;
    type Partial = SalesPartial;

    const EVENTS: &'static str = "data-stream";

    fn aggregation() -> SalesBy<K> {
        SalesBy::new()
    }

    fn check(
        event: &ShopEvent,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        check(event, append_time_ms, bounds)
    }

    fn source_key(event: &ShopEvent) -> impl AsRef<[u8]> {
        event.user_id.as_str()
    }

    fn key(key: &K) -> impl AsRef<[u8]> {
        key.as_text()
    }

    fn encode_partial(schema_id: u32, record: SalesRecord<K>, value: &mut Vec<u8>) {
        SalesPartial::of(&record).encode_framed(schema_id, value);
    }

    fn record_of(partial: SalesPartial) -> SalesRecord<K> {
        partial.record()
    }

    fn encode_result(schema_id: u32, result: &SalesResult<K>, value: &mut Vec<u8>) {
        if let Some(record) = K::result(result) {
            record.encode_framed(schema_id, value);
        }
    }
}

/// Sessions of users, and how far each came.
#[derive(Debug, Clone, Copy)]
pub struct Sessions;

impl Keyed for Sessions {
    type Operator = UserFunnels;

    fn operator(policy: OrderedPolicy<FunnelSettings>, seed: HashSeed) -> UserFunnels {
        UserFunnels::new(Funnels, policy, seed)
    }

    fn check(
        event: &ShopEvent,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        check(event, append_time_ms, bounds)
    }

    fn source_key(event: &ShopEvent) -> impl AsRef<[u8]> {
        event.user_id.as_str()
    }

    fn encode<'a>(schema_id: u32, said: &'a FunnelSaid, value: &mut Vec<u8>) -> &'a [u8] {
        Funnel::of(said).encode_framed(schema_id, value);
        said.key.as_str().as_bytes()
    }
}
