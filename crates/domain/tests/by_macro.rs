//! The transaction's codec by hand against the one that `contract!` makes of the same fields:
//! bytes, JSON and errors.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use millrace_contract::{Contract as _, Encode as _, Event as _, Time, contract};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, schema,
};
use proptest::prelude::*;

contract! {
    schema "millrace.Transaction" = schema::TRANSACTION;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct ByMacro {
        transaction_id: TransactionId = "transactionId",
        user_id: ShortId = "userId",
        amount: Amount,
        transaction_time_ms: i64 as Time = "transactionTime",
        merchant_id: ShortId = "merchantId",
        transaction_type: TransactionType = "transactionType",
        location: ShortId,
        payment_method: PaymentMethod = "paymentMethod",
        is_international: bool = "isInternational",
        currency: Currency,
    }
}

impl From<ByMacro> for Transaction {
    fn from(record: ByMacro) -> Self {
        let ByMacro {
            transaction_id,
            user_id,
            amount,
            transaction_time_ms,
            merchant_id,
            transaction_type,
            location,
            payment_method,
            is_international,
            currency,
        } = record;
        Self {
            transaction_id,
            user_id,
            amount,
            transaction_time_ms,
            merchant_id,
            transaction_type,
            location,
            payment_method,
            is_international,
            currency,
        }
    }
}

#[test]
fn the_record_is_what_the_schema_says() {
    assert_eq!(ByMacro::check_schema(), Ok(()));
}

proptest! {
    #[test]
    fn both_write_and_read_the_same(transaction in common::transaction()) {
        let mut body = Vec::new();
        transaction.encode(&mut body);
        let by_macro = ByMacro::decode(&body).unwrap();
        prop_assert_eq!(Transaction::from(by_macro), transaction);
        let mut again = Vec::new();
        by_macro.encode(&mut again);
        prop_assert_eq!(&again, &body);
        prop_assert!(body.len() <= ByMacro::MAX_LEN);
        let (mut by_hand, mut text) = (Vec::new(), Vec::new());
        transaction.encode_json(&mut by_hand);
        by_macro.encode_json(&mut text);
        prop_assert_eq!(&by_hand, &text);
        prop_assert_eq!(ByMacro::FROM_JSON.unwrap()(&text), Ok(by_macro));
        prop_assert_eq!(transaction.id(), *transaction.transaction_id.as_bytes());
        prop_assert_eq!(transaction.time_ms(), transaction.transaction_time_ms);
    }

    #[test]
    fn both_refuse_the_same(
        transaction in common::transaction(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let (mut body, mut text) = (Vec::new(), Vec::new());
        transaction.encode(&mut body);
        transaction.encode_json(&mut text);
        for (at, byte) in changes {
            let places = (at.index(body.len()), at.index(text.len()));
            body[places.0] = byte;
            text[places.1] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
            text.truncate(cut.index(text.len()));
        }
        let shown = |error: &millrace_contract::DecodeError| (error.code(), error.to_string());
        prop_assert_eq!(
            ByMacro::decode(&body).map(Transaction::from).map_err(|error| shown(&error)),
            Transaction::decode(&body).map_err(|error| shown(&error))
        );
        let by_macro = ByMacro::FROM_JSON.unwrap()(&text).map(Transaction::from);
        let by_hand = Transaction::FROM_JSON.unwrap()(&text);
        prop_assert_eq!(by_macro.is_ok(), by_hand.is_ok());
        if let (Ok(by_macro), Ok(by_hand)) = (&by_macro, &by_hand) {
            prop_assert_eq!(by_macro, by_hand);
        }
        prop_assert_eq!(
            by_macro.map_err(|error| error.code()),
            by_hand.map_err(|error| error.code())
        );
    }
}
