//! Merchants in two stages: how their records are read and written.

use millrace_domain::codec::{aggregate, partial};
use millrace_domain::{Partial, Transaction};
use millrace_engine::EventTimeBounds;
use millrace_engine::windowed::Record;
use millrace_payments::{
    MerchantKey, MerchantResult, MerchantTotals, PerMerchant, merchant_aggregate, partial_of, record_of,
};
use millrace_runtime::processor::Refused;
use millrace_runtime::windowed::TwoStage;

/// Merchants in two stages.
#[derive(Debug, Clone, Copy)]
pub struct Merchants;

impl TwoStage for Merchants {
    type Aggregation = PerMerchant;
    type Partial = Partial;

    const EVENTS: &'static str = "transactions";

    fn aggregation() -> PerMerchant {
        PerMerchant
    }

    #[inline]
    fn check(
        transaction: &Transaction,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        let checked = transaction.check_event_time(append_time_ms, bounds.limits());
        checked.map_err(|error| Refused {
            code: error.code(),
            why: error.to_string(),
        })
    }

    fn key(key: &MerchantKey) -> impl AsRef<[u8]> {
        key.merchant_id.text()
    }

    fn encode_partial(schema_id: u32, record: Record<MerchantKey, MerchantTotals>, value: &mut Vec<u8>) {
        partial::encode_framed(schema_id, &partial_of(record), value);
    }

    fn record_of(partial: Partial) -> Record<MerchantKey, MerchantTotals> {
        record_of(partial)
    }

    fn encode_result(schema_id: u32, result: &MerchantResult, value: &mut Vec<u8>) {
        aggregate::encode_framed(schema_id, &merchant_aggregate(result), value);
    }
}
