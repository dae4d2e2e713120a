//! The body of nearly every transaction: valid, each length and index in a byte.
//!
//! It is read without a thought to what could be wrong; what is not of this form is read again,
//! field by field, which tells what is.

use millrace_contract::wire::short_long;

use crate::{Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType};

/// What [`super::decode_by_field`] reads, or nothing.
#[inline]
pub(super) fn decode(body: &[u8]) -> Option<Transaction> {
    const ID_LENGTH: u8 = 2 * TransactionId::TEXT_LEN as u8;
    const CODE_LENGTH: u8 = 2 * 3;
    let ([ID_LENGTH, id @ ..], _) = body.split_first_chunk::<{ 1 + TransactionId::TEXT_LEN }>()? else {
        return None;
    };
    let user_at = 1 + TransactionId::TEXT_LEN;
    let (user_id, amount_at) = short_id(body, user_at)?;
    let (amount, rest) = body.get(amount_at..)?.split_first_chunk()?;
    let (time_ms, time_length) = short_long(rest.first_chunk()?)?;
    let (merchant_id, type_at) = short_id(body, amount_at + amount.len() + time_length)?;
    let (location, method_at) = short_id(body, type_at + 1)?;
    let [method, international @ 0..=1, CODE_LENGTH, code @ ..] = body.get(method_at..)? else {
        return None;
    };
    Some(Transaction {
        transaction_id: TransactionId::from_text(id)?,
        user_id,
        amount: Amount::from_nearest_f64(f64::from_le_bytes(*amount))?,
        transaction_time_ms: Transaction::is_time(time_ms).then_some(time_ms)?,
        merchant_id,
        transaction_type: one_of(*body.get(type_at)?, &TransactionType::ALL)?,
        location,
        payment_method: one_of(*method, &PaymentMethod::ALL)?,
        is_international: *international == 1,
        currency: Currency::from_code(code.try_into().ok()?)?,
    })
}

/// The id whose length is at a place, and the place after it. Every id has more than 16 bytes
/// before its end.
///
/// A call would give it by way of memory, written in other pieces than it is read in: the processor
/// waits for each of these.
#[inline(always)]
fn short_id(body: &[u8], at: usize) -> Option<(ShortId, usize)> {
    let double = usize::from(*body.get(at)?);
    // Odd, so negative, or of more than one byte.
    if double & 0x81 != 0 {
        return None;
    }
    let length = double / 2;
    let end = at + 1 + length;
    let id = ShortId::from_ascii_end(body.get(..end)?.last_chunk()?, length);
    let id = id.or_else(|| of_utf8(&body[at + 1..end]))?;
    Some((id, end))
}

#[cold]
fn of_utf8(bytes: &[u8]) -> Option<ShortId> {
    let text = std::str::from_utf8(bytes).ok()?;
    ShortId::new(text, "id").ok()
}

/// What an index of one byte stands for.
#[inline]
fn one_of<T: Copy, const N: usize>(double: u8, values: &[T; N]) -> Option<T> {
    let index = usize::from(double / 2);
    values.get(index).copied().filter(|_| double.is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{decode_by_field, encode};
    use super::*;

    fn transaction() -> impl Strategy<Value = Transaction> {
        let id = prop_oneof![8 => "[ -~]{1,12}", 1 => "[a-zé]{1,6}", 1 => "[ -~]{13,63}"]
            .prop_map(|text| ShortId::new(&text, "id").unwrap());
        let times = prop_oneof![
            0..=Transaction::MAX_TIME_MS,
            1_700_000_000_000_i64..1_900_000_000_000
        ];
        let ids = (any::<[u8; 16]>(), id.clone(), id.clone(), id);
        let kinds = (
            prop::sample::select(&TransactionType::ALL[..]),
            prop::sample::select(&PaymentMethod::ALL[..]),
        );
        (ids, 1_i64..1 << 40, times, kinds, any::<bool>(), "[A-Z]{3}").prop_map(
            |(
                (id, user_id, merchant_id, location),
                units,
                transaction_time_ms,
                kinds,
                is_international,
                code,
            )| {
                Transaction {
                    transaction_id: TransactionId::from_bytes(id),
                    user_id,
                    amount: Amount::from_units(units).unwrap(),
                    transaction_time_ms,
                    merchant_id,
                    transaction_type: kinds.0,
                    location,
                    payment_method: kinds.1,
                    is_international,
                    currency: Currency::parse(code.as_bytes()).unwrap(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn valid_transactions_are_usual(transaction in transaction()) {
            let mut body = Vec::new();
            encode(&transaction, &mut body);
            prop_assert_eq!(decode(&body), Some(transaction));
        }

        #[test]
        fn what_is_usual_is_read_as_by_field(
            transaction in transaction(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
            more in prop::collection::vec(any::<u8>(), 0..2),
        ) {
            let mut body = Vec::new();
            encode(&transaction, &mut body);
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body.extend(more);
            if let Some(cut) = cut {
                body.truncate(cut.index(body.len()));
            }
            if let Some(usual) = decode(&body) {
                prop_assert_eq!(Ok(usual), decode_by_field(&body));
            }
        }
    }
}
