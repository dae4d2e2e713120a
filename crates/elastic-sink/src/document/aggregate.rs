//! A merchant aggregate's document.

use millrace_domain::MerchantAggregate;

use super::{Document, Fields, NoDocument, month};
use crate::stream::Stream;

/// The external version of a revision: above 0 for each of 32 bits, and in their order.
fn version(revision: i32) -> i64 {
    i64::from(revision) - i64::from(i32::MIN) + 1
}

/// The document of an aggregate.
///
/// # Errors
/// The window lies outside the years 1970 to 9999, or a sum does not fit a `long`.
pub fn aggregate(aggregate: &MerchantAggregate) -> Result<Document, NoDocument> {
    let totals = &aggregate.totals;
    let month = month("windowStart", aggregate.window_start_ms)?;
    let mut fields = Fields::at(aggregate.window_start_ms);
    fields.plain("windowEnd", aggregate.window_end_ms);
    fields.text("merchantId", aggregate.merchant_id.text().as_str());
    fields.text("currency", aggregate.currency.as_str());
    fields.plain("purchaseCount", totals.purchase_count);
    fields.money("purchaseSum", totals.purchase_sum)?;
    fields.plain("refundCount", totals.refund_count);
    fields.money("refundSum", totals.refund_sum)?;
    fields.money("minAmount", totals.min_amount.into())?;
    fields.money("maxAmount", totals.max_amount.into())?;
    fields.plain("distinctUsers", aggregate.distinct_users);
    fields.plain("revision", aggregate.revision);
    Ok(Document {
        stream: Stream::AGGREGATES,
        month,
        id: aggregate.document_id(),
        version: version(aggregate.revision),
        source: fields.end(),
    })
}
