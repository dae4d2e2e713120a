//! Avro and JSON of the record types, written by hand for the schemas of [`crate::schema`]: one
//! pass, no tree of values.
//!
//! Each record type has a module with `encode`, `encode_framed` and `decode`; [`Contract`] is what
//! a reader needs of them.

pub mod aggregate;
pub mod anomaly;
pub mod feedback;
pub mod incident;
pub mod json;
pub mod label;
pub mod list_entry;
pub mod partial;
pub mod rule_change;
pub mod transaction;

mod decimal;
mod kinds;
mod short_id;

use millrace_contract::money::Money;
use millrace_contract::reader::{Contract, FromJson};
use millrace_contract::{DecodeError, Encode, Event, Kind, ReadAhead, Reader};

pub use self::anomaly::DecodedAnomaly;
pub use self::label::DecodedLabel;
use crate::texts::{self, Held};
use crate::{
    AlertFeedback, Amount, IncidentRecord, InvalidValue, ListEntry, MerchantAggregate, Partial, RuleChange,
    Transaction, schema,
};

/// Reads transactions.
pub type TransactionReader = Reader<Transaction>;
/// Reads merchant aggregates.
pub type AggregateReader = Reader<MerchantAggregate>;
/// Reads partial aggregates.
pub type PartialReader = Reader<Partial>;
/// Reads anomalies.
pub type AnomalyReader = Reader<DecodedAnomaly>;
/// Reads incidents.
pub type IncidentReader = Reader<IncidentRecord>;
/// Reads fraud labels.
pub type LabelReader = Reader<DecodedLabel>;
/// Reads entries of lists and snoozes.
pub type ListEntryReader = Reader<ListEntry>;
/// Reads changes of rules.
pub type RuleChangeReader = Reader<RuleChange>;
/// Decodes transactions before their turn.
pub type Ahead = ReadAhead<Transaction>;

impl From<InvalidValue> for DecodeError {
    fn from(invalid: InvalidValue) -> Self {
        Self::Invalid {
            code: invalid.code(),
            message: invalid.to_string(),
        }
    }
}

impl Contract for Transaction {
    const SCHEMA: &'static str = schema::TRANSACTION;
    const NAME: &'static str = "millrace.Transaction";
    const MONEY: &'static [(&'static str, Option<Money>)] = &[("amount", <Amount as Kind>::MONEY)];
    const FROM_JSON: Option<FromJson<Self>> = Some(json::decode);
    type Kept = Vec<Held>;

    fn keep(records: &[Self]) -> Vec<Held> {
        if !texts::are_in_flight() {
            return Vec::new();
        }
        let ids = records
            .iter()
            .flat_map(|record| [&record.user_id, &record.merchant_id, &record.location]);
        ids.filter_map(Held::of).collect()
    }

    #[inline]
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        transaction::decode(body)
    }
}

impl Encode for Transaction {
    const MAX_LEN: usize = transaction::MAX_LEN;

    #[inline]
    fn encode(&self, bytes: &mut Vec<u8>) {
        transaction::encode(self, bytes);
    }

    fn encode_json(&self, bytes: &mut Vec<u8>) {
        json::encode(self, bytes);
    }
}

impl Event for Transaction {
    #[inline]
    fn id(&self) -> [u8; 16] {
        *self.transaction_id.as_bytes()
    }

    #[inline]
    fn time_ms(&self) -> i64 {
        self.transaction_time_ms
    }

    #[inline]
    fn key(&self) -> impl AsRef<[u8]> {
        self.user_id.text()
    }
}

impl Contract for MerchantAggregate {
    const SCHEMA: &'static str = schema::MERCHANT_AGGREGATE;
    const NAME: &'static str = "millrace.MerchantAggregate";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        aggregate::decode(body)
    }
}

impl Contract for Partial {
    const SCHEMA: &'static str = schema::AGGREGATE_PARTIAL;
    const NAME: &'static str = "millrace.AggregatePartial";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        partial::decode(body)
    }
}

impl Contract for DecodedAnomaly {
    const SCHEMA: &'static str = schema::ANOMALY;
    const NAME: &'static str = "millrace.Anomaly";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        anomaly::decode(body)
    }
}

impl Contract for AlertFeedback {
    const SCHEMA: &'static str = schema::ALERT_FEEDBACK;
    const NAME: &'static str = "millrace.AlertFeedback";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        feedback::decode(body)
    }
}

impl Contract for IncidentRecord {
    const SCHEMA: &'static str = schema::INCIDENT;
    const NAME: &'static str = "millrace.Incident";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        incident::decode(body)
    }
}

impl Contract for DecodedLabel {
    const SCHEMA: &'static str = schema::FRAUD_LABEL;
    const NAME: &'static str = "millrace.FraudLabel";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        label::decode(body)
    }
}

impl Contract for RuleChange {
    const SCHEMA: &'static str = schema::RULE_CHANGE;
    const NAME: &'static str = "millrace.RuleChange";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        rule_change::decode(body)
    }
}

impl Contract for ListEntry {
    const SCHEMA: &'static str = schema::LIST_ENTRY;
    const NAME: &'static str = "millrace.ListEntry";
    type Kept = ();

    fn keep(_records: &[Self]) {}

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        list_entry::decode(body)
    }
}
