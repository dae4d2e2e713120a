//! Transactions, by the day of their event time.

use millrace_catalog::payments::topic;
use millrace_contract::ReadError;
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
};

pub(super) struct Transactions {
    pub(super) reader: TransactionReader,
    /// As the aggregator has them: what is outside is its dead letter.
    pub(super) limits: EventTimeLimits,
}

impl Rows for Transactions {
    fn read(&self, record: &Record<'_>, cells: &mut Cells) -> Result<Row, RegistryError> {
        let transaction = match self.reader.read(value(record)) {
            Ok(transaction) => transaction,
            Err(ReadError::Registry(error)) => return Err(error),
            Err(ReadError::Invalid(error)) => return Ok(Row::Skip { code: error.code() }),
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
