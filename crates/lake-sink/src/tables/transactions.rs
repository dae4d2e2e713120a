//! Transactions, by the day of their event time.

use millrace_catalog::payments::topic;
use millrace_domain::EventTimeLimits;
use millrace_domain::codec::TransactionReader;
use millrace_registry::RegistryError;
use millrace_sink::Record;

use super::{of_time, value};
use crate::table::{Cells, Kind, Row, Rows, Table, column};

/// The table.
pub const TABLE: Table = Table {
    name: "transactions",
    topic: topic::TRANSACTIONS,
    columns: &[
        column("transaction_id", Kind::Id),
        column("user_id", Kind::Text),
        column("amount", Kind::Money),
        column("transaction_time", Kind::Time),
        column("merchant_id", Kind::Text),
        column("transaction_type", Kind::Text),
        column("location", Kind::Text),
        column("payment_method", Kind::Text),
        column("is_international", Kind::Flag),
        column("currency", Kind::Text),
    ],
    sums: &["amount"],
    rows: |schemas, settings| {
        let event_time = &settings.aggregator.event_time;
        Box::new(Transactions {
            reader: schemas.reader(),
            limits: EventTimeLimits {
                earliest_ms: Some(event_time.earliest_time.ms()),
                max_future_ms: event_time.max_future_ms,
            },
        })
    },
};

struct Transactions {
    reader: TransactionReader,
    /// As the aggregator has them: what is outside is its dead letter.
    limits: EventTimeLimits,
}

impl Rows for Transactions {
    fn read(&self, record: &Record<'_>, cells: &mut Cells) -> Result<Row, RegistryError> {
        let transaction = match value(&self.reader, record)? {
            Ok(transaction) => transaction,
            Err(bad) => return Ok(bad),
        };
        if let Err(error) = transaction.check_event_time(record.append_time_ms, self.limits) {
            return Ok(Row::Skip { code: error.code() });
        }
        cells.text(&transaction.transaction_id.to_text());
        cells.text(transaction.user_id.text().as_bytes());
        cells.long(transaction.amount.units());
        cells.long(transaction.transaction_time_ms);
        cells.text(transaction.merchant_id.text().as_bytes());
        cells.text(transaction.transaction_type.as_str().as_bytes());
        cells.text(transaction.location.text().as_bytes());
        cells.text(transaction.payment_method.as_str().as_bytes());
        cells.flag(transaction.is_international);
        cells.text(transaction.currency.as_bytes());
        Ok(of_time(transaction.transaction_time_ms))
    }
}
