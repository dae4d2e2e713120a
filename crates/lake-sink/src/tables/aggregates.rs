//! Merchant aggregates, early results among them, by the day in which their window begins.

use millrace_catalog::payments::topic;
use millrace_domain::{MerchantAggregate, Sum};

use super::{of_time, open};
use crate::table::{Cells, Kind, Row, Table, column};

/// The table.
pub const TABLE: Table = Table {
    name: "transaction_aggregates",
    topic: topic::AGGREGATES,
    columns: &[
        column("merchant_id", Kind::Text),
        column("currency", Kind::Text),
        column("window_start", Kind::Time),
        column("window_end", Kind::Time),
        column("purchase_count", Kind::Count),
        column("purchase_sum", Kind::Sum),
        column("refund_count", Kind::Count),
        column("refund_sum", Kind::Sum),
        column("min_amount", Kind::Money),
        column("max_amount", Kind::Money),
        column("distinct_users", Kind::Count),
        column("revision", Kind::Number),
    ],
    sums: &["purchase_sum", "refund_sum"],
    rows: |schemas, _| open(schemas, row),
};

/// The largest sum of 38 digits.
const MAX_SUM: i128 = 10_i128.pow(38) - 1;

/// What no column takes.
const OUT_OF_RANGE: Row = Row::Skip {
    code: "sum_out_of_range",
};

fn row(aggregate: &MerchantAggregate, cells: &mut Cells) -> Row {
    let totals = &aggregate.totals;
    let fits = |sum: Sum| (-MAX_SUM..=MAX_SUM).contains(&sum.units());
    let counts = [
        totals.purchase_count,
        totals.refund_count,
        aggregate.distinct_users,
    ];
    let [Ok(purchases), Ok(refunds), Ok(users)] = counts.map(i64::try_from) else {
        return OUT_OF_RANGE;
    };
    if !fits(totals.purchase_sum) || !fits(totals.refund_sum) {
        return OUT_OF_RANGE;
    }
    cells.text(aggregate.merchant_id.text().as_bytes());
    cells.text(aggregate.currency.as_bytes());
    cells.long(aggregate.window_start_ms);
    cells.long(aggregate.window_end_ms);
    cells.long(purchases);
    cells.sum(totals.purchase_sum.units());
    cells.long(refunds);
    cells.sum(totals.refund_sum.units());
    cells.long(totals.min_amount.units());
    cells.long(totals.max_amount.units());
    cells.long(users);
    cells.number(aggregate.revision);
    of_time(aggregate.window_start_ms)
}
