//! Merchant aggregates by merchant and day.

use millrace_domain::MerchantAggregate;

use super::{NoRow, check_time, count};
use crate::row::{Row, day, int, long, money, text, time};
use crate::table::{Table, ascending, descending, partition, value};
use crate::version::of_revision;

/// A day of a merchant, currency by currency, the newest window first. At most 1,440 rows a
/// currency with windows of a minute: a few hundred kilobytes.
pub const BY_MERCHANT: Table = Table {
    name: "aggregates_by_merchant",
    about: "What a merchant took and gave back in each window of a day, by currency",
    columns: &[
        partition("merchant_id", "text"),
        partition("day", "date"),
        ascending("currency", "text"),
        descending("window_start", "timestamp"),
        value("window_end", "timestamp"),
        value("purchase_count", "bigint"),
        value("purchase_sum", "decimal"),
        value("refund_count", "bigint"),
        value("refund_sum", "decimal"),
        value("min_amount", "decimal"),
        value("max_amount", "decimal"),
        value("distinct_users", "bigint"),
        value("revision", "int"),
    ],
};

/// The row of an aggregate that was read at `offset`.
pub(crate) fn rows(aggregate: &MerchantAggregate, offset: i64) -> Result<Vec<Row>, NoRow> {
    let start_ms = check_time(aggregate.window_start_ms)?;
    let totals = &aggregate.totals;
    Ok(vec![Row {
        table: &BY_MERCHANT,
        time_ms: start_ms,
        version: of_revision(start_ms, aggregate.revision, offset),
        cells: vec![
            text(aggregate.merchant_id.text().as_str()),
            day(start_ms),
            text(aggregate.currency.as_str()),
            time(start_ms),
            time(aggregate.window_end_ms),
            long(count(totals.purchase_count)?),
            money(totals.purchase_sum),
            long(count(totals.refund_count)?),
            money(totals.refund_sum),
            money(totals.min_amount.into()),
            money(totals.max_amount.into()),
            long(count(aggregate.distinct_users)?),
            int(aggregate.revision),
        ],
    }])
}
