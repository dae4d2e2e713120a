//! From the stages' records to those of the contract, and back.

use millrace_domain::{Contribution, MerchantAggregate, Partial, PartialContent};
use millrace_engine::windowed::{self, Aggregate, Content, Record};

use crate::{MerchantKey, MerchantTotals};

/// The record of the partials topic that tells what one of stage 1 tells.
#[must_use]
pub fn partial_of(record: Record<MerchantKey, MerchantTotals>) -> Partial {
    let of_contract = |contributions: Vec<windowed::Contribution<MerchantKey, MerchantTotals>>| {
        contributions
            .into_iter()
            .map(|group| Contribution {
                merchant_id: group.key.merchant_id,
                currency: group.key.currency,
                window_start_ms: group.window_start_ms,
                window_end_ms: group.window_end_ms,
                totals: group.totals.sums,
                distinct_users: group.totals.distinct_users,
            })
            .collect()
    };
    Partial {
        source_partition: record.source_partition,
        watermark_ms: record.watermark_ms,
        complete_ms: record.complete_ms,
        content: match record.content {
            Content::Watermark => PartialContent::Watermark,
            Content::Final(contributions) => PartialContent::Final(of_contract(contributions)),
            Content::Early(contributions) => PartialContent::Early(of_contract(contributions)),
        },
    }
}

/// What stage 2 takes of a record of the partials topic.
#[must_use]
pub fn record_of(partial: Partial) -> Record<MerchantKey, MerchantTotals> {
    let of_stage = |contributions: Vec<Contribution>| {
        contributions
            .into_iter()
            .map(|group| windowed::Contribution {
                key: MerchantKey {
                    merchant_id: group.merchant_id,
                    currency: group.currency,
                },
                window_start_ms: group.window_start_ms,
                window_end_ms: group.window_end_ms,
                totals: MerchantTotals {
                    sums: group.totals,
                    distinct_users: group.distinct_users,
                },
            })
            .collect()
    };
    Record {
        source_partition: partial.source_partition,
        watermark_ms: partial.watermark_ms,
        complete_ms: partial.complete_ms,
        content: match partial.content {
            PartialContent::Watermark => Content::Watermark,
            PartialContent::Final(contributions) => Content::Final(of_stage(contributions)),
            PartialContent::Early(contributions) => Content::Early(of_stage(contributions)),
        },
    }
}

/// The result that stage 2 gives, as it is sent.
#[must_use]
pub fn merchant_aggregate(result: &Aggregate<MerchantKey, MerchantTotals>) -> MerchantAggregate {
    MerchantAggregate {
        merchant_id: result.key.merchant_id,
        currency: result.key.currency,
        window_start_ms: result.window_start_ms,
        window_end_ms: result.window_end_ms,
        totals: result.totals.sums,
        distinct_users: result.totals.distinct_users,
        revision: result.revision,
    }
}

const _: () = assert!(windowed::FINAL == MerchantAggregate::FINAL);
