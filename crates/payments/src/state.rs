//! What payments put into a state: ids, currencies, amounts.

use millrace_domain::{Amount, Currency, ShortId, TransactionId};
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};

/// Appends values of payments to a state.
pub trait WritePayment {
    /// Appends a user or merchant: twelve bytes, and of a long one its text, which has to be
    /// [held](millrace_domain::texts::Held).
    fn short_id(&mut self, id: ShortId);

    /// Appends a transaction id.
    fn transaction_id(&mut self, id: TransactionId);

    /// Appends a currency.
    fn currency(&mut self, currency: Currency);

    /// Appends an amount.
    fn amount(&mut self, amount: Amount);
}

impl WritePayment for StateWriter<'_> {
    #[inline]
    fn short_id(&mut self, id: ShortId) {
        self.raw(&id.to_padded());
        if id.is_long() {
            self.text(id.text().as_str());
        }
    }

    #[inline]
    fn transaction_id(&mut self, id: TransactionId) {
        self.raw(id.as_bytes());
    }

    #[inline]
    fn currency(&mut self, currency: Currency) {
        self.raw(currency.as_bytes());
    }

    #[inline]
    fn amount(&mut self, amount: Amount) {
        self.i64(amount.units());
    }
}

/// Reads values of payments from a state, as [`WritePayment`] wrote them.
pub trait ReadPayment {
    /// A user or merchant, with the text of a long one: it is in flight then, to be held. `what`
    /// names the value in errors.
    ///
    /// # Errors
    /// The state ends before, or the bytes are no such name.
    fn short_id(&mut self, what: &'static str) -> Result<ShortId, RestoreError>;

    /// The twelve bytes of an id whose text nobody asks for.
    ///
    /// # Errors
    /// The state ends before, or the bytes are no id.
    fn id_alone(&mut self, what: &'static str) -> Result<ShortId, RestoreError>;

    /// A transaction id.
    ///
    /// # Errors
    /// The state ends before.
    fn transaction_id(&mut self) -> Result<TransactionId, RestoreError>;

    /// A currency.
    ///
    /// # Errors
    /// The state ends before, or the bytes are no currency.
    fn currency(&mut self) -> Result<Currency, RestoreError>;

    /// An amount.
    ///
    /// # Errors
    /// The state ends before, or the number is no amount.
    fn amount(&mut self) -> Result<Amount, RestoreError>;
}

impl ReadPayment for StateReader<'_> {
    fn short_id(&mut self, what: &'static str) -> Result<ShortId, RestoreError> {
        let at = self.position();
        let id = self.id_alone(what)?;
        if id.is_long() {
            let text = self.text(what)?;
            if ShortId::new(text, what) != Ok(id) {
                return Err(RestoreError::Invalid { what, at });
            }
        }
        Ok(id)
    }

    fn id_alone(&mut self, what: &'static str) -> Result<ShortId, RestoreError> {
        let at = self.position();
        ShortId::from_padded(self.array()?).ok_or(RestoreError::Invalid { what, at })
    }

    fn transaction_id(&mut self) -> Result<TransactionId, RestoreError> {
        Ok(TransactionId::from_bytes(self.array()?))
    }

    fn currency(&mut self) -> Result<Currency, RestoreError> {
        let at = self.position();
        Currency::parse(&self.array::<3>()?).map_err(|_| RestoreError::Invalid { what: "currency", at })
    }

    fn amount(&mut self) -> Result<Amount, RestoreError> {
        let at = self.position();
        Amount::from_units(self.i64()?).ok_or(RestoreError::Invalid { what: "amount", at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_cut_is_noticed() {
        let id = ShortId::new("m-17", "merchantId").unwrap();
        let long = ShortId::new("6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11", "merchantId").unwrap();
        let transaction_id = TransactionId::from_bytes([7; 16]);
        let currency = Currency::parse(b"CHF").unwrap();
        let mut bytes = Vec::new();
        let mut writer = StateWriter::new(&mut bytes);
        writer.short_id(id);
        writer.short_id(long);
        writer.transaction_id(transaction_id);
        writer.currency(currency);
        writer.amount(Amount::MAX);

        let read = |bytes: &[u8]| -> Result<(), RestoreError> {
            let mut reader = StateReader::new(bytes);
            assert_eq!(reader.short_id("merchant")?, id);
            assert_eq!(reader.short_id("merchant")?, long);
            assert_eq!(reader.transaction_id()?, transaction_id);
            assert_eq!(reader.currency()?, currency);
            assert_eq!(reader.amount()?, Amount::MAX);
            reader.finish()
        };
        assert_eq!(read(&bytes), Ok(()));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_no_amount_or_currency_is_refused_with_its_place() {
        let mut bytes = Vec::new();
        StateWriter::new(&mut bytes).i64(0);
        let error = StateReader::new(&bytes).amount().unwrap_err();
        assert_eq!(
            error,
            RestoreError::Invalid {
                what: "amount",
                at: 0
            }
        );
        let error = StateReader::new(b"eur").currency().unwrap_err();
        assert_eq!(
            error,
            RestoreError::Invalid {
                what: "currency",
                at: 0
            }
        );
    }
}
