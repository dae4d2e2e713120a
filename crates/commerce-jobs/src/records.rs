//! How the records of the jobs are read and written.

use std::marker::PhantomData;

use millrace_commerce::{
    Funnel, FunnelSaid, FunnelSettings, Funnels, SalesBy, SalesKey, SalesPartial, SalesRecord, SalesResult,
    UserFunnels,
};
use millrace_contract::Encode as _;
use millrace_engine::HashSeed;
use millrace_engine::keyed::OrderedPolicy;
use millrace_runtime::keyed::Keyed;
use millrace_runtime::windowed::TwoStage;

/// Sales in two stages, by a key.
#[derive(Debug, Clone, Copy)]
pub struct Sold<K>(PhantomData<K>);

impl<K: SalesKey> TwoStage for Sold<K> {
    type Aggregation = SalesBy<K>;
    type Partial = SalesPartial;

    const EVENTS: &'static str = "data-stream";

    fn aggregation() -> SalesBy<K> {
        SalesBy::new()
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

    fn encode<'a>(schema_id: u32, said: &'a FunnelSaid, value: &mut Vec<u8>) -> &'a [u8] {
        Funnel::of(said).encode_framed(schema_id, value);
        said.key.as_str().as_bytes()
    }
}
