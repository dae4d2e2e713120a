//! Transactions: the cells of their fields, without the way over their bodies.

use millrace_domain::codec::TransactionReader;
use millrace_kafka::Misplaced;
use millrace_registry::RegistryError;
use millrace_service::sink::{Taken, value};
use millrace_sink::Record;

use crate::cells::Cells;
use crate::table::{Row, Rows};

/// Reads transactions.
pub(super) struct Transactions {
    reader: TransactionReader,
    taken: Taken,
}

impl Transactions {
    pub(super) fn new(reader: TransactionReader, taken: Taken) -> Self {
        Self { reader, taken }
    }
}

impl Rows for Transactions {
    fn read(&self, record: &Record<'_>, cells: &mut Cells) -> Result<Row, RegistryError> {
        let transaction = match value(&self.reader, record.payload.unwrap_or_default())? {
            Ok(transaction) => transaction,
            Err(error) => return Ok(Row::Skip { code: error.code() }),
        };
        if let Err(error) = transaction.check_event_time(record.append_time_ms, self.taken.limits) {
            return Ok(Row::Skip { code: error.code() });
        }
        let user_id = transaction.user_id.text();
        let (partition, user_id) = (record.origin.partition.partition, user_id.as_bytes());
        if self.taken.is_misplaced(partition, record.key, user_id) {
            return Ok(Row::Skip {
                code: Misplaced::CODE,
            });
        }
        cells.text(&transaction.transaction_id.to_text());
        cells.text(user_id);
        cells.long(transaction.amount.units());
        cells.long(transaction.transaction_time_ms);
        cells.text(transaction.merchant_id.text().as_bytes());
        cells.text(transaction.transaction_type.as_str().as_bytes());
        cells.text(transaction.location.text().as_bytes());
        cells.text(transaction.payment_method.as_str().as_bytes());
        cells.flag(transaction.is_international);
        cells.text(transaction.currency.as_bytes());
        Ok(Row::of_ms(transaction.transaction_time_ms))
    }
}
