//! A fingerprint of a transaction's payload.

use millrace_domain::Transaction;

/// 32 bits of everything but the transaction id. They are kept in snapshots, so the function is
/// fixed for ever: the high half of a chain of folded multiplies (the construction of wyhash and
/// foldhash) over seven words. Two payloads with one fingerprint, by an accident of one in four
/// billion changed payloads, only make a replay look like a duplicate.
#[inline]
pub(crate) fn of(transaction: &Transaction) -> u32 {
    let (user, user_end) = transaction.user_id.to_words();
    let (merchant, merchant_end) = transaction.merchant_id.to_words();
    let (location, location_end) = transaction.location.to_words();
    let [c0, c1, c2] = *transaction.currency.as_bytes();
    let kind = transaction.transaction_type as u8
        | (transaction.payment_method as u8) << 1
        | u8::from(transaction.is_international) << 7;
    let words = [
        user,
        u64::from(user_end) << 32 | u64::from(merchant_end),
        merchant,
        location,
        u64::from(location_end) << 32 | u64::from(u32::from_le_bytes([c0, c1, c2, kind])),
        transaction.amount.units() as u64,
        transaction.transaction_time_ms as u64,
    ];
    let chain = words.into_iter().fold(0x6a09_e667_f3bc_c908, |state: u64, word| {
        let product = u128::from(state ^ word) * u128::from(MULTIPLIER);
        ((product as u64) ^ ((product >> 64) as u64)).wrapping_add(MULTIPLIER)
    });
    (chain >> 32) as u32
}

/// 2^64 divided by the golden ratio, odd.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::{Amount, Currency, PaymentMethod, ShortId, TransactionId, TransactionType};
    use std::collections::HashSet;

    fn transaction() -> Transaction {
        let id = |text| ShortId::new(text, "id").unwrap();
        Transaction {
            transaction_id: TransactionId::from_bytes([7; 16]),
            user_id: id("user-1"),
            amount: Amount::from_units(123_400).unwrap(),
            transaction_time_ms: 1_760_000_000_000,
            merchant_id: id("merchant-1"),
            transaction_type: TransactionType::Purchase,
            location: id("Berlin"),
            payment_method: PaymentMethod::CreditCard,
            is_international: false,
            currency: Currency::parse(b"EUR").unwrap(),
        }
    }

    #[test]
    fn every_field_but_the_id_counts() {
        let base = transaction();
        let id = |text| ShortId::new(text, "id").unwrap();
        let mut variants = vec![base; 10];
        variants[1].user_id = id("user-1------");
        variants[2].amount = Amount::from_units(123_401).unwrap();
        variants[3].transaction_time_ms += 1;
        variants[4].merchant_id = id("merchant-1-2");
        variants[5].transaction_type = TransactionType::Refund;
        variants[6].location = id("Berlin-12345");
        variants[7].payment_method = PaymentMethod::BankTransfer;
        variants[8].is_international = true;
        variants[9].currency = Currency::parse(b"EUS").unwrap();
        let fingerprints: HashSet<u32> = variants.iter().map(of).collect();
        assert_eq!(fingerprints.len(), variants.len());

        let renamed = Transaction {
            transaction_id: TransactionId::from_bytes([8; 16]),
            ..base
        };
        assert_eq!(of(&renamed), of(&base));
    }

    /// Snapshots hold fingerprints: another value here means that old ones raise false alarms.
    #[test]
    fn is_fixed_for_ever() {
        assert_eq!(of(&transaction()), FIXED);
    }

    const FIXED: u32 = (3_936_551_574_482_658_168_u64 >> 32) as u32;
}
