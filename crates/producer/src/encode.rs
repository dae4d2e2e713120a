//! Items as the bytes that are sent.

use millrace_domain::FraudLabel;
use millrace_domain::codec::{json, label, transaction};
use millrace_settings::Format;

use crate::stream::{Item, Kind};

/// Writes items in one format.
#[derive(Debug, Clone, Copy)]
pub struct Encoder {
    /// Avro or JSON.
    pub format: Format,
    /// The registry's id of the transaction's schema; unused for JSON.
    pub transaction_schema_id: u32,
    /// The registry's id of the label's schema. Labels are Avro in either format.
    pub label_schema_id: u32,
}

impl Encoder {
    /// Replaces `value` by the item's bytes.
    #[inline]
    pub fn item(&self, item: &Item, value: &mut Vec<u8>) {
        value.clear();
        match self.format {
            Format::Avro => transaction::encode_framed(self.transaction_schema_id, &item.transaction, value),
            Format::Json => json::encode(&item.transaction, value),
        }
        if let Kind::Malformed(malformation) = item.kind {
            malformation.spoil(&item.transaction, value);
        }
    }

    /// Replaces `value` by the label's bytes.
    pub fn label(&self, fraud_label: &FraudLabel, value: &mut Vec<u8>) {
        value.clear();
        label::encode_framed(self.label_schema_id, fraud_label, value);
    }
}
