//! The streams that take items, and the check of an item against its stream's contract.

use millrace_catalog::payments::topic;
use millrace_contract::DecodeError;
use millrace_domain::codec::{json, transaction};
use millrace_domain::texts::InFlight;
use millrace_domain::{EventTimeLimits, Transaction, schema};

use crate::batch::Facts;
use crate::inbox::Prepared;
use crate::report::ItemError;

/// The names of the streams, in the order of the sender's topics.
pub(crate) const STREAMS: [&str; 1] = [topic::TRANSACTIONS];

/// What is right for each field of a transaction.
const EXPECTED: [(&str, &str); 10] = [
    (
        "transactionId",
        "a UUID of 36 characters, as 6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11",
    ),
    ("userId", "1 to 64 bytes of UTF-8 without NUL"),
    (
        "amount",
        "a number above 0, of at most four decimals, up to 200000000000",
    ),
    (
        "transactionTime",
        "milliseconds since 1970, no further ahead than event_time.max_future_ms",
    ),
    ("merchantId", "1 to 64 bytes of UTF-8 without NUL"),
    ("transactionType", "purchase or refund"),
    ("location", "1 to 64 bytes of UTF-8 without NUL"),
    ("paymentMethod", "credit_card, paypal or bank_transfer"),
    ("isInternational", "true or false"),
    ("currency", "an ISO 4217 code of three upper-case letters, as EUR"),
];

/// A stream that takes items.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its topic, by its place among the sender's.
    pub(crate) topic: usize,
    /// Its topic's full name.
    pub(crate) topic_name: String,
    /// The registry's id of the schema that values are written with.
    pub(crate) schema_id: u32,
    /// Bounds of event time: what is outside would be a dead letter.
    pub(crate) limits: EventTimeLimits,
    /// Bytes of an item.
    pub(crate) max_item_bytes: usize,
}

/// Items that are ready to be sent, and those that are not.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// The records.
    pub(crate) records: Vec<Prepared>,
    /// The item of each record.
    pub(crate) indices: Vec<usize>,
    /// Key and value of each.
    pub(crate) bytes: Vec<u8>,
    /// The others.
    pub(crate) errors: Vec<ItemError>,
}

impl Stream {
    /// The Avro schema of its values.
    pub(crate) fn schema(&self) -> &'static str {
        schema::TRANSACTION
    }

    /// What is right for a field of its items, in words.
    pub(crate) fn expected(field: &str) -> Option<&'static str> {
        let found = EXPECTED.iter().find(|(name, _)| *name == field);
        found.map(|(_, expected)| *expected)
    }

    /// Checks items at `now_ms`, in milliseconds since 1970, and writes those that are right as
    /// they are sent. `is_wanted` says by its place which are looked at at all.
    pub(crate) fn check(&self, items: &[&[u8]], now_ms: i64, is_wanted: impl Fn(usize) -> bool) -> Checked {
        let _round = InFlight::begin();
        let mut checked = Checked::default();
        for (index, item) in items.iter().enumerate().filter(|(index, _)| is_wanted(*index)) {
            match self.transaction(item, now_ms) {
                Ok(transaction) => {
                    checked
                        .records
                        .push(self.prepare(&transaction, &mut checked.bytes));
                    checked.indices.push(index);
                }
                Err(error) => checked.errors.push(self.error(index, &error)),
            }
        }
        checked
    }

    fn transaction(&self, item: &[u8], now_ms: i64) -> Result<Transaction, DecodeError> {
        if item.len() > self.max_item_bytes {
            return Err(DecodeError::Invalid {
                code: "item_too_large",
                message: format!(
                    "the item has {} bytes, more than {}",
                    item.len(),
                    self.max_item_bytes
                ),
            });
        }
        let transaction = json::decode(item)?;
        transaction.check_event_time(Some(now_ms), self.limits)?;
        Ok(transaction)
    }

    fn prepare(&self, transaction: &Transaction, bytes: &mut Vec<u8>) -> Prepared {
        let user_id = transaction.user_id.text();
        let start = bytes.len();
        bytes.extend_from_slice(user_id.as_bytes());
        let key_len = bytes.len() - start;
        transaction::encode_framed(self.schema_id, transaction, bytes);
        Prepared {
            topic: self.topic,
            key_len,
            value_len: bytes.len() - start - key_len,
            facts: Facts {
                transaction_type: transaction.transaction_type,
                currency: transaction.currency,
                amount: transaction.amount,
                event_time_ms: transaction.transaction_time_ms,
            },
        }
    }

    fn error(&self, index: usize, error: &DecodeError) -> ItemError {
        let message = error.to_string();
        let named = match error {
            DecodeError::MissingField(field)
            | DecodeError::DuplicateField(field)
            | DecodeError::BadField { field, .. } => field,
            // A value that is refused begins with its field's name.
            _ => message.split(' ').next().unwrap_or_default(),
        };
        let field = EXPECTED.iter().find(|(field, _)| *field == named);
        let expected = field.map_or_else(
            || match error {
                DecodeError::BadJson(_) => Some(format!("a JSON object of {}", self.name)),
                DecodeError::Invalid { .. } => Some(format!("at most {} bytes", self.max_item_bytes)),
                _ => None,
            },
            |(_, expected)| Some((*expected).to_owned()),
        );
        ItemError {
            field: field.map(|(field, _)| (*field).to_owned()),
            expected,
            ..ItemError::refused(index, error.code(), message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_760_000_000_000;

    fn stream() -> Stream {
        Stream {
            name: topic::TRANSACTIONS,
            topic: 0,
            topic_name: "t-financial_transactions".to_owned(),
            schema_id: 7,
            limits: EventTimeLimits {
                earliest_ms: Some(946_684_800_000),
                max_future_ms: 60_000,
            },
            max_item_bytes: 2_000,
        }
    }

    fn item(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> String {
        let mut value = serde_json::json!({
            "transactionId": "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11", "userId": "user-1", "amount": 12.5,
            "transactionTime": NOW_MS, "merchantId": "merchant-1", "transactionType": "purchase",
            "location": "London", "paymentMethod": "paypal", "isInternational": false, "currency": "GBP",
        });
        change(value.as_object_mut().unwrap());
        value.to_string()
    }

    fn check(items: &[String]) -> Checked {
        let items: Vec<_> = items.iter().map(String::as_bytes).collect();
        stream().check(&items, NOW_MS, |_| true)
    }

    #[test]
    fn an_item_becomes_its_record_by_its_users_key() {
        let user = "a user of more than twelve bytes";
        let items = [item(|_| {}), item(|it| it["userId"] = user.into())];
        let checked = check(&items);
        assert_eq!((checked.errors, checked.indices), (vec![], vec![0, 1]));
        let mut rest = &checked.bytes[..];
        for (record, key) in checked.records.iter().zip(["user-1", user]) {
            let (found, after) = rest.split_at(record.key_len);
            let (value, after) = after.split_at(record.value_len);
            assert_eq!(found, key.as_bytes());
            assert_eq!(value[..5], [0, 0, 0, 0, 7]);
            let transaction = transaction::decode(&value[5..]).unwrap();
            assert_eq!(transaction.user_id.text().as_str(), key);
            rest = after;
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn each_error_names_item_and_field_and_what_would_be_right() {
        let set = |field: &'static str, value: serde_json::Value| item(|it| it[field] = value);
        for (wrong, code, field) in [
            (
                item(|it| drop(it.remove("currency"))),
                "missing_field",
                "currency",
            ),
            (set("currency", "euro".into()), "invalid_currency", "currency"),
            (set("amount", (-1).into()), "amount_not_positive", "amount"),
            (set("amount", 0.00001.into()), "amount_too_fine", "amount"),
            (set("amount", "12".into()), "bad_field", "amount"),
            (set("userId", "".into()), "invalid_id", "userId"),
            (set("location", "x".repeat(65).into()), "invalid_id", "location"),
            (
                set("transactionId", "1".into()),
                "invalid_transaction_id",
                "transactionId",
            ),
            (
                set("transactionType", "gift".into()),
                "bad_field",
                "transactionType",
            ),
            (
                set("transactionTime", 1_760_000_000.into()),
                "before_earliest_time",
                "transactionTime",
            ),
            (
                set("transactionTime", (NOW_MS + 60_001).into()),
                "far_future",
                "transactionTime",
            ),
            (
                item(|_| {}).replace('}', ",\"amount\":1}"),
                "duplicate_field",
                "amount",
            ),
        ] {
            let checked = check(&[item(|_| {}), wrong]);
            let [error] = &checked.errors[..] else {
                panic!("{:?}", checked.errors)
            };
            assert_eq!((error.index, error.status), (1, 422));
            assert_eq!(
                (&*error.code, error.field.as_deref()),
                (code, Some(field)),
                "{error:?}"
            );
            assert!(error.expected.is_some(), "{error:?}");
            assert_eq!(checked.records.len(), 1);
        }
    }

    #[test]
    fn what_is_no_object_or_too_large_is_an_error_of_its_own() {
        let large = item(|it| drop(it.insert("note".to_owned(), "x".repeat(2_000).into())));
        let checked = check(&[
            "1".to_owned(),
            "{".to_owned(),
            large,
            item(|it| drop(it.insert("note".to_owned(), 1.into()))),
        ]);
        let found: Vec<_> = checked.errors.iter().map(|it| (it.index, &*it.code)).collect();
        assert_eq!(found[2], (2, "item_too_large"));
        assert_eq!(found.iter().map(|it| it.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(
            checked.errors.iter().all(|it| it.field.is_none()),
            "{:?}",
            checked.errors
        );
        // A field that the contract does not have is passed over, as everywhere.
        assert_eq!(checked.indices, [3]);
    }

    #[test]
    fn only_what_is_wanted_is_looked_at() {
        let items = [item(|_| {}), "no".to_owned(), item(|_| {})];
        let items: Vec<_> = items.iter().map(String::as_bytes).collect();
        let checked = stream().check(&items, NOW_MS, |index| index == 2);
        assert_eq!((checked.indices, checked.errors), (vec![2], vec![]));
    }

    #[test]
    fn every_field_of_the_schema_has_its_rule() {
        let schema: serde_json::Value = serde_json::from_str(schema::TRANSACTION).unwrap();
        let fields = schema["fields"].as_array().unwrap().iter();
        let names: Vec<_> = fields.map(|field| field["name"].as_str().unwrap()).collect();
        assert_eq!(names, EXPECTED.map(|(field, _)| field));
    }
}
